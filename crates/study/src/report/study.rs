//! Pages of cross-validations and experiments.

use crate::{
    crossval::{
        ArmGenerator, Piece, PieceKind,
        config::{ArmConfig, CrossvalFile, REAL},
        piece::{Done, Found, PAIRS, RESULTS, RUN, fold_folder, seed_folder},
        results::{ArmResult, ClassResults, Results},
        text::{AGREEMENT, PAPER, points},
        verdict::no_verdict,
    },
    experiments::{
        fig3::{Fig3, strips_path},
        low_data::LowData,
        study::{Experiment, Identity, notes},
        table1::Table1,
    },
    report::{
        page::{Page, Report, Request, common_limits, data_folder, fact},
        run::worst_cases,
    },
    showcase::{self, Generated},
};
use burn::tensor::Device;
use pig_data::{DataError, Dataset, PreparedSet, Splits};
use pig_report::{Block, Chart, Figure, Picture, Series, canvas::Canvas};
use pig_segment::predict::SegmentModel;
use pig_train::{Error, Result, observer::Observer, run_data::RunData, run_dir::RunDir};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// The configuration file of a cross-validation; it identifies the folder.
pub(super) const CROSSVAL: &str = "crossval.toml";

/// Number of pairs of each kind in a montage.
const MONTAGE: usize = 8;

fn results<T: DeserializeOwned>(out: &Path) -> Result<T> {
    let path = out.join(RESULTS);
    let text = pig_files::read(&path).map_err(|_| Error::BadFile {
        path: path.clone(),
        problem: "nothing is finished yet".to_owned(),
        advice: "run the experiment first, or one part of it",
    })?;
    serde_json::from_slice(&text).map_err(|error| Error::BadFile {
        path,
        problem: error.to_string(),
        advice: "run the experiment again, which rewrites the file from the finished parts",
    })
}

/// The results of a cross-validation. Those of earlier versions do not say whether they allow a verdict, so it is found anew.
fn crossval_results(out: &Path, file: &CrossvalFile) -> Result<Results> {
    let mut found: Results = results(out)?;
    found.no_verdict = no_verdict(file);
    Ok(found)
}

/// The page of a cross-validation.
pub(super) fn of_crossval(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Report> {
    let out = &request.path;
    let file = crossval_file(out)?;
    let found = crossval_results(out, &file)?;
    let mut page = Page::new();
    table2_blocks(&mut page, &found);
    pictures(&mut page, request, out, &file, Some(&found), device, observer);
    let title = "Do generated pairs help a segmenter?".to_owned();
    let json = json_of(&found)?;
    Ok(finish(page, (title, &found.definition), &file.to_toml(), folds_facts(out), json, file.crossval.generators()))
}

/// The page of an experiment.
pub(super) fn of_experiment(
    request: &Request,
    identity: &Identity,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Report> {
    let out = &request.path;
    let mut page = Page::new();
    let mut generators = 1;
    let (definition, json) = match identity.experiment {
        Experiment::Table2 => {
            let file = crossval_file(out)?;
            let found = crossval_results(out, &file)?;
            generators = file.crossval.generators();
            table2_blocks(&mut page, &found);
            pictures(&mut page, request, out, &file, Some(&found), device, observer);
            (found.definition.clone(), json_of(&found)?)
        }
        Experiment::LowData => {
            let mut found: LowData = results(out)?;
            let largest =
                largest_share(out)?.map(|folder| Ok::<_, Error>((crossval_file(&folder)?, folder))).transpose()?;
            if let Some((file, _)) = &largest {
                // All shares have the same segmenters and generators.
                generators = file.crossval.generators();
                found.shares.iter_mut().for_each(|share| share.results.no_verdict = no_verdict(file));
            }
            low_data_blocks(&mut page, &found);
            if let Some((file, folder)) = &largest {
                pictures(&mut page, request, folder, file, None, device, observer);
            }
            (found.definition.clone(), json_of(&found)?)
        }
        Experiment::Table1 => {
            let found: Table1 = results(out)?;
            table1_blocks(&mut page, &found);
            page.optional("Real and generated images", image_sheets(out));
            (found.definition.clone(), json_of(&found)?)
        }
        Experiment::Fig3 => {
            let found: Fig3 = results(out)?;
            fig3_blocks(&mut page, &found, out);
            (found.definition.clone(), json_of(&found)?)
        }
    };
    let settings = toml::to_string_pretty(&identity.settings).unwrap_or_default();
    let mut facts = vec![
        fact("experiment", format!("{} at budget {}", identity.experiment.word(), identity.budget.word())),
        fact("begun by", &identity.program),
    ];
    facts.extend(folds_facts(out));
    let title = identity.experiment.question().to_owned();
    let lead = format!("{} {}", notes(identity.budget, &identity.notes), first_sentence(&definition));
    Ok(finish(page, (title, &lead), &settings, facts, json, generators))
}

fn json_of<T: Serialize>(found: &T) -> Result<serde_json::Value> {
    let failed = |error: serde_json::Error| DataError::Encode { path: RESULTS.into(), problem: error.to_string() };
    Ok(serde_json::to_value(found).map_err(failed)?)
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first)
}

fn finish(
    page: Page,
    (title, lead): (String, &str),
    settings: &str,
    facts: Vec<[String; 2]>,
    json: serde_json::Value,
    generators: usize,
) -> Report {
    let mut limits = common_limits();
    if generators == 1 {
        limits.push(
            "In a fold, every generator was trained with one seed; how much the results vary with that seed is not measured."
                .to_owned(),
        );
    }
    limits.push("Intervals are by patient of this data set; they do not cover other hospitals and devices.".to_owned());
    let document = page.finish(title, lead.to_owned(), limits, settings, facts);
    Report { document, json }
}

fn crossval_file(out: &Path) -> Result<CrossvalFile> {
    let layers = pig_train::config::Layers { file: Some(out.join(CROSSVAL)), sets: Vec::new() };
    Ok(layers.load_as()?)
}

/// The SHA-256 of every existing split of a fold.
fn folds_facts(out: &Path) -> Vec<[String; 2]> {
    let split = |fold: usize| Splits::load(&fold_folder(out, fold).join("splits.json")).ok();
    let splits = (0..).map_while(|fold| Some((fold, split(fold)?)));
    splits.map(|(fold, splits)| fact(&format!("split of fold {fold}, SHA-256"), splits.sha256)).collect()
}

/// Summary, tables and curves of a cross-validation.
fn table2_blocks(page: &mut Page, found: &Results) {
    page.heading("In words");
    page.add(Block::List(found.arms.iter().filter_map(|arm| sentence(arm, found)).collect()));
    for pairing in &found.pairing {
        let words = pairing.sentence(&found.no_verdict);
        page.add(match pairing.is_above_shuffled() {
            Some(false) if pairing.is_verdict(&found.no_verdict) => Block::Warning(words),
            _ => Block::Paragraph(words),
        });
    }
    found.verdict_notes().into_iter().for_each(|note| page.add(Block::Warning(note)));
    page.heading("Segmenters on test patients");
    let sources = found.sources().unwrap_or_default();
    page.measures(found.table(), format!("{} {sources}", found.definition));
    page.heading("As the paper prints it");
    page.measures(found.paper_table(), PAPER);
    let chart = dice_chart(found);
    if chart.series.iter().any(|series| series.points.len() > 1) {
        page.add(Block::Curves(vec![chart]));
    }
    if found.has_agreement() {
        page.heading("Do image and mask belong together?");
        page.measures(found.agreement_table(), AGREEMENT);
    }
    for ClassResults { class, results } in &found.classes {
        page.heading(&format!("Class {class}"));
        page.add(Block::List(results.arms.iter().filter_map(|arm| sentence(arm, results)).collect()));
        page.measures(results.table(), format!("{} {}", results.definition, results.sources().unwrap_or_default()));
        if results.has_agreement() {
            page.measures(results.agreement_table(), format!("Only the class {class}. {AGREEMENT}"));
        }
    }
}

fn dice(arm: &ArmResult) -> Option<f64> {
    Some(arm.lesion_dice?.mean)
}

fn sentence(arm: &ArmResult, found: &Results) -> Option<String> {
    let mean = 100.0 * dice(arm)?;
    if arm.arm == REAL {
        return Some(format!("Real pairs alone: Dice {mean:.2} % on slices with a lesion."));
    }
    let of = |what: &str| format!("{}: Dice {mean:.2} % with {:.0} generated pairs, {what}.", arm.arm, arm.added);
    let Some(against) = &arm.against_real else {
        let real = found.arms.first().and_then(dice);
        return Some(of(if real.is_some() { "not comparable yet" } else { "real pairs alone are not measured yet" }));
    };
    let d = against.difference;
    let verdict = match (d.low > 0.0, d.high < 0.0) {
        _ if !found.why_no_verdict(arm).is_empty() => "no verdict",
        (true, _) if against.is_family_wise() => "better than real pairs alone",
        (_, true) if against.is_family_wise() => "worse than real pairs alone",
        (true, _) | (_, true) => "a difference for this row alone, none after Holm's correction for all rows",
        _ => "a tie: not distinguishable from real pairs alone",
    };
    Some(of(&format!("{} % points: {verdict}", points(Some(against)))))
}

/// Dice by the number of added pairs, with one line for each generator.
fn dice_chart(found: &Results) -> Chart {
    let mut series: Vec<Series> = Vec::new();
    let real = found.arms.first().and_then(dice).map(|dice| (0.0, 100.0 * dice));
    for arm in &found.arms {
        let (Some((name, _)), Some(dice)) = (arm.arm.split_once("-add-"), dice(arm)) else { continue };
        let point = (arm.added, 100.0 * dice);
        match series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => series.push(Series::new(name, real.into_iter().chain([point]).collect())),
        }
    }
    for series in &mut series {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    Chart {
        title: "Dice with generated pairs beside all real ones".to_owned(),
        x_label: "generated pairs (0: real pairs alone)".to_owned(),
        y_label: "Dice %, slices with a lesion".to_owned(),
        series,
        ..Chart::default()
    }
}

fn low_data_blocks(page: &mut Page, found: &LowData) {
    page.heading("In words");
    let words = found.shares.iter().flat_map(|share| {
        let arms = share.results.arms.iter().filter_map(|arm| sentence(arm, &share.results));
        arms.map(move |words| {
            format!("{:.0} % of the patients ({:.1} for training): {words}", 100.0 * share.share, share.patients)
        })
    });
    page.add(Block::List(words.collect()));
    found.verdict_notes().into_iter().for_each(|note| page.add(Block::Warning(note)));
    page.heading("Segmenters on test patients");
    page.measures(found.table(), format!("{} {}", found.definition, found.sources().unwrap_or_default()));
    let mut series: Vec<Series> = Vec::new();
    for share in &found.shares {
        for arm in &share.results.arms {
            let Some(dice) = dice(arm) else { continue };
            let point = (share.patients, 100.0 * dice);
            match series.iter_mut().find(|series| series.name == arm.arm) {
                Some(series) => series.points.push(point),
                None => series.push(Series::new(&arm.arm, vec![point])),
            }
        }
    }
    page.add(Block::Curves(vec![Chart {
        title: "Dice by the number of training patients".to_owned(),
        x_label: "training patients of a fold".to_owned(),
        y_label: "Dice %, slices with a lesion".to_owned(),
        series,
        ..Chart::default()
    }]));
    low_data_classes(page, found);
}

fn low_data_classes(page: &mut Page, found: &LowData) {
    for (class, definition, table) in found.class_tables() {
        page.heading(&format!("Class {class}"));
        page.measures(table, definition);
    }
}

fn largest_share(out: &Path) -> Result<Option<std::path::PathBuf>> {
    let entries = std::fs::read_dir(out).map_err(Error::io(out, "list"))?;
    let is_share = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("patients-")) && path.is_dir()
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_share).collect();
    folders.sort();
    Ok(folders.pop())
}

fn table1_blocks(page: &mut Page, found: &Table1) {
    page.heading("In words");
    let words = found.measured.iter().map(|row| {
        let floor = row
            .floor
            .and_then(|floor| floor[2])
            .map_or(String::new(), |floor| format!(", between real images of different patients {floor:.5}"));
        let kernel = row.kernel.map_or("-".to_owned(), |kernel| format!("{kernel:.5}"));
        format!(
            "{} against {}: Frechet distance {:.2}, kernel distance {kernel}{floor} ({} images against {}).",
            row.method, row.reference, row.frechet, row.images[0], row.images[1]
        )
    });
    page.add(Block::List(words.chain(found.ties()).collect()));
    found.warnings().into_iter().for_each(|warning| page.add(Block::Warning(format!("{warning}."))));
    page.heading("Distances from real images");
    page.measures(found.table(), &found.definition);
}

fn fig3_blocks(page: &mut Page, found: &Fig3, out: &Path) {
    page.heading("In words");
    page.add(Block::Paragraph(found.sentence()));
    page.heading("From noise to pair");
    page.add(Block::Curves(vec![found.chart()]));
    page.measures(found.table(), &found.definition);
    page.optional("Strips", picture(&strips_path(out)).map(|canvas| {
        vec![Block::Figure(Figure::new(
            canvas,
            "What the networks estimate as the finished mask (above) and image (below), from noise on the left to the last step on the right.",
            "estimates of mask and image at decreasing noise",
        ))]
    }));
}

/// Reads a PNG file as a canvas, without changes.
fn picture(path: &Path) -> Result<Canvas> {
    let image = pig_data::read::read_image(path, 3)?;
    let picture = Picture::from_bytes(&image.to_8_bits(), image.height, image.width, 3)?;
    let mut canvas = Canvas::new(image.width, image.height, [0; 3]);
    canvas.picture((0, 0), &picture, 1);
    Ok(canvas)
}

/// Real images and the images of each method, as table1 wrote them.
fn image_sheets(out: &Path) -> Result<Vec<Block>> {
    let Some(fold) = (0..).take(64).find(|&fold| fold_folder(out, fold).join("images").is_dir()) else {
        return Ok(Vec::new());
    };
    let root = fold_folder(out, fold);
    let folders = [
        ("real images (held-out patients)", root.join("reference/held-out")),
        ("DDPM", root.join("images/ddpm")),
        ("DDIM", root.join("images/ddim")),
        ("PIG", root.join("images/pig")),
    ];
    let mut sections = Vec::new();
    for (title, folder) in folders.iter().filter(|(_, folder)| folder.is_dir()) {
        let files = pig_data::folder::pictures(folder, pig_data::folder::Kind::Images)?;
        let pairs: Result<Vec<pig_report::PairPicture>> = files
            .values()
            .take(MONTAGE)
            .map(|path| {
                let image = pig_data::read::read_image(path, 3)?;
                let mask = vec![0; image.height * image.width];
                let image = Picture::from_bytes(&image.to_8_bits(), image.height, image.width, 3)?;
                Ok(pig_report::PairPicture { image, mask, label: String::new() })
            })
            .collect();
        sections.push(pig_report::Section { title: (*title).to_owned(), pairs: pairs? });
    }
    let style = pig_report::SheetStyle {
        columns: MONTAGE,
        show: pig_report::contact_sheet::Show::Outline,
        ..pig_report::SheetStyle::default()
    };
    let sheet = pig_report::contact_sheet(&sections, &style)?;
    let caption = "The first images of each set in the order of their numbers, as they were measured.";
    Ok(vec![Block::Figure(Figure::new(sheet, caption, "real images, then images of each method"))])
}

/// Adds the pictures of the first fold: the pairs of every generator, nearest training images, worst cases.
fn pictures(
    page: &mut Page,
    request: &Request,
    out: &Path,
    file: &CrossvalFile,
    found: Option<&Results>,
    device: &Device,
    observer: &dyn Observer,
) {
    let material = Material::read(request, out, file, observer);
    let material = match material {
        Ok(material) => material,
        Err(error) => {
            page.missing.push(format!("Pictures of pairs and cases: {error}"));
            return;
        }
    };
    page.optional("Real and generated pairs", material.montages());
    page.optional("Nearest training images", material.nearest());
    let labels = [Some(REAL.to_owned()), found.and_then(best)];
    for label in labels.into_iter().flatten() {
        page.optional(&format!("Worst test cases of fold 0: {label}"), material.worst(&label, device));
    }
}

/// The label of the training set with the greatest Dice, real pairs alone excluded.
fn best(found: &Results) -> Option<String> {
    let others = found.arms.iter().filter(|arm| arm.arm != REAL);
    let best = others.filter_map(|arm| Some((arm, dice(arm)?))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(best.0.arm.clone())
}

/// The first fold's data.
struct Material<'a> {
    out: &'a Path,
    file: &'a CrossvalFile,
    real: RunData,
    test: PreparedSet,
}

impl<'a> Material<'a> {
    fn read(request: &Request, out: &'a Path, file: &'a CrossvalFile, observer: &dyn Observer) -> Result<Self> {
        let data = data_folder(request, out).or_else(|_| data_folder(request, &request.path))?;
        let splits = Splits::load(&fold_folder(out, 0).join("splits.json"))?;
        let real = RunData::with_splits(&data, &file.data, splits, observer)?;
        let test = real.test(&Dataset::discover(&data, &file.data)?, observer)?;
        Ok(Self { out, file, real, test })
    }

    /// The pairs of an arm's first generator; empty if the arm has none here.
    fn generated(&self, arm: usize) -> Result<Vec<Generated>> {
        let kind = PieceKind::Generator(ArmGenerator { arm, number: 0 });
        let folder = Piece { fold: 0, kind }.folder(self.file, self.out);
        let Some(Done { found: Found::Generator { seeds, .. }, .. }) = Done::read(&folder)? else {
            return Ok(Vec::new());
        };
        let pairs = folder.join(PAIRS);
        if !pairs.is_dir() {
            return Ok(Vec::new());
        }
        let preparation = self.real.preparation.of_generated();
        seeds.iter().map(|&seed| Generated::read(&pairs, seed, &preparation)).collect()
    }

    fn montages(&self) -> Result<Vec<Block>> {
        let [training, _] = self.real.parts();
        let mut blocks = Vec::new();
        for (number, arm) in self.file.crossval.arms.iter().enumerate() {
            let generated = self.generated(number)?;
            if generated.is_empty() {
                continue;
            }
            let titles = ["real pairs (training, fold 0)", &format!("generated: {}", arm.name)];
            blocks.push(Block::Figure(Figure::new(
                showcase::sheet(&training, &generated, MONTAGE, titles, 4)?,
                format!("{}: each pair shows the image on the left, and the same image with the outline of its mask on the right; the first pairs in the order in which segmenters use them.", arm.name),
                "real pairs, then generated pairs, with outlined masks",
            )));
        }
        Ok(blocks)
    }

    fn nearest(&self) -> Result<Vec<Block>> {
        let is_pig = |arm: &ArmConfig| arm.name == crate::experiments::config::PIG;
        let Some(arm) = self.file.crossval.arms.iter().position(is_pig) else { return Ok(Vec::new()) };
        let generated = self.generated(arm)?;
        if generated.is_empty() {
            return Ok(Vec::new());
        }
        let [training, _] = self.real.parts();
        Ok(vec![Block::Nearest(showcase::neighbours(&training, &self.test, &generated)?)])
    }

    fn worst(&self, label: &str, device: &Device) -> Result<Vec<Block>> {
        let seed = self.file.crossval.segmenter_seeds.first().copied().unwrap_or(0);
        let run = fold_folder(self.out, 0).join("segmenters").join(label).join(seed_folder(seed)).join(RUN);
        RunDir::open(&run)?;
        worst_cases(&SegmentModel::open(&run, device)?, &self.test, device)
    }
}
