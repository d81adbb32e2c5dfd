//! `pig demo`: the whole method on phantom images, without network access or input files, and one page that shows the results.

mod live;
mod page;
mod shown;

use crate::{
    pace::{Pace, fitted},
    plan::plan,
};
use burn::tensor::Device;
use live::Live;
use page::Material;
use pig_data::phantom::{CALCIFICATION_COLUMN, PhantomConfig, write_dataset};
use pig_metrics::agreement::Agreement;
use pig_train::{
    Config, Error, Result,
    config::Layers,
    generation::{Request, generate},
    loaded::LoadedRun,
    observer::{Observer, Outcome, note, warn},
    run_dir::RunDir,
    training::{resume, train},
    unlabelled::Folders,
};
use shown::Starter;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// The settings of the demo, which override the defaults.
const DEMO: &str = include_str!("../../../../configs/demo.toml");

/// A network that is trained for fewer steps makes noise: after 688 and 1,377 steps most pictures showed a breast (docs/PERFORMANCE.md). A rule of
/// thumb below that.
const LEAST_STEPS: usize = 200;

/// The arguments of `pig demo`.
#[derive(Clone, Debug)]
pub struct DemoRequest {
    /// The output folder.
    pub out: PathBuf,
    /// Number of phantom patients.
    pub patients: usize,
    /// Whether half of the patients have a cluster of microcalcifications, the second class.
    pub calcifications: bool,
    /// Number of pairs to sample.
    pub count: u64,
    /// The minutes that the demo may take; the numbers of training steps follow from them, unless `sets` gives one.
    pub minutes: f64,
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
    let layers = Layers { file: None, sets: sets.to_vec() };
    // A wrong value is told as one, and not as a number of steps that leaves others as they are.
    let config = layers.over_config(&base)?;
    layers.check_steps(&base)?;
    Ok(config)
}

/// Makes the phantom set, shows pairs of the starter model, trains as long as the minutes allow, samples and writes the page. An interrupted
/// demo continues where it stopped.
pub fn demo(request: &DemoRequest, device: &Device, observer: &dyn Observer) -> Result<DemoSummary> {
    let (data, run, pairs) = (request.out.join("data"), request.out.join("run"), request.out.join("pairs"));
    let page = request.out.join("index.html");
    let started = Instant::now();
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
    let stopped = || Ok(DemoSummary { outcome: Outcome::Interrupted, page: page.clone(), agreement: None });
    make_phantoms(request, &data, observer)?;
    let Some(starter) = Starter::show(&request.out, request.count, device, observer)? else { return stopped() };
    let live = Live::new(observer, &page, &run, starter.content(), started);
    let (trained, pace) = if run.exists() {
        (continue_run(&run, &config, &request.sets, device, &live)?, None)
    } else {
        let (config, pace) = paced(request, config, &data, &run, started, device, &live)?;
        (train(&config, &data, &run, device, &live)?, pace)
    };
    if trained == Outcome::Interrupted {
        return stopped();
    }
    let seeds: Vec<u64> = (0..request.count).collect();
    let asked = Request { data: Some(data.clone()), ..Request::new(&run, &pairs, &seeds) };
    let sampled = generate(&asked, device, &live)?;
    if sampled.outcome == Outcome::Interrupted {
        return stopped();
    }
    let loaded = LoadedRun::open(&run, &[], device)?;
    let Some(material) = Material::gather(&loaded, &data, &pairs, request.count, device, &live)? else {
        return stopped();
    };
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let outlook = pace.map_or_else(String::new, |pace| outlook(&pace, &loaded.config));
    let [minutes, more] = [format!("this run of the demo took {minutes:.1} minutes"), outlook];
    material.page(&loaded, sampled.agreement.clone(), &request.out, [&minutes, &more], &starter)?.write(&page)?;
    Ok(DemoSummary { outcome: Outcome::Finished, page, agreement: sampled.agreement })
}

/// The configuration with as many steps as fit into the minutes, and how these are used; the configuration as it is if the request says how
/// many steps there are.
fn paced(
    request: &DemoRequest,
    config: Config,
    data: &Path,
    run: &Path,
    started: Instant,
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Config, Option<Pace>)> {
    if gives_steps(&request.sets) {
        note(observer, "--set gives the number of training steps, so --minutes decides nothing");
        return Ok((config, None));
    }
    let measured = plan(&config, Folders::pairs(data), run, device, observer)?;
    let elapsed = started.elapsed().as_secs_f64();
    let samples = request.count as usize;
    let (train, pace) = fitted(&measured.config, &measured.networks, request.minutes, elapsed, samples)?;
    let config = Config { train, ..config };
    let steps: Vec<String> =
        config.trained_roles().map(|role| format!("{} steps for {}", config.steps(role), role.name())).collect();
    note(
        observer,
        format!(
            "this machine trains {:.1} images a second; into {} minutes fit {} of {} images each",
            pace.images_per_second,
            request.minutes,
            steps.join(" and "),
            config.train.batch_size
        ),
    );
    if let Some(words) = shortage(&config) {
        warn(observer, words);
    }
    Ok((config, Some(pace)))
}

/// What to say if a network is trained for too few steps.
fn shortage(config: &Config) -> Option<String> {
    config.trained_roles().any(|role| config.steps(role) < LEAST_STEPS).then(|| {
        format!(
            "after fewer than {LEAST_STEPS} steps of a network the pairs are noise, and their verdict says nothing; give more --minutes for pairs; \
             the phantoms do not depend on it"
        )
    })
}

/// Whether settings say how long the networks are trained.
fn gives_steps(sets: &[String]) -> bool {
    sets.iter().any(|set| set.split('=').next().is_some_and(|key| key.starts_with("train.") && key.ends_with("steps")))
}

/// What more time would give.
fn outlook(pace: &Pace, config: &Config) -> String {
    let (more, steps) = (3.0 * pace.minutes, config.train.steps as f64);
    let times = pace.times_in(more);
    format!(
        "In these minutes the networks saw {:.1} training images a second. More time makes rounder outlines: pig demo --minutes {more:.0} \
         would train {times:.1} times as long ({:.0} steps of the last network instead of {steps:.0}) on this machine.",
        pace.images_per_second,
        steps * times,
    )
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
        let has_clusters = text.lines().next().is_some_and(|columns| columns.contains(CALCIFICATION_COLUMN));
        if has_clusters != request.calcifications {
            let what = if has_clusters { "with" } else { "without" };
            return Err(Error::BadFile {
                path: data.to_owned(),
                problem: format!("holds phantom images of an earlier demo {what} calcifications"),
                advice: "choose another --out, or give --calcifications as before",
            });
        }
        note(observer, format!("{}: the phantom images already exist", data.display()));
        return Ok(());
    }
    let calcification_share = if request.calcifications { 0.5 } else { 0.0 };
    let phantom = PhantomConfig { patients: request.patients, calcification_share, ..PhantomConfig::default() };
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
fn continue_run(
    run: &Path,
    config: &Config,
    sets: &[String],
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let stored = RunDir::open_verified(run)?.config()?;
    // Without numbers of steps in the settings, those of the run follow from the machine and the minutes when it began.
    let own = if gives_steps(sets) {
        config.clone()
    } else {
        Config { train: config.train.clone().with_steps_of(&stored.train), ..config.clone() }
    };
    if !own.gives(&stored) {
        return Err(Error::RunExists { path: run.to_owned() });
    }
    resume(run, None, device, observer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_of_too_few_steps_says_so() {
        let mut config = Config::default();
        (config.train.steps, config.train.model_x_steps) = (LEAST_STEPS, Some(LEAST_STEPS));
        assert_eq!(shortage(&config), None);
        config.train.model_x_steps = Some(LEAST_STEPS - 1);
        assert!(shortage(&config).is_some_and(|words| words.contains("give more --minutes")));
    }
}
