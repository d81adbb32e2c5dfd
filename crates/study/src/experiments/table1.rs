//! Table 1: the distances of images of DDPM, DDIM and PIG from real images, without their masks.
//!
//! This module makes the images. The caller measures them (with the FID's Inception or with radiomic features) and passes the results as
//! [`Measured`].

use crate::{
    crossval::piece::RESULTS,
    experiments::{
        config::{DDPM, PIG},
        generators::Fold,
        latex::write_latex,
        study::Study,
    },
};
use burn::tensor::Device;
use pig_data::{
    Preparation, PreparedSet,
    png_file::write_png,
    table::{Column, Columns, write_csv},
};
use pig_metrics::{
    comparison::{Comparison, Extractor},
    student::normal_quantile,
};
use pig_report::Table;
use pig_train::{
    Error, Result,
    observer::{Observer, Outcome},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// A set of pictures in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// Name of the set in the table.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// Number of pictures.
    pub count: usize,
}

/// The images to measure: those of every method against every reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Generated images.
    pub methods: Vec<Pictures>,
    /// Real images, as prepared: all lesion slices, and those of held-out patients.
    pub references: [Pictures; 2],
    fold: usize,
}

/// Distances of one method's images from one reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The method.
    pub method: String,
    /// The reference.
    pub reference: String,
    /// Images of the method and of the reference.
    pub images: [usize; 2],
    /// Frechet distance.
    pub frechet: f64,
    /// Its 95 % interval.
    #[serde(default)]
    pub frechet_interval: Option<[f64; 2]>,
    /// Its standard error.
    #[serde(default)]
    pub frechet_error: Option<f64>,
    /// Frechet distance, extrapolated to infinitely many images.
    pub frechet_infinity: Option<f64>,
    /// Unbiased kernel distance.
    pub kernel: Option<f64>,
    /// Frechet distance, extrapolated Frechet distance and kernel distance between halves of the reference that share no patient.
    pub floor: Option<[Option<f64>; 3]>,
    /// Number of images in one such half.
    pub floor_images: Option<f64>,
    /// Frechet distance between as many real images as the method has and the other real images.
    #[serde(default)]
    pub floor_of_size: Option<f64>,
    /// The extractor of the features.
    pub extractor: Extractor,
    /// Warnings for the reader.
    pub warnings: Vec<String>,
}

impl Measured {
    /// The numbers of a comparison.
    pub fn new(method: &Pictures, reference: &Pictures, found: &Comparison) -> Self {
        let floor = found.floor.as_ref();
        Self {
            method: method.name.clone(),
            reference: reference.name.clone(),
            images: [found.other, found.reference.unwrap_or(reference.count)],
            frechet: found.distances.frechet,
            frechet_interval: found.frechet_interval.map(|interval| [interval.low, interval.high]),
            frechet_error: found.frechet_interval.map(|interval| interval.standard_error),
            frechet_infinity: found.distances.frechet_infinity,
            kernel: found.distances.kernel.map(|kernel| kernel.mean),
            floor: floor.map(|floor| {
                let distances = &floor.distances;
                [Some(distances.frechet), distances.frechet_infinity, distances.kernel.map(|kernel| kernel.mean)]
            }),
            floor_images: floor.map(|floor| floor.images),
            floor_of_size: found.floor_of_size.map(|floor| floor.frechet),
            extractor: found.extractor.clone(),
            warnings: found.warnings(),
        }
    }
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table1 {
    /// Definition of the numbers.
    pub definition: String,
    /// Distances of every method from every reference.
    pub measured: Vec<Measured>,
}

const COLUMNS: &Columns<Measured> = &[
    ("method", Column::Text(|row| &row.method)),
    ("reference", Column::Text(|row| &row.reference)),
    ("images", Column::Count(|row| row.images[0] as u64)),
    ("reference_images", Column::Count(|row| row.images[1] as u64)),
    ("frechet", Column::Number(|row| row.frechet)),
    ("frechet_extrapolated", Column::MaybeNumber(|row| row.frechet_infinity)),
    ("kernel", Column::MaybeNumber(|row| row.kernel)),
    ("floor_frechet", Column::MaybeNumber(|row| row.floor?[0])),
    ("floor_frechet_extrapolated", Column::MaybeNumber(|row| row.floor?[1])),
    ("floor_kernel", Column::MaybeNumber(|row| row.floor?[2])),
    ("floor_images", Column::MaybeNumber(|row| row.floor_images)),
    ("frechet_low", Column::MaybeNumber(|row| Some(row.frechet_interval?[0]))),
    ("frechet_high", Column::MaybeNumber(|row| Some(row.frechet_interval?[1]))),
    ("floor_frechet_of_size", Column::MaybeNumber(|row| row.floor_of_size)),
    ("extractor", Column::Text(|row| &row.extractor.name)),
    ("extractor_sha256", Column::Text(|row| &row.extractor.hash)),
];

/// A picture of a reference.
struct Real {
    id: String,
    patient: String,
}

const REAL_COLUMNS: &Columns<Real> =
    &[("id", Column::Text(|row| &row.id)), ("patient", Column::Text(|row| &row.patient))];

/// Trains the generators that are not trained yet, and makes the references and the images of every method (or of `arm` alone). None if it
/// was interrupted.
pub fn make(
    study: &Study,
    fold: usize,
    arm: Option<&str>,
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Outcome, Option<Made>)> {
    study.begin()?;
    let fold = Fold::open(study, fold)?;
    let references = references(&fold, observer)?;
    let count = study.loaded.file.experiment.samples.min(references[0].count);
    let mut methods = Vec::new();
    for (generator, name, title, sets) in methods_of(study, arm)? {
        let (outcome, run) = fold.generator(generator, device, observer)?;
        if outcome == Outcome::Interrupted {
            return Ok((outcome, None));
        }
        let (outcome, folder) = fold.images((name, &run, &sets), count, device, observer)?;
        if outcome == Outcome::Interrupted {
            return Ok((outcome, None));
        }
        methods.push(Pictures { name: title, folder, count });
    }
    Ok((Outcome::Finished, Some(Made { methods, references, fold: fold.number })))
}

/// Generator, folder, title and settings of each method.
type MethodOf = (&'static str, &'static str, String, Vec<String>);

fn methods_of(study: &Study, arm: Option<&str>) -> Result<Vec<MethodOf>> {
    let generators = &study.loaded.file.generators;
    let mut methods = Vec::new();
    let steps = |name: &str| -> Result<usize> {
        Ok(study.loaded.config(name, &study.request.out, None)?.sample.num_inference_steps)
    };
    if let Some(ddpm) = generators.get(DDPM) {
        methods.push((DDPM, "ddpm", format!("DDPM, {} steps", steps(DDPM)?), Vec::new()));
        if let Some(steps) = ddpm.ddim_steps {
            let sets = vec!["method=ddim".to_owned(), format!("sample.num_inference_steps={steps}")];
            methods.push((DDPM, "ddim", format!("DDIM, {steps} steps"), sets));
        }
    }
    if generators.contains_key(PIG) {
        methods.push((PIG, "pig", format!("PIG, {} steps", steps(PIG)?), Vec::new()));
    }
    let names: Vec<&str> = methods.iter().map(|method| method.1).collect();
    let wanted: Vec<MethodOf> =
        methods.iter().filter(|method| arm.is_none_or(|arm| arm == method.1)).cloned().collect();
    if wanted.is_empty() {
        return Err(Error::Setting {
            key: "--arm".to_owned(),
            found: arm.unwrap_or("nothing").to_owned(),
            expected: format!("one of {}", names.join(", ")),
        });
    }
    Ok(wanted)
}

/// Writes the real lesion slices as they were prepared: all of them, and those of the fold's test patients. File names and patients are
/// numbers, so that the folder tells nothing about the source except the pictures.
fn references(fold: &Fold<'_>, observer: &dyn Observer) -> Result<[Pictures; 2]> {
    let (real, test) = fold.data(observer)?;
    let mut patients = BTreeMap::new();
    for group in real.set.groups.iter().chain(&test.groups) {
        let next = patients.len();
        patients.entry(group.as_str()).or_insert(next);
    }
    let write = |name: &str, folder: &str, sets: &[&PreparedSet]| {
        let folder = fold.folder("reference").join(folder);
        let count = write_reference(&folder, sets, &patients, &real.preparation)?;
        if count < 2 {
            return Err(Error::TooLittle {
                found: format!("{name}: {count} real image(s) with a lesion"),
                expected: "at least 2; give more images with lesions",
            });
        }
        Ok(Pictures { name: name.to_owned(), folder, count })
    };
    Ok([
        write("all real lesion slices", "all", &[&real.set, &test])?,
        write("held-out patients", "held-out", &[&test])?,
    ])
}

fn write_reference(
    folder: &Path,
    sets: &[&PreparedSet],
    patients: &BTreeMap<&str, usize>,
    preparation: &Preparation,
) -> Result<usize> {
    let images = folder.join("images");
    std::fs::create_dir_all(&images).map_err(Error::io(&images, "create"))?;
    let mut rows = Vec::new();
    for set in sets {
        for index in 0..set.len() {
            if !set.lesion(index)?.contains(&true) {
                continue;
            }
            let id = format!("{:06}", rows.len());
            let path = images.join(format!("{id}.png"));
            write_png(&path, set.size, set.channels, &preparation.encode(&set.image(index)?), &[])?;
            rows.push(Real { id, patient: patients[set.groups[index].as_str()].to_string() });
        }
    }
    write_csv(&folder.join("manifest.csv"), REAL_COLUMNS, &rows)?;
    Ok(rows.len())
}

impl Table1 {
    /// The table of what was measured.
    pub fn new(study: &Study, made: &Made, measured: Vec<Measured>) -> Self {
        let (extractor, [height, width]) =
            (measured.first().map(|row| row.extractor.clone()), study.loaded.file.data.size);
        let by = extractor.map_or(String::new(), |extractor| {
            let instead = if extractor.is_inception() {
                ""
            } else {
                " NOT the FID of publications, which needs the Inception's weights (--weights):"
            };
            format!("{instead} features: {} ({}), SHA-256 {}.", extractor.name, extractor.preprocessing, extractor.hash)
        });
        let definition = format!(
            "Images alone, {height} x {width}, gray or colour as prepared; generators trained on the training patients of fold {} of {}, one \
             seed.{by} Frechet distance of Gaussians; extrapolated to infinitely many images (intercept over 1/N); unbiased kernel distance (cubic \
             polynomial; KID where the features are the Inception's). Intervals of the Frechet distance: 95 %, jackknife by blocks of images and of real \
             patients, for sets of this size; they do not hold what another training would change. Real against real, this N: as many real images as \
             the method has against the other real ones. Real against real: halves of the reference that share no patient, mean over splits; no generator \
             can be expected to come nearer. The reference of all lesion slices includes the training slices; that of held-out patients does not. {}",
            made.fold,
            study.loaded.file.crossval.folds,
            study.notes()
        );
        Self { definition, measured }
    }

    /// A row for each method and reference, with the floor of each reference.
    pub fn table(&self) -> Table {
        let is_fid = self.measured.iter().all(|row| row.extractor.is_inception());
        let [frechet, infinity, kernel] =
            if is_fid { ["FID", "FID, extrapolated", "KID"] } else { ["Frechet", "extrapolated", "kernel"] };
        let head =
            ["method", "reference", "images", "reference images", frechet, "95 %", "real, this N", infinity, kernel];
        let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        let mut rows = Vec::new();
        let mut floors: Vec<&str> = Vec::new();
        for row in &self.measured {
            let cells = [
                row.method.clone(),
                row.reference.clone(),
                row.images[0].to_string(),
                row.images[1].to_string(),
                number(Some(row.frechet), 2),
                row.frechet_interval.map_or("-".to_owned(), |[low, high]| format!("[{low:.2}, {high:.2}]")),
                number(row.floor_of_size, 2),
                number(row.frechet_infinity, 2),
                number(row.kernel, 5),
            ];
            rows.push(cells.to_vec());
        }
        for row in &self.measured {
            let (Some([frechet, infinity, kernel]), false) = (row.floor, floors.contains(&row.reference.as_str()))
            else {
                continue;
            };
            floors.push(&row.reference);
            let half = number(row.floor_images, 0);
            let cells = [
                "real against real".to_owned(),
                row.reference.clone(),
                half.clone(),
                half,
                number(frechet, 2),
                String::new(),
                String::new(),
                number(infinity, 2),
                number(kernel, 5),
            ];
            rows.push(cells.to_vec());
        }
        Table { head: head.map(str::to_owned).to_vec(), rows }
    }

    /// Which methods differ in the Frechet distance from the same reference, and which tie. Both sets of a pair are compared with one
    /// reference, so the error of a difference is smaller than is assumed here.
    pub fn ties(&self) -> Vec<String> {
        let pairs = self.measured.iter().enumerate().flat_map(|(at, first)| {
            let others = self.measured[at + 1..].iter().filter(|second| second.reference == first.reference);
            others.map(move |second| (first, second))
        });
        let sentence = |(first, second): (&Measured, &Measured)| {
            let error = first.frechet_error?.hypot(second.frechet_error?);
            let (difference, half) = (first.frechet - second.frechet, normal_quantile(0.05) * error);
            let words = match (difference > half, difference < -half) {
                (true, _) => format!("{} is nearer", second.method),
                (_, true) => format!("{} is nearer", first.method),
                _ => "a tie".to_owned(),
            };
            Some(format!(
                "{} and {} against {}: {words} (Frechet distances differ by {difference:+.2} [{:+.2}, {:+.2}]).",
                first.method,
                second.method,
                first.reference,
                difference - half,
                difference + half
            ))
        };
        pairs.filter_map(sentence).collect()
    }

    /// All warnings about the numbers, each once.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = Vec::new();
        for warning in self.measured.iter().flat_map(|row| &row.warnings) {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        warnings
    }

    /// Writes table.csv, table.md, table.tex and results.json.
    pub fn write(&self, out: &Path) -> Result<()> {
        write_csv(&out.join("table.csv"), COLUMNS, &self.measured)?;
        pig_files::write_json(&out.join(RESULTS), self)?;
        pig_files::write(&out.join("table.md"), self.to_string().as_bytes())?;
        write_latex(out, &[(&self.table(), &self.definition, "pig-table1")])
    }
}

impl fmt::Display for Table1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.definition, self.table().markdown())?;
        self.ties().iter().try_for_each(|words| write!(f, "\n{words}\n"))?;
        self.warnings().iter().try_for_each(|warning| write!(f, "\nWarning: {warning}.\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_one_floor() {
        let row = |method: &str, reference: &str| Measured {
            method: method.to_owned(),
            reference: reference.to_owned(),
            images: [8, 20],
            frechet: if method == "PIG" { 12.5 } else { 20.5 },
            frechet_interval: Some([10.0, 15.0]),
            frechet_error: Some(1.25),
            frechet_infinity: None,
            kernel: Some(0.0125),
            floor: Some([Some(3.0), None, Some(-0.001)]),
            floor_images: Some(9.6),
            floor_of_size: Some(4.0),
            extractor: Extractor { name: "x".to_owned(), hash: "h".to_owned(), preprocessing: "p".to_owned() },
            warnings: vec!["few".to_owned()],
        };
        let measured = vec![row("DDPM", "all"), row("PIG", "all"), row("DDPM", "held-out")];
        let other = Measured { frechet: 14.0, method: "DDIM".to_owned(), ..measured[1].clone() };
        let tied =
            Table1 { definition: String::new(), measured: vec![measured[0].clone(), measured[1].clone(), other] };
        let words = tied.ties();
        assert!(words[0].starts_with("DDPM and PIG against all: PIG is nearer (Frechet distances differ by +8.00 ["));
        assert!(words[2].starts_with("PIG and DDIM against all: a tie "), "{words:?}");
        let table = Table1 { definition: String::new(), measured };
        let rows = table.table().rows;
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[1], ["PIG", "all", "8", "20", "12.50", "[10.00, 15.00]", "4.00", "-", "0.01250"]);
        assert_eq!(rows[3], ["real against real", "all", "10", "10", "3.00", "", "", "-", "-0.00100"]);
        assert_eq!(table.warnings(), ["few"]);
    }
}
