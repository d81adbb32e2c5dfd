//! The page of a finished demo.

use super::shown::{DATA, Starter, TITLE};
use crate::showcase::{self, Generated};
use burn::tensor::Device;
use pig_data::PreparedSet;
use pig_metrics::agreement::Agreement;
use pig_report::{Canvas, DemoPage, Figure, canvas::SYNTHETIC};
use pig_train::{
    Result,
    curves::charts,
    loaded::LoadedRun,
    metrics_log,
    observer::Observer,
    run_data::RunData,
    run_dir::{now, program},
    sampler::Sampler,
    strips::strips,
};
use std::path::Path;

/// Number of pairs of each kind on the contact sheet.
const SHEET_PAIRS: usize = 24;

const STRIPS_CAPTION: &str = "What the two networks estimate as the finished mask (above) and image (below), from pure \
                              noise on the left to the last step on the right, as in Fig. 3 of the paper.";

/// The content of the page.
pub(super) struct Material {
    training: PreparedSet,
    held_out: PreparedSet,
    real: PreparedSet,
    generated: Vec<Generated>,
    strips: Canvas,
}

impl Material {
    /// None if the user asked to stop.
    pub(super) fn gather(
        loaded: &LoadedRun,
        data: &Path,
        pairs: &Path,
        count: u64,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Option<Self>> {
        let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), device)?;
        let seeds: Vec<u64> = (0..count).collect();
        let Some(strips) = strips(&loaded.config, &sampler, &seeds, observer)? else { return Ok(None) };
        let run_data = RunData::of_run(data, &loaded.run, observer)?;
        let [training, held_out] = run_data.parts();
        let read = |seed| Generated::read(pairs, seed, &loaded.preparation);
        let generated: Result<Vec<Generated>> = (0..count).map(read).collect();
        Ok(Some(Self { real: run_data.set, training, held_out, generated: generated?, strips }))
    }

    /// The page, whose pictures are also written as files beside it. `[minutes, outlook]` say how long it took, and what more time would give.
    pub(super) fn page(
        &self,
        loaded: &LoadedRun,
        found: Option<Agreement>,
        out: &Path,
        [minutes, outlook]: [&str; 2],
        starter: &Starter,
    ) -> Result<DemoPage> {
        let config = &loaded.config;
        let provenance = loaded.run.provenance()?;
        let titles = ["phantom pairs (training)", "generated pairs"];
        let sheet = showcase::sheet(&self.training, &self.generated, SHEET_PAIRS, titles, 6)?;
        sheet.write_png(&out.join("contact-sheet.png"), &[SYNTHETIC])?;
        self.strips.write_png(&out.join("progress.png"), &[SYNTHETIC])?;
        let curves = charts(&metrics_log::read(loaded.run.path())?);
        pig_report::write_curves(&out.join("curves.svg"), &curves)?;
        let [height, width] = config.data.size;
        let caption = "Each pair shows the image on the left, and the same image with the outline of its mask on the right. \
                       Nothing is retouched, blended or selected: the generated pairs are those of the first seeds, in order.";
        let mut summary = vec![
            format!(
                "From {} phantom pairs of {} patients, pig learned to make pairs of image and mask, and made {} new ones.",
                provenance.pairs[0],
                provenance.groups[0],
                self.generated.len()
            ),
            format!(
                "Two diffusion models guide each other: one makes the mask, the other the image. Both were trained \
                 here at {height} x {width} pixels for {} and {} steps of {} pairs; {minutes}.",
                config.steps(config.roles()[0]),
                config.train.steps,
                config.train.batch_size,
            ),
        ];
        if !outlook.is_empty() {
            summary.push(outlook.to_owned());
        }
        Ok(DemoPage {
            title: TITLE.to_owned(),
            reload_seconds: None,
            data: DATA.to_owned(),
            summary,
            agreement: found,
            contact_sheets: vec![
                Figure::new(sheet, caption, "real pairs, then generated pairs, with outlined masks"),
                starter.figure(),
            ],
            strips: vec![Figure::new(
                self.strips.clone(),
                STRIPS_CAPTION,
                "estimates of mask and image at decreasing noise",
            )],
            histograms: showcase::histograms(("phantom", &self.real), &self.generated)?,
            nearest: Some(showcase::neighbours(&self.training, &self.held_out, &self.generated)?),
            curves,
            settings: config.to_toml(),
            provenance: vec![
                ("program".to_owned(), program()),
                ("page written".to_owned(), now()),
                ("device".to_owned(), provenance.device),
                ("threads".to_owned(), provenance.threads.to_string()),
                ("prepared data, SHA-256".to_owned(), provenance.data_sha256),
                ("split, SHA-256".to_owned(), provenance.splits_sha256),
                ("model, SHA-256".to_owned(), loaded.model_hash.clone()),
            ],
            limits: vec![
                "Phantom images are drawn by a program; nothing here is evidence about patients' images.".to_owned(),
                "The networks are small and were trained for minutes, so do not expect fine texture.".to_owned(),
                "Pair agreement shows that images fit their masks, not that the pairs help a segmenter.".to_owned(),
                "Pixel distance finds close copies; it does not prove that nothing was memorised.".to_owned(),
            ],
        })
    }
}
