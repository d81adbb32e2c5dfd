//! Fig. 3: sampling from noise to a pair, as pictures and as a curve. It measures "shape early, texture later": how similar the estimated
//! mask at timestep t (x_0-hat, thresholded) is to the finished mask, and how similar the estimated image (y_0-hat) is to the finished
//! image.

use crate::{
    crossval::piece::RESULTS,
    experiments::{config::PIG, generators::Fold, latex::write_latex, study::Study},
};
use burn::tensor::Device;
use pig_data::{
    manifest::{Manifest, Row as ManifestRow},
    read,
    table::{Column, Columns, write_csv},
};
use pig_metrics::{
    bootstrap::{Bootstrap, Estimate, bootstrap_mean},
    overlap::{BothEmpty, Counts},
    ssim::{ms_ssim, scales},
};
use pig_report::{Chart, Series, Table, canvas::SYNTHETIC, write_curves};
use pig_train::{
    Config, Error, Result,
    loaded::LoadedRun,
    observer::{Event, Observer, Outcome},
    sampler::Sampler,
    samples::Samples,
    strips::{estimates, strips},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// The greatest number of measured timesteps, and the number of rows of the table.
const MEASURED: usize = 64;
const SHOWN: usize = 12;
/// A mask or image counts as formed when its similarity is at least this.
const THERE: f64 = 0.9;

/// One sample at one timestep.
#[derive(Clone, Debug, PartialEq)]
struct Case {
    seed: u64,
    t: usize,
    /// Dice of the estimated mask with the finished mask; none if both are empty.
    dice: Option<f64>,
    /// MS-SSIM of the estimated image with the finished image; none if a side is shorter than 11 pixels.
    similarity: Option<f64>,
}

const COLUMNS: &Columns<Case> = &[
    ("seed", Column::Count(|case| case.seed)),
    ("t", Column::Count(|case| case.t as u64)),
    ("dice", Column::MaybeNumber(|case| case.dice)),
    ("similarity", Column::MaybeNumber(|case| case.similarity)),
];

/// The means over all samples at one timestep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The timestep, from 1.
    pub t: usize,
    /// Dice of the estimated mask with the finished mask.
    pub dice: Option<Estimate>,
    /// MS-SSIM of the estimated image with the finished image.
    pub similarity: Option<Estimate>,
}

/// The results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fig3 {
    /// Definition of the numbers.
    pub definition: String,
    /// The measured timesteps, from the greatest to the smallest.
    pub points: Vec<Point>,
    /// How many timesteps earlier the mask forms than the image, mean over samples in which both form.
    pub lead: Option<Estimate>,
}

/// Trains the generator if no finished one is found, samples, and writes strips, curve and tables.
pub fn run(study: &Study, fold: usize, device: &Device, observer: &dyn Observer) -> Result<(Outcome, Option<Fig3>)> {
    study.begin()?;
    let fold = Fold::open(study, fold)?;
    let (outcome, run) = fold.generator(PIG, device, observer)?;
    if outcome == Outcome::Interrupted {
        return Ok((outcome, None));
    }
    let loaded = LoadedRun::open(&run, &[], device)?;
    let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), device)?;
    let count = study.loaded.file.experiment.strips as u64;
    let mut cases = Vec::new();
    observer.event(Event::Begin { stage: "sample".to_owned(), total: count as usize, done: 0 });
    let seeds: Vec<u64> = (0..count).collect();
    for ids in seeds.chunks(loaded.config.sample.batch_size) {
        if observer.stop_requested() {
            observer.event(Event::End);
            return Ok((Outcome::Interrupted, None));
        }
        let part = fold.folder("fig3").join(format!("cases-{:06}.csv", ids[0]));
        if !part.is_file() {
            let folder = fold.folder("fig3");
            std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
            let Some(measured) = measure(&loaded.config, &sampler, ids, observer)? else {
                observer.event(Event::End);
                return Ok((Outcome::Interrupted, None));
            };
            write_csv(&part, COLUMNS, &measured)?;
        }
        cases.extend(read(&part)?);
        observer.event(Event::Progress { done: ids[ids.len() - 1] as usize + 1, message: String::new() });
    }
    observer.event(Event::End);
    let out = &study.request.out;
    write_csv(&out.join("cases.csv"), COLUMNS, &cases)?;
    let Some(canvas) = strips(&loaded.config, &sampler, &seeds, observer)? else {
        return Ok((Outcome::Interrupted, None));
    };
    canvas.write_png(&out.join("strips.png"), &[SYNTHETIC])?;
    let found = Fig3::new(study, &fold, &loaded.config, &cases);
    found.write(out)?;
    Ok((Outcome::Finished, Some(found)))
}

/// Samples the seeds `ids` and measures each sample at evenly spaced timesteps, including the last; none if the user asked to stop.
fn measure(config: &Config, sampler: &Sampler<'_>, ids: &[u64], observer: &dyn Observer) -> Result<Option<Vec<Case>>> {
    let Some((estimates, finished)) = estimates(sampler, ids, MEASURED, observer)? else { return Ok(None) };
    let of_sample = |(index, &seed): (usize, &u64)| {
        estimates
            .iter()
            .map(|estimate| case(config, seed, estimate.t, (&estimate.samples, &finished), index))
            .collect::<Vec<_>>()
    };
    Ok(Some(ids.iter().enumerate().flat_map(of_sample).collect()))
}

fn case(config: &Config, seed: u64, t: usize, (at, finished): (&Samples, &Samples), index: usize) -> Case {
    let [height, width] = config.data.size;
    let lesion = |samples: &Samples| -> Vec<bool> {
        samples.masks[index].iter().map(|&value| value > config.sample.mask_threshold).collect()
    };
    let gray = |samples: &Samples| -> Vec<f32> {
        let values = read::gray(&samples.images[index], config.data.channels.count());
        values.iter().map(|value| (0.5 * (value + 1.0)).clamp(0.0, 1.0)).collect()
    };
    let scales = scales(height, width);
    Case {
        seed,
        t,
        dice: Counts::new(&lesion(at), &lesion(finished)).overlap(BothEmpty::Skip).map(|overlap| overlap.dice),
        similarity: (scales > 0).then(|| ms_ssim(&gray(at), &gray(finished), height, width, scales)),
    }
}

fn read(path: &Path) -> Result<Vec<Case>> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let table = Manifest::read(path)?.ok_or_else(|| Error::io(path, "read")(missing()))?;
    let place = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let columns = [place("seed")?, place("t")?, place("dice")?, place("similarity")?];
    let anew = "a number; remove the file, so that its samples are measured again";
    let count = |row: ManifestRow<'_>, column: usize| -> Result<u64> {
        row.parse(columns[column], anew)?.ok_or_else(|| Error::BadFile {
            path: path.to_owned(),
            problem: format!("line {}: the column {:?} is empty", row.line, table.columns[columns[column]]),
            advice: "remove the file, so that its samples are measured again",
        })
    };
    table
        .rows()
        .map(|row| {
            Ok(Case {
                seed: count(row, 0)?,
                t: count(row, 1)? as usize,
                dice: row.parse(columns[2], anew)?,
                similarity: row.parse(columns[3], anew)?,
            })
        })
        .collect()
}

/// The timestep from which a sample's similarity stays at [`THERE`] or above; `cases` are ordered from the greatest timestep to the
/// smallest.
fn there(cases: &[&Case], value: impl Fn(&Case) -> Option<f64>) -> Option<f64> {
    let stays = cases.iter().rev().take_while(|case| value(case).is_some_and(|value| value >= THERE));
    stays.last().map(|case| case.t as f64)
}

impl Fig3 {
    fn new(study: &Study, fold: &Fold<'_>, config: &Config, cases: &[Case]) -> Self {
        let mut by_t: BTreeMap<usize, Vec<&Case>> = BTreeMap::new();
        let mut by_seed: BTreeMap<u64, Vec<&Case>> = BTreeMap::new();
        for case in cases {
            by_t.entry(case.t).or_default().push(case);
            by_seed.entry(case.seed).or_default().push(case);
        }
        let mean = |values: Vec<f64>| {
            bootstrap_mean(&values, None, &Bootstrap::default()).filter(|estimate| estimate.units > 1)
        };
        let points = by_t.iter().rev().map(|(&t, cases)| Point {
            t,
            dice: mean(cases.iter().filter_map(|case| case.dice).collect()),
            similarity: mean(cases.iter().filter_map(|case| case.similarity).collect()),
        });
        let points = points.collect();
        for cases in by_seed.values_mut() {
            cases.sort_by_key(|case| std::cmp::Reverse(case.t));
        }
        let leads = by_seed
            .values()
            .filter_map(|cases| Some(there(cases, |case| case.dice)? - there(cases, |case| case.similarity)?));
        let [height, width] = config.data.size;
        let definition = format!(
            "{} generated pairs of fold {} at {height} x {width}, {} sampling steps of {}; timesteps t are counted from 1, and the greatest has \
             the most noise. Mask: Dice of x_0-hat at t, thresholded at {}, with the finished mask, without pairs in which both are empty. Image: \
             MS-SSIM of y_0-hat at t with the finished image. Numbers are means over pairs with 95 % bootstrap intervals by pair. A mask or image \
             counts as formed from the timestep at which its similarity reaches {THERE} and does not fall below it again. {}",
            by_seed.len(),
            fold.number,
            config.sample.num_inference_steps,
            config.schedule.num_train_timesteps,
            config.sample.mask_threshold,
            study.notes()
        );
        Self { definition, points, lead: mean(leads.collect()) }
    }

    /// The result as a sentence.
    pub fn sentence(&self) -> String {
        let Some(lead) = &self.lead else {
            return "Fewer than two pairs have both a mask and an image that form, so nothing can be concluded."
                .to_owned();
        };
        let verdict = match (lead.low > 0.0, lead.high < 0.0) {
            (true, _) => "the shape comes before the texture",
            (_, true) => "the texture comes before the shape, contrary to the paper's reading of its Fig. 3",
            _ => "neither clearly comes first",
        };
        format!(
            "The mask forms {:.0} timesteps [{:.0}, {:.0}] before the image ({} pairs): {verdict}.",
            lead.mean, lead.low, lead.high, lead.cases
        )
    }

    /// The table, at evenly spaced timesteps.
    pub fn table(&self) -> Table {
        let head = ["t", "mask: Dice with the finished mask", "image: MS-SSIM with the finished image"];
        let shown = |found: &Option<Estimate>| {
            found.map_or("-".to_owned(), |e| format!("{:.3} [{:.3}, {:.3}]", e.mean, e.low, e.high))
        };
        let last = self.points.len().saturating_sub(1);
        let mut rows: Vec<usize> = (0..SHOWN).map(|i| i * last / (SHOWN - 1)).collect();
        rows.dedup();
        let rows = rows.into_iter().filter_map(|row| self.points.get(row));
        let rows = rows.map(|point| vec![point.t.to_string(), shown(&point.dice), shown(&point.similarity)]);
        Table { head: head.map(str::to_owned).to_vec(), rows: rows.collect() }
    }

    /// The curves with their intervals.
    pub fn chart(&self) -> Chart {
        let line = |of: &dyn Fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
            self.points.iter().filter_map(|point| Some((point.t as f64, of(point)?))).collect()
        };
        let faint = |points| Series { faint: true, ..Series::new("", points) };
        Chart {
            title: "Shape and texture during sampling (right: noise, left: finished pair)".to_owned(),
            x_label: "timestep t, with 95 % intervals".to_owned(),
            y_label: "similarity to the finished pair".to_owned(),
            series: vec![
                faint(line(&|point| point.dice.map(|e| e.low))),
                faint(line(&|point| point.dice.map(|e| e.high))),
                Series::new("mask (Dice)", line(&|point| point.dice.map(|e| e.mean))),
                faint(line(&|point| point.similarity.map(|e| e.low))),
                faint(line(&|point| point.similarity.map(|e| e.high))),
                Series::new("image (MS-SSIM)", line(&|point| point.similarity.map(|e| e.mean))),
            ],
            ..Chart::default()
        }
    }

    fn write(&self, out: &Path) -> Result<()> {
        pig_files::write_json(&out.join(RESULTS), self)?;
        pig_files::write(&out.join("table.md"), self.to_string().as_bytes())?;
        write_curves(&out.join("curve.svg"), &[self.chart()])?;
        write_latex(out, &[(&self.table(), &self.definition, "pig-fig3")])
    }
}

impl fmt::Display for Fig3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}\n\n{}", self.definition, self.sentence(), self.table().markdown())
    }
}

/// The path of the strips of fig3.
pub fn strips_path(out: &Path) -> PathBuf {
    out.join("strips.png")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_there_when_it_stays() {
        let case = |t: usize, dice: f64| Case { seed: 0, t, dice: Some(dice), similarity: None };
        let cases = [case(40, 0.95), case(30, 0.2), case(20, 0.9), case(10, 1.0)];
        let cases: Vec<&Case> = cases.iter().collect();
        assert_eq!(there(&cases, |case| case.dice), Some(20.0));
        assert_eq!(there(&cases, |case| case.similarity), None);
        assert_eq!(there(&cases[..2], |case| case.dice), None);
    }
}
