//! The whole of `pig report`: one offline page of a run, a cross-validation or an experiment, and the same numbers as JSON.
//!
//! Numbers are read from what the folder holds; nothing is trained. Pictures of pairs are made from the run's networks, or read from the
//! pairs that a cross-validation made; where checkpoints or data are not there, the page says what it does not show, and why.

mod page;
mod run;
mod study;

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
    let run = RunDir::open(path).map_err(|_| Error::BadFile {
        path: path.clone(),
        problem: "is neither a run nor the folder of a cross-validation or an experiment".to_owned(),
        advice: "give the --out of pig train, pig segment train, pig crossval or pig experiment",
    })?;
    match run.config_as::<SegmentFile>() {
        Ok(file) => run::of_segmenter(request, &run, &file, device, observer),
        Err(_) => run::of_generator(request, &run, device, observer),
    }
}
