//! Features of a reference in a file: what `pig fid ref` writes and `pig fid calc` reads.
//!
//! An archive of NumPy's with `mu` and `sigma`, as pytorch-fid has them, and besides `n` (images), `features` (an image a row), `group`
//! (numbers that stand for patients) and `about` (JSON in bytes).

use crate::{
    args::{Args, Reference},
    commands::inception::FeatureNetwork,
};
use anyhow::{Context, ensure};
use pig_data::{atomic, folder::Groups};
use pig_metrics::{bootstrap::group_ids, comparison::Extractor, features::Features, frechet::FeatureStatistics};
use pig_weights::npz::{self, NpyArray, Npz, Values};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{path::Path, process::ExitCode};

/// What a file says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// The program that wrote it.
    program: String,
    /// What made the features.
    extractor: Extractor,
    /// The name of the preprocessing on the command line.
    preprocess: String,
}

/// What is known of a reference.
pub(super) enum Known {
    /// Every image's features, and its patient.
    Vectors {
        /// One vector an image.
        features: Features,
        /// Patients in the same order, where they are known.
        groups: Option<Vec<String>>,
    },
    /// Mean and covariance alone.
    Statistics {
        /// These two.
        statistics: FeatureStatistics,
        /// Images behind them, where the file says so.
        images: Option<usize>,
    },
}

/// Writes the file.
pub(super) fn run(args: &Args, asked: &Reference) -> anyhow::Result<ExitCode> {
    let data = super::data_settings(&asked.sets)?;
    let network = FeatureNetwork::open(&asked.inception, super::device(args)?)?;
    let (ids, features) = network.extract(&asked.folder)?;
    let groups = super::groups(&asked.folder, asked.manifest.as_deref(), &data)?;
    let groups = groups.map(|groups: Groups| groups.of(ids.iter().map(String::as_str))).transpose()?;
    let about = About {
        program: format!("pig {}", env!("CARGO_PKG_VERSION")),
        extractor: network.extractor(),
        preprocess: network.preprocess().to_owned(),
    };
    let kept = (!asked.statistics_only).then_some((&features, groups.as_deref()));
    let arrays = arrays(&FeatureStatistics::new(&features)?, features.count(), kept, &about)?;
    atomic::write(&asked.out, &npz::encode(arrays.iter().map(|(name, array)| (name.as_str(), array))))?;
    if args.machine.json {
        let json = json!({
            "out": asked.out, "images": features.count(), "by_patient": groups.is_some(), "features": !asked.statistics_only,
            "extractor": about.extractor, "preprocess": about.preprocess,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!("{}: {} images, {}", asked.out.display(), features.count(), about.extractor.name);
        println!("sha256 {}; images: {}", about.extractor.hash, about.extractor.preprocessing);
    }
    if let Some(warning) = network.warning() {
        eprintln!("warning: {warning}");
    }
    Ok(ExitCode::SUCCESS)
}

fn arrays(
    statistics: &FeatureStatistics,
    images: usize,
    kept: Option<(&Features, Option<&[String]>)>,
    about: &About,
) -> anyhow::Result<Npz> {
    let width = statistics.mean().len();
    let array = |shape: &[usize], values| NpyArray { shape: shape.to_vec(), values };
    let about = serde_json::to_vec(about)?;
    let mut arrays = Npz::from([
        ("mu".to_owned(), array(&[width], Values::F64(statistics.mean().to_vec()))),
        ("sigma".to_owned(), array(&[width, width], Values::F64(statistics.covariance()))),
        ("n".to_owned(), array(&[], Values::I64(vec![images as i64]))),
        ("about".to_owned(), array(&[about.len()], Values::U8(about))),
    ]);
    if let Some((features, groups)) = kept {
        // The network gives f32: nothing is lost.
        let values = features.vectors().flatten().map(|&value| value as f32).collect();
        arrays.insert("features".to_owned(), NpyArray::f32(&[images, width], values));
        let ids = groups.map(|groups| group_ids(groups).into_iter().map(|id| id as i64).collect());
        arrays.extend(ids.map(|ids| ("group".to_owned(), array(&[images], Values::I64(ids)))));
    }
    Ok(arrays)
}

/// Reads the file, and holds it against the network that the other images go through; the warning says what cannot be told.
pub(super) fn read(path: &Path, network: &FeatureNetwork) -> anyhow::Result<(Known, Option<String>)> {
    let extractor = network.extractor();
    let expected = Expected { hash: &extractor.hash, preprocess: network.preprocess(), width: network.width() };
    read_for(path, &expected)
}

/// What the other images go through.
struct Expected<'a> {
    /// SHA-256 of the weights.
    hash: &'a str,
    /// The name of the preprocessing.
    preprocess: &'a str,
    /// Values of a feature vector.
    width: usize,
}

fn read_for(path: &Path, expected: &Expected<'_>) -> anyhow::Result<(Known, Option<String>)> {
    let mut arrays = npz::read(path)?;
    let warning = match arrays.get("about").map(|array| &array.values) {
        Some(Values::U8(bytes)) => {
            let about: About = serde_json::from_slice(bytes).with_context(|| {
                format!("{}: its array about is not what pig fid ref writes; make it again", path.display())
            })?;
            check(path, &about, expected)?;
            None
        }
        _ => Some(format!(
            "{}: nothing in it says which network and preprocessing its statistics are of; {} is assumed",
            path.display(),
            expected.preprocess
        )),
    };
    let known = match arrays.remove("features") {
        Some(features) => vectors(path, &features, arrays.remove("group"))?,
        None => statistics(path, &mut arrays)?,
    };
    let found = match &known {
        Known::Vectors { features, .. } => features.width(),
        Known::Statistics { statistics, .. } => statistics.mean().len(),
    };
    ensure!(
        found == expected.width,
        "{}: features of {found} values, and --layer asks for {}; give --layer {found}",
        path.display(),
        expected.width
    );
    Ok((known, warning))
}

fn check(path: &Path, about: &About, expected: &Expected<'_>) -> anyhow::Result<()> {
    let path = path.display();
    ensure!(
        about.preprocess == expected.preprocess,
        "{path}: its images were preprocessed by {}, and --preprocess asks for {}; numbers of different ways must not be compared",
        about.preprocess,
        expected.preprocess
    );
    ensure!(
        about.extractor.hash == expected.hash,
        "{path}: its features are of weights with sha256 {}, and --weights has {}; make the file again with these weights",
        about.extractor.hash,
        expected.hash
    );
    Ok(())
}

fn vectors(path: &Path, features: &NpyArray, group: Option<NpyArray>) -> anyhow::Result<Known> {
    let &[images, width] = &features.shape[..] else {
        anyhow::bail!("{}: features of shape {:?}, expected (images, values)", path.display(), features.shape)
    };
    let values = features.to_f32().into_iter().map(f64::from).collect();
    let features = Features::new(values, width).with_context(|| path.display().to_string())?;
    let groups = match group.map(|group| group.values) {
        Some(Values::I64(ids)) if ids.len() == images => Some(ids.iter().map(i64::to_string).collect()),
        None => None,
        Some(other) => anyhow::bail!("{}: {} groups, expected {images} of int64", path.display(), other.len()),
    };
    Ok(Known::Vectors { features, groups })
}

fn statistics(path: &Path, arrays: &mut Npz) -> anyhow::Result<Known> {
    let mut take = |name: &str| -> anyhow::Result<Vec<f64>> {
        match arrays.remove(name).map(|array| array.values) {
            Some(Values::F64(values)) => Ok(values),
            Some(Values::F32(values)) => Ok(values.into_iter().map(f64::from).collect()),
            _ => anyhow::bail!(
                "{}: no array {name} of floats, expected mu and sigma as pytorch-fid writes them",
                path.display()
            ),
        }
    };
    let (mean, covariance) = (take("mu")?, take("sigma")?);
    let statistics = FeatureStatistics::from_parts(mean, &covariance).with_context(|| path.display().to_string())?;
    let images = match arrays.remove("n").map(|array| array.values) {
        Some(Values::I64(values)) => values.first().and_then(|&images| usize::try_from(images).ok()),
        _ => None,
    };
    Ok(Known::Statistics { statistics, images })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const EXPECTED: Expected<'_> = Expected { hash: "abc", preprocess: "pytorch-fid", width: 3 };

    fn features() -> Features {
        Features::new((0..12).map(|i| f64::from((f64::from(i) * 1.7).sin() as f32)).collect(), 3).unwrap()
    }

    fn written(folder: &Path, kept: bool, groups: Option<&[String]>) -> PathBuf {
        let extractor = Extractor { name: "test".into(), hash: "abc".into(), preprocessing: "none".into() };
        let about = About { program: "pig".into(), extractor, preprocess: "pytorch-fid".into() };
        let features = features();
        let statistics = FeatureStatistics::new(&features).unwrap();
        let arrays = arrays(&statistics, 4, kept.then_some((&features, groups)), &about).unwrap();
        save(folder, &arrays)
    }

    fn save(folder: &Path, arrays: &Npz) -> PathBuf {
        let path = folder.join("ref.npz");
        std::fs::write(&path, npz::encode(arrays.iter().map(|(name, array)| (name.as_str(), array)))).unwrap();
        path
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let patients = ["b", "a", "b", "c"].map(String::from);
        let (known, warning) = read_for(&written(folder.path(), true, Some(&patients)), &EXPECTED).unwrap();
        let Known::Vectors { features: read, groups } = known else { panic!("vectors were kept") };
        assert_eq!((read, warning), (features(), None));
        // Names of patients do not travel; who is whom does.
        assert_eq!(groups.unwrap(), ["0", "1", "0", "2"]);
        let (known, _) = read_for(&written(folder.path(), false, None), &EXPECTED).unwrap();
        let Known::Statistics { statistics, images } = known else { panic!("no vectors were kept") };
        assert_eq!(images, Some(4));
        assert_eq!(statistics.covariance(), FeatureStatistics::new(&features()).unwrap().covariance());
    }

    #[test]
    fn statistics_of_others_are_read_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let mut plain = npz::read(&written(folder.path(), false, None)).unwrap();
        plain.retain(|name, _| name == "mu" || name == "sigma");
        let (known, warning) = read_for(&save(folder.path(), &plain), &EXPECTED).unwrap();
        assert!(matches!(known, Known::Statistics { images: None, .. }));
        assert!(warning.unwrap().contains("pytorch-fid is assumed"));
        plain.remove("sigma");
        let refused = read_for(&save(folder.path(), &plain), &EXPECTED).err().unwrap().to_string();
        assert!(refused.contains("no array sigma"), "{refused}");
    }

    #[test]
    fn files_of_another_network_or_preprocessing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), true, None);
        let refused = |expected: Expected<'_>| read_for(&path, &expected).err().unwrap().to_string();
        assert!(refused(Expected { hash: "abd", ..EXPECTED }).contains("sha256 abc, and --weights has abd"));
        assert!(refused(Expected { preprocess: "torch-fidelity", ..EXPECTED }).contains("preprocessed by pytorch-fid"));
        assert!(refused(Expected { width: 4, ..EXPECTED }).contains("give --layer 3"));
    }
}
