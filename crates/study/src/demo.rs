//! `pig demo`: the whole method on phantom images, without network access or input files, and one page that shows the results.

use crate::showcase::{self, Generated};
use burn::tensor::Device;
use pig_data::{
    PreparedSet,
    phantom::{PhantomConfig, write_dataset},
};
use pig_metrics::agreement::Agreement;
use pig_report::{Canvas, DemoPage, Figure, canvas::SYNTHETIC};
use pig_train::{
    Config, Error, Result,
    config::Layers,
    curves::charts,
    evaluate::{PlainPair, prepared_pairs},
    generation::{Request, generate, strips},
    loaded::LoadedRun,
    metrics_log,
    observer::{Observer, Outcome, note},
    run_data::RunData,
    run_dir::{RunDir, now, program},
    sampler::Sampler,
    training::{resume, train},
};
use std::path::{Path, PathBuf};

/// The settings of the demo, which override the defaults.
const DEMO: &str = include_str!("../../../configs/demo.toml");

/// Number of pairs of each kind on the contact sheet.
const SHEET_PAIRS: usize = 24;

const STRIPS_CAPTION: &str = "What the two networks estimate as the finished mask (above) and image (below), from pure \
                              noise on the left to the last step on the right, as in Fig. 3 of the paper.";

/// The arguments of `pig demo`.
#[derive(Clone, Debug)]
pub struct DemoRequest {
    /// The output folder.
    pub out: PathBuf,
    /// Number of phantom patients.
    pub patients: usize,
    /// Number of pairs to sample.
    pub count: u64,
    /// Settings that override the demo's own, as `key=value`.
    pub sets: Vec<String>,
}

/// The result of a demo.
#[derive(Debug)]
pub struct DemoSummary {
    /// Whether the demo finished or was interrupted.
    pub outcome: Outcome,
    /// The page.
    pub page: PathBuf,
    /// Pair agreement of the generated pairs, if it was measured.
    pub agreement: Option<Agreement>,
}

/// The demo's configuration.
pub fn config(sets: &[String]) -> Result<Config> {
    let base: Config = toml::from_str(DEMO).map_err(|error| Error::BadFile {
        path: PathBuf::from("configs/demo.toml"),
        problem: error.to_string(),
        advice: "this is a fault of pig; please report it",
    })?;
    Ok(Layers { file: None, sets: sets.to_vec() }.over_config(&base)?)
}

/// Makes the phantom set, trains, samples and writes the page. An interrupted demo continues where it stopped.
pub fn demo(request: &DemoRequest, device: &Device, observer: &dyn Observer) -> Result<DemoSummary> {
    let (data, run, pairs) = (request.out.join("data"), request.out.join("run"), request.out.join("pairs"));
    let page = request.out.join("index.html");
    let started = std::time::Instant::now();
    let config = config(&request.sets)?;
    config.check()?;
    if !config.method.makes_masks() {
        return Err(Error::Setting {
            key: "method".to_owned(),
            found: config.method.word().to_owned(),
            expected: "\"pig\" or \"joint\" for the demo, because its page shows pairs; for other methods use pig train and pig sample"
                .to_owned(),
        });
    }
    make_phantoms(request, &data, observer)?;
    let trained = if run.exists() {
        continue_run(&run, &config, device, observer)?
    } else {
        train(&config, &data, &run, device, observer)?
    };
    let stopped = |outcome| Ok(DemoSummary { outcome, page: page.clone(), agreement: None });
    if trained == Outcome::Interrupted {
        return stopped(trained);
    }
    let seeds: Vec<u64> = (0..request.count).collect();
    let asked = Request { data: Some(data.clone()), ..Request::new(&run, &pairs, &seeds) };
    let sampled = generate(&asked, device, observer)?;
    if sampled.outcome == Outcome::Interrupted {
        return stopped(sampled.outcome);
    }
    let loaded = LoadedRun::open(&run, &[], device)?;
    let Some(material) = Material::gather(&loaded, &data, &pairs, request.count, device, observer)? else {
        return stopped(Outcome::Interrupted);
    };
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    material.page(&loaded, sampled.agreement.clone(), &request.out, minutes)?.write(&page)?;
    Ok(DemoSummary { outcome: Outcome::Finished, page, agreement: sampled.agreement })
}

fn make_phantoms(request: &DemoRequest, data: &Path, observer: &dyn Observer) -> Result<()> {
    let manifest = data.join("manifest.csv");
    if manifest.is_file() {
        let text = pig_files::read_to_string(&manifest).map_err(Error::io(&manifest, "read"))?;
        let (found, asked) = (text.lines().count().saturating_sub(1), 2 * request.patients);
        if found != asked {
            return Err(Error::BadFile {
                path: data.to_owned(),
                problem: format!("holds {found} phantom images of an earlier demo, but {asked} are requested"),
                advice: "choose another --out, or ask for as many --patients as before",
            });
        }
        note(observer, format!("{}: the phantom images already exist", data.display()));
        return Ok(());
    }
    let phantom = PhantomConfig { patients: request.patients, ..PhantomConfig::default() };
    observer.event(pig_train::observer::Event::Begin {
        stage: "phantom".to_owned(),
        total: 2 * request.patients,
        done: 0,
    });
    write_dataset(&phantom, data, &|done, _| {
        observer.event(pig_train::observer::Event::Progress { done, message: String::new() });
    })?;
    observer.event(pig_train::observer::Event::End);
    Ok(())
}

/// Continues the run of an interrupted demo, if the run has the same settings.
fn continue_run(run: &Path, config: &Config, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    if !config.gives(&RunDir::open_verified(run)?.config()?) {
        return Err(Error::RunExists { path: run.to_owned() });
    }
    resume(run, None, device, observer)
}

/// The content of the page.
struct Material {
    training: PreparedSet,
    held_out: PreparedSet,
    real: Vec<PlainPair>,
    generated: Vec<Generated>,
    strips: Canvas,
}

impl Material {
    /// None if the user asked to stop.
    fn gather(
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
        Ok(Some(Self { real: prepared_pairs(&run_data.set), training, held_out, generated: generated?, strips }))
    }

    fn page(&self, loaded: &LoadedRun, found: Option<Agreement>, out: &Path, minutes: f64) -> Result<DemoPage> {
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
        let summary = vec![
            format!(
                "From {} phantom pairs of {} patients, pig learned to make pairs of image and mask, and made {} new ones.",
                provenance.pairs[0],
                provenance.groups[0],
                self.generated.len()
            ),
            format!(
                "Two diffusion models guide each other: one makes the mask, the other the image. Both were trained \
                 here at {height} x {width} pixels for {} and {} steps of {} pairs; this run of the demo took {minutes:.1} minutes.",
                config.steps(config.roles()[0]),
                config.train.steps,
                config.train.batch_size,
            ),
        ];
        Ok(DemoPage {
            title: "Paired image generation on phantom images".to_owned(),
            data: "phantom images, not patients".to_owned(),
            summary,
            agreement: found,
            contact_sheets: vec![Figure::new(sheet, caption, "real pairs, then generated pairs, with outlined masks")],
            strips: vec![Figure::new(
                self.strips.clone(),
                STRIPS_CAPTION,
                "estimates of mask and image at decreasing noise",
            )],
            histograms: showcase::histograms(("phantom", &self.real), &self.generated),
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
