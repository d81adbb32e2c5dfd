//! What the page of a demo shows from its first minute on: pairs of the starter model.

use crate::{
    showcase::{self, Generated},
    starter,
};
use burn::tensor::Device;
use pig_report::{DemoPage, Figure, canvas::SYNTHETIC};
use pig_train::{
    Result,
    generation::{Request, generate},
    loaded::LoadedRun,
    observer::{Observer, Outcome},
};
use std::path::Path;

/// The title of the page, and what its data are.
pub(super) const TITLE: &str = "Paired image generation on phantom images";
pub(super) const DATA: &str = "phantom images, not patients";

/// Pairs of the starter model.
pub(super) struct Starter(Figure);

impl Starter {
    /// Makes pairs of the starter model. `None` if the user asked to stop.
    pub(super) fn show(out: &Path, count: u64, device: &Device, observer: &dyn Observer) -> Result<Option<Self>> {
        let (run, pairs) = (out.join("starter"), out.join("starter-pairs"));
        if !run.exists() {
            starter::unpack(&run)?;
        }
        let seeds: Vec<u64> = (0..count.min(starter::SHOWN)).collect();
        if generate(&Request::new(&run, &pairs, &seeds), device, observer)?.outcome == Outcome::Interrupted {
            return Ok(None);
        }
        let loaded = LoadedRun::open(&run, &[], device)?;
        let read = |&seed: &u64| Generated::read(&pairs, seed, &loaded.preparation);
        let generated: Vec<Generated> = seeds.iter().map(read).collect::<Result<_>>()?;
        let sheet = showcase::generated_sheet(&generated, &loaded, "starter model")?;
        sheet.write_png(&out.join("starter-sheet.png"), &[SYNTHETIC])?;
        let caption = format!(
            "Not of this training: pairs of the starter model, which is a part of pig. It has the same networks and was trained on phantom images \
             for {} and {} steps of {} pairs. The pairs are those of the first seeds, in order: pig sample --run starter makes any number of them.",
            loaded.config.steps(loaded.config.roles()[0]),
            loaded.config.train.steps,
            loaded.config.train.batch_size
        );
        Ok(Some(Self(Figure::new(sheet, caption, "pairs of the starter model with outlined masks"))))
    }

    /// The sheet of the pairs.
    pub(super) fn figure(&self) -> Figure {
        self.0.clone()
    }

    /// The page before anything was trained.
    pub(super) fn content(&self) -> DemoPage {
        DemoPage {
            title: TITLE.to_owned(),
            data: DATA.to_owned(),
            summary: vec!["pig learns to make pairs of image and mask from phantom images on this machine now. Until its own pairs are there, \
                           this page shows those of the starter model."
                .to_owned()],
            contact_sheets: vec![self.0.clone()],
            ..DemoPage::default()
        }
    }
}
