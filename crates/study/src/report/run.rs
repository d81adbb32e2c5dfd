//! Pages of single runs: generators and segmenters.

use crate::{
    report::page::{Page, Report, Request, common_limits, data_folder, fact},
    showcase::{self, Generated},
};
use burn::tensor::Device;
use pig_data::PreparedSet;
use pig_metrics::agreement::{Agreement, Verdict};
use pig_report::{Block, Figure, Overlay, Picture, Table, overlay};
use pig_segment::{
    config::SegmentFile,
    predict::SegmentModel,
    run::{best_dice, charts as segmenter_charts},
    scores::dice_of,
};
use pig_train::{
    Config, Result,
    checkpoint::Store,
    curves::charts,
    generation::{Request as Sampling, Summary, generate},
    given::GivenSource,
    loaded::LoadedRun,
    matched,
    metrics_log::{self, Line},
    model_card::{further_words, start_sentence},
    observer::Observer,
    pictures::class_colours,
    role::Role,
    run_data::RunData,
    run_dir::{Provenance, RunDir},
    sampler::Sampler,
    strips::strips,
};

/// Number of pairs of each kind on a contact sheet, and number of worst cases that are shown.
const SHEET_PAIRS: usize = 12;
pub(super) const WORST: usize = 6;

/// The page of a generator.
pub(super) fn of_generator(
    request: &Request,
    run: &RunDir,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Report> {
    let (config, provenance, lines) = (run.config()?, run.provenance()?, metrics_log::read(run.path())?);
    let mut page = Page::new();
    page.heading("In words");
    page.add(Block::Paragraph(trained(&config, &provenance)));
    for words in further_words(&provenance).into_iter().chain(start_sentence(&config)) {
        page.add(Block::Paragraph(words));
    }
    for words in ended(&config, run) {
        page.add(Block::Warning(words));
    }
    let guidance = matched::found(run, &config);
    let facts_of_training = losses(&config, &lines).into_iter().chain(forecast(&config, &provenance, &lines));
    page.add(Block::List(facts_of_training.chain(guidance.map(|found| format!("{}.", found.words()))).collect()));
    let shown = if request.count == 0 { Ok(None) } else { pairs(request, run, device, observer).map(Some) };
    let mut agreement = None;
    match shown {
        Ok(None) => {}
        Ok(Some(shown)) => {
            agreement.clone_from(&shown.summary.agreement);
            if let Some(agreement) = &agreement {
                page.heading("Do image and mask belong together?");
                agreement_blocks(&mut page, agreement);
            }
            shown.add(&mut page, &config, device, observer)?;
        }
        Err(error) => page.missing.push(format!("Generated pairs: {error}")),
    }
    page.heading("Training");
    page.add(Block::Curves(charts(&lines)));
    let json = serde_json::json!({
        "kind": "generator",
        "method": config.method.word(),
        "provenance": provenance,
        "agreement": agreement,
        "guidance": guidance,
        "last": lines.last(),
    });
    let title = format!("A generator of pairs: {}", config.method.word());
    let mut limits = common_limits();
    limits.push("Pair agreement shows that images fit their masks, not that the pairs help a segmenter.".to_owned());
    let [height, width] = config.data.size;
    let lead = format!("Trained on {} real pairs at {height} x {width}.", provenance.pairs[0]);
    let document = page.finish(title, lead, limits, &config.to_toml(), facts(&provenance));
    Ok(Report { document, json })
}

fn trained(config: &Config, provenance: &Provenance) -> String {
    let networks: Vec<String> =
        config.roles().iter().map(|&role| format!("{} for {} steps", role.name(), config.steps(role))).collect();
    format!(
        "Method {}: {}, with {} pairs in each step. Training used {} pairs of {} patients or groups, validation {} pairs of {}; the data was split {}.",
        config.method.word(),
        networks.join(", "),
        config.train.batch_size,
        provenance.pairs[0],
        provenance.groups[0],
        provenance.pairs[1],
        provenance.groups[1],
        provenance.split_by,
    )
}

/// The networks whose training ended before its last step.
fn ended(config: &Config, run: &RunDir) -> Vec<String> {
    let of = |role: Role| {
        let (state, ..) = Store::new(run.path(), role.name()).load_ema().ok()?;
        state.has_ended.then(|| {
            format!(
                "The training of {} ended, since its pairs may be copies of training images (train.stop_on_copies). Its weights are those of \
                 step {} of {}.",
                role.name(),
                state.step,
                config.steps(role)
            )
        })
    };
    config.trained_roles().filter_map(of).collect()
}

/// The forecast of `pig plan` beside the time that the training took, if it was planned.
fn forecast(config: &Config, provenance: &Provenance, lines: &[Line]) -> Option<String> {
    if !provenance.legs.is_empty() {
        // The forecast was for the first leg alone.
        return None;
    }
    let (planned, images) = (config.train.planned_hours?, config.train.images_in_step());
    let mut seconds = 0.0;
    for role in config.trained_roles() {
        let mut before = 0;
        for line in lines.iter().filter(|line| line.network == role.name()) {
            let Some(rate) = line.images_per_second else { continue };
            // Steps that were made again after a stop are not among the lines.
            seconds += (line.step.saturating_sub(before) * images) as f64 / rate.max(f64::MIN_POSITIVE);
            before = line.step;
        }
    }
    let hours = seconds / 3600.0;
    // Hours of two digits say nothing of a training of minutes.
    let (unit, each) = if planned < 1.0 { ("minutes", 60.0) } else { ("hours", 1.0) };
    Some(format!(
        "pig plan forecast {:.2} {unit} of training; it took {:.2} ({:+.0} %).",
        each * planned,
        each * hours,
        100.0 * (hours / planned - 1.0)
    ))
}

/// The last validation loss of every network.
fn losses(config: &Config, lines: &[Line]) -> Vec<String> {
    let of = |name: &str| {
        let last = lines.iter().rev().find(|line| line.network == name && line.validation.is_some())?;
        let loss = last.validation?.mean;
        Some(format!(
            "{name}: validation loss {loss:.4} (mean squared error of the averaged weights) at step {}.",
            last.step
        ))
    };
    config.roles().iter().filter_map(|&role| of(role.name())).collect()
}

/// The content of provenance.json.
pub(super) fn facts(provenance: &Provenance) -> Vec<[String; 2]> {
    vec![
        fact("trained by", &provenance.program),
        fact("begun", &provenance.started),
        fact("device", &provenance.device),
        fact("threads", provenance.threads.to_string()),
        fact("configuration, SHA-256", &provenance.config_sha256),
        fact("prepared data, SHA-256", &provenance.data_sha256),
        fact("split, SHA-256", &provenance.splits_sha256),
    ]
}

fn agreement_blocks(page: &mut Page, agreement: &Agreement) {
    let sentence = agreement.verdict_sentence();
    page.add(match agreement.verdict {
        Verdict::NotAboveShuffled => Block::Warning(sentence),
        _ => Block::Paragraph(sentence),
    });
    let head = ["lesion contrast", "mean", "95 % interval", "counted"];
    let rows = agreement.rows().into_iter().map(|(name, estimate, note)| {
        let [mean, interval] = estimate.map_or(["none".to_owned(), String::new()], |e| {
            [format!("{:+.3}", e.mean), format!("{:+.3} to {:+.3}", e.low, e.high)]
        });
        vec![name.to_owned(), mean, interval, note]
    });
    let table = Table { head: head.map(str::to_owned).to_vec(), rows: rows.collect() };
    let definition = format!(
        "Lesion contrast: {}. Shuffled: generated images under the masks of other generated images, paired by image and by mask.",
        agreement.definition()
    );
    page.measures(table, definition);
}

/// Generated pairs of a run beside its real ones.
struct Shown {
    loaded: LoadedRun,
    summary: Summary,
    generated: Vec<Generated>,
    real: RunData,
}

/// Makes the first pairs in the run's folder `samples`, unless they exist already.
fn pairs(request: &Request, run: &RunDir, device: &Device, observer: &dyn Observer) -> Result<Shown> {
    let data = data_folder(request, run.path())?;
    let loaded = LoadedRun::open(run.path(), &[], device)?;
    let seeds: Vec<u64> = (0..request.count).collect();
    let folder = run.path().join("samples");
    let source = if loaded.config.method.needs_masks() { GivenSource::TrainingMasks } else { GivenSource::Nothing };
    let asked = Sampling { source, data: Some(data.clone()), ..Sampling::new(run.path(), &folder, &seeds) };
    let summary = generate(&asked, device, observer)?;
    let has_masks = loaded.config.method.has_masks();
    let generated: Result<Vec<Generated>> = if has_masks {
        let read = |seed| Generated::read(&folder, seed, &loaded.preparation);
        (0..summary.finished.pairs.min(seeds.len()) as u64).map(read).collect()
    } else {
        Ok(Vec::new())
    };
    let real = RunData::of_run(&data, run, observer)?;
    Ok(Shown { loaded, summary, generated: generated?, real })
}

impl Shown {
    fn add(&self, page: &mut Page, config: &Config, device: &Device, observer: &dyn Observer) -> Result<()> {
        if self.generated.is_empty() {
            page.missing
                .push("Generated pairs: the method makes images without masks; the images are in samples/".to_owned());
            return Ok(());
        }
        let [training, held_out] = self.real.parts();
        let titles = ["real pairs (training)", "generated pairs"];
        page.heading("Real and generated pairs");
        page.add(Block::Figure(Figure::new(
            showcase::sheet(&training, &self.generated, SHEET_PAIRS, titles, 4)?,
            "Each pair shows the image on the left, and the same image with the outline of its mask on the right. The generated pairs are those of the first seeds, in order.",
            "real pairs, then generated pairs, with outlined masks",
        )));
        if config.method.makes_masks() {
            let sampler = Sampler::new(&self.loaded.config, self.loaded.networks.as_ref(), device)?;
            if let Some(strips) = strips(&self.loaded.config, &sampler, &(0..4).collect::<Vec<_>>(), observer)? {
                page.heading("From noise to pair");
                page.add(Block::Figure(Figure::new(
                    strips,
                    "What the networks estimate as the finished mask (above) and image (below), from noise on the left to the last step on the right.",
                    "estimates of mask and image at decreasing noise",
                )));
            } else {
                page.missing.push("From noise to pair: interrupted; make the page again".to_owned());
            }
        }
        page.heading("Mask areas and intensities");
        page.add(Block::Charts(showcase::histograms(("real", &self.real.set), &self.generated)?));
        page.heading("Nearest training images");
        page.add(Block::Nearest(showcase::neighbours(&training, &held_out, &self.generated)?));
        Ok(())
    }
}

/// The page of a segmenter.
pub(super) fn of_segmenter(
    request: &Request,
    run: &RunDir,
    file: &SegmentFile,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Report> {
    let (provenance, lines) = (run.provenance()?, metrics_log::read(run.path())?);
    let best = best_dice(&lines);
    let mut page = Page::new();
    page.heading("In words");
    page.add(Block::Paragraph(format!(
        "The split has {} training pairs of {} patients or groups. {} generated pairs were added to them or replaced them. Validation used {} pairs of {}. {}",
        provenance.pairs[0],
        provenance.groups[0],
        provenance.added.unwrap_or(0),
        provenance.pairs[1],
        provenance.groups[1],
        best.map_or("No checkpoint was validated yet.".to_owned(), |(step, dice)| format!(
            "The greatest mean Dice on validation pairs was {:.2} % at step {step}; the weights were chosen by this number, so it is too high as an estimate.",
            100.0 * dice
        )),
    )));
    let shown = data_folder(request, run.path()).and_then(|data| {
        let model = SegmentModel::open(run.path(), device)?;
        let [_, held_out] = RunData::of_run(&data, run, observer)?.parts();
        worst_cases(&model, &held_out, device)
    });
    page.optional("Worst validation cases", shown);
    page.heading("Training");
    page.add(Block::Curves(segmenter_charts(&lines)));
    let json = serde_json::json!({
        "kind": "segmenter", "provenance": provenance, "best": best.map(|(step, dice)| [step as f64, dice]),
    });
    let mut limits = common_limits();
    limits.push(
        "The weights were chosen on the validation patients; only test patients show how good they are.".to_owned(),
    );
    let lead = format!("A segmenter whose split has {} real training pairs.", provenance.pairs[0]);
    let document = page.finish("A segmenter".to_owned(), lead, limits, &file.to_toml(), facts(&provenance));
    Ok(Report { document, json })
}

/// The cases with the lowest Dice, with true and predicted outlines.
pub(super) fn worst_cases(model: &SegmentModel, set: &PreparedSet, device: &Device) -> Result<Vec<Block>> {
    let decision = model.file.decision();
    let dice = model.each(set, device, |index, found| dice_of(&found, set, index, &decision))?;
    let mut scored: Vec<(usize, f64)> =
        dice.iter().enumerate().filter_map(|(index, dice)| Some((index, (*dice)?))).collect();
    scored.sort_by(|a, b| a.1.total_cmp(&b.1));
    scored.truncate(WORST);
    // Of all pictures, only the worst are predicted again, instead of keeping all predictions.
    let worst = set.subset(&scored.iter().map(|&(index, _)| index).collect::<Vec<_>>());
    let predicted = model.each(&worst, device, |_, found| Ok(decision.labels(&found)))?;
    let [height, width] = set.size;
    let figure = |(&(index, dice), prediction): (&(usize, f64), Vec<u8>)| -> Result<Block> {
        let image = pig_data::Preparation::display(&set.image(index)?);
        let drawn = overlay(&Overlay {
            image: Picture::from_bytes(&image, height, width, set.channels)?,
            truth: Some(set.labels(index)?),
            prediction,
            label: format!("Dice {:.1} %", 100.0 * dice),
            classes: class_colours(&model.file.data),
        })?;
        let colours =
            if model.file.data.has_several_classes() { "" } else { " Blue: true outline; orange: predicted." };
        let caption = format!("{}: Dice {:.1} %.{colours}", set.ids[index], 100.0 * dice);
        Ok(Block::Figure(Figure::new(drawn, caption, "image, true outline, predicted outline, both").real()))
    };
    scored.iter().zip(predicted).map(figure).collect()
}
