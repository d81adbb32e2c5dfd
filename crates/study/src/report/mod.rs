//! `pig report`: one offline page about a run, a cross-validation or an experiment, and the same numbers as JSON.
//!
//! The numbers are read from the files in the folder; nothing is trained. Pictures of pairs are made with the networks of the run, or read
//! from the pairs of a cross-validation. If checkpoints or data are missing, the page says what it leaves out and why.

mod page;
mod run;
mod study;

pub(crate) use page::is_same_page;
pub use page::{Report, Request};

use crate::experiments::study::Identity;
use burn::tensor::Device;
use pig_segment::config::SegmentFile;
use pig_train::{Error, Result, observer::Observer, run_dir::RunDir};

/// Reads a folder and makes its page.
pub fn report(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Report> {
    let path = &request.path;
    if let Some(identity) = Identity::read(path)? {
        return study::of_experiment(request, &identity, device, observer);
    }
    if path.join(study::CROSSVAL).is_file() {
        return study::of_crossval(request, device, observer);
    }
    let run = RunDir::open(path).map_err(|error| match error {
        Error::NotARun { path, missing } => Error::BadFile {
            path,
            problem: format!(
                "is neither a run nor the folder of a cross-validation or an experiment (a run has the file {missing})"
            ),
            advice: "give a folder that was the --out of pig train, pig segment train, pig crossval or pig experiment",
        },
        other => other,
    })?;
    match run.config_as::<SegmentFile>() {
        Ok(file) => run::of_segmenter(request, &run, &file, device, observer),
        Err(_) => run::of_generator(request, &run, device, observer),
    }
}
