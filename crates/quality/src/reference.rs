//! The features of a reference in a file, which `pig fid ref` writes and `pig fid calc` reads.
//!
//! The file is a NumPy archive with `mu` and `sigma`, as in pytorch-fid, and also `n` (number of images), `features` (one row per
//! image), `group` (numbers in place of patients' names) and `about` (JSON as bytes).

use crate::{
    Error, Result,
    inception::FeatureNetwork,
    patients::{groups, of_images},
    sizes::Sizes,
};
use pig_data::{DataConfig, Source};
use pig_metrics::{
    bootstrap::group_ids,
    comparison::Extractor,
    features::{FeatureError, Features},
    frechet::FeatureStatistics,
};
use pig_weights::npz::{self, NpyArray, Npz, Values};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The content of the array `about`: what a file says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// The program that wrote it.
    program: String,
    /// How the features were made.
    extractor: Extractor,
    /// The name of the preprocessing on the command line.
    preprocess: String,
    /// The sizes of the pictures; older files do not say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sizes: Option<Sizes>,
}

/// A reference that was read from a file.
pub(crate) struct Stored {
    /// What is known about its features.
    pub(crate) known: Known,
    /// The sizes of its pictures, if the file says them.
    pub(crate) sizes: Option<Sizes>,
    /// What cannot be checked.
    pub(crate) warning: Option<String>,
}

/// What is known about a reference.
pub(crate) enum Known {
    /// The features of every image, and its patient.
    Vectors {
        /// One vector per image.
        features: Features,
        /// The patients in the same order, if they are known.
        groups: Option<Vec<String>>,
    },
    /// Only mean and covariance.
    Statistics {
        /// Mean and covariance.
        statistics: FeatureStatistics,
        /// The number of images behind them, if the file gives it.
        images: Option<usize>,
    },
}

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The folder of real images or pairs.
    pub folder: PathBuf,
    /// The file to write.
    pub out: PathBuf,
    /// A table of the folder's patients; if it is `None`, the folder's own table.
    pub manifest: Option<PathBuf>,
    /// Whether the features of single images are left out.
    pub statistics_only: bool,
}

/// A summary of what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Number of images.
    pub images: usize,
    /// Whether their patients are known.
    pub by_patient: bool,
    /// How the features were made.
    pub extractor: Extractor,
    /// The name of the preprocessing on the command line.
    pub preprocess: String,
}

/// Writes the file; `data` determines how patients are read.
pub fn write(request: &Request, network: &FeatureNetwork, data: &DataConfig) -> Result<Written> {
    let source = Source::all(&request.folder, data);
    Source::check_class_column(&[source])?;
    let (ids, features) = network.extract(source, None)?;
    let groups = groups(&request.folder, request.manifest.as_deref(), data)?;
    let groups = of_images(groups.as_ref(), &ids)?;
    let about = About {
        program: format!("pig {}", env!("CARGO_PKG_VERSION")),
        extractor: network.extractor(None),
        preprocess: network.preprocess().to_owned(),
        sizes: Some(Sizes::of(source)?),
    };
    let kept = (!request.statistics_only).then_some((&features, groups.as_deref()));
    let arrays = arrays(&FeatureStatistics::new(&features)?, features.count(), kept, &about);
    pig_files::write(&request.out, &npz::encode(arrays.iter().map(|(name, array)| (name.as_str(), array))))?;
    let About { extractor, preprocess, .. } = about;
    Ok(Written { images: features.count(), by_patient: groups.is_some(), extractor, preprocess })
}

fn arrays(
    statistics: &FeatureStatistics,
    images: usize,
    kept: Option<(&Features, Option<&[String]>)>,
    about: &About,
) -> Npz {
    let width = statistics.mean().len();
    let array = |shape: &[usize], values| NpyArray { shape: shape.to_vec(), values };
    let about = serde_json::to_vec(about).expect("text can always be written as JSON");
    let mut arrays = Npz::from([
        ("mu".to_owned(), array(&[width], Values::F64(statistics.mean().to_vec()))),
        ("sigma".to_owned(), array(&[width, width], Values::F64(statistics.covariance()))),
        ("n".to_owned(), array(&[], Values::I64(vec![images as i64]))),
        ("about".to_owned(), array(&[about.len()], Values::U8(about))),
    ]);
    if let Some((features, groups)) = kept {
        // The network computes in f32, so nothing is lost.
        let values = features.vectors().flatten().map(|&value| value as f32).collect();
        arrays.insert("features".to_owned(), NpyArray::f32(&[images, width], values));
        let ids = groups.map(|groups| group_ids(groups).into_iter().map(|id| id as i64).collect());
        arrays.extend(ids.map(|ids| ("group".to_owned(), array(&[images], Values::I64(ids)))));
    }
    arrays
}

/// Reads the file, and checks that its features were made like those of the other images, which `network` makes.
pub(crate) fn read(path: &Path, network: &FeatureNetwork) -> Result<Stored> {
    let extractor = network.extractor(None);
    let expected = Expected { hash: &extractor.hash, preprocess: network.preprocess(), width: network.width() };
    read_for(path, &expected)
}

/// How the features of the other images are made.
struct Expected<'a> {
    /// SHA-256 of the weights.
    hash: &'a str,
    /// The name of the preprocessing.
    preprocess: &'a str,
    /// Length of a feature vector.
    width: usize,
}

fn read_for(path: &Path, expected: &Expected<'_>) -> Result<Stored> {
    let mut arrays = npz::read(path)?;
    let (sizes, warning) = if let Some(Values::U8(bytes)) = arrays.get("about").map(|array| &array.values) {
        let about: About =
            serde_json::from_slice(bytes).map_err(|source| Error::ReferenceAbout { path: path.to_owned(), source })?;
        check(path, &about, expected)?;
        let unsaid = about.sizes.is_none().then(|| {
            format!("{}: the file does not say how large its pictures were; the same size is assumed", path.display())
        });
        (about.sizes, unsaid)
    } else {
        let unsaid = format!(
            "{}: the file does not say with which network and preprocessing its statistics were made, and of which size its \
             pictures were; {} and the same size are assumed",
            path.display(),
            expected.preprocess
        );
        (None, Some(unsaid))
    };
    let known = match arrays.remove("features") {
        Some(features) => vectors(path, &features, arrays.remove("group"))?,
        None => statistics(path, &mut arrays)?,
    };
    let found = match &known {
        Known::Vectors { features, .. } => features.width(),
        Known::Statistics { statistics, .. } => statistics.mean().len(),
    };
    if found != expected.width {
        return Err(Error::ReferenceWidth { path: path.to_owned(), found, expected: expected.width });
    }
    Ok(Stored { known, sizes, warning })
}

fn check(path: &Path, about: &About, expected: &Expected<'_>) -> Result<()> {
    if about.preprocess != expected.preprocess {
        return Err(Error::ReferencePreprocess {
            path: path.to_owned(),
            found: about.preprocess.clone(),
            expected: expected.preprocess.to_owned(),
        });
    }
    if about.extractor.hash != expected.hash {
        return Err(Error::ReferenceWeights {
            path: path.to_owned(),
            found: about.extractor.hash.clone(),
            expected: expected.hash.to_owned(),
        });
    }
    Ok(())
}

fn vectors(path: &Path, features: &NpyArray, group: Option<NpyArray>) -> Result<Known> {
    let &[images, width] = &features.shape[..] else {
        return Err(Error::ReferenceShape { path: path.to_owned(), found: features.shape.clone() });
    };
    let values = features.to_f32().into_iter().map(f64::from).collect();
    let features = Features::new(values, width).map_err(unusable(path))?;
    let groups = match group.map(|group| group.values) {
        Some(Values::I64(ids)) if ids.len() == images => Some(ids.iter().map(i64::to_string).collect()),
        None => None,
        Some(other) => {
            return Err(Error::ReferenceGroups { path: path.to_owned(), found: other.len(), expected: images });
        }
    };
    Ok(Known::Vectors { features, groups })
}

fn statistics(path: &Path, arrays: &mut Npz) -> Result<Known> {
    let mut take = |name: &'static str| -> Result<Vec<f64>> {
        match arrays.remove(name).map(|array| array.values) {
            Some(Values::F64(values)) => Ok(values),
            Some(Values::F32(values)) => Ok(values.into_iter().map(f64::from).collect()),
            _ => Err(Error::ReferenceArray { path: path.to_owned(), name }),
        }
    };
    let (mean, covariance) = (take("mu")?, take("sigma")?);
    let statistics = FeatureStatistics::from_parts(mean, &covariance).map_err(unusable(path))?;
    let images = match arrays.remove("n").map(|array| array.values) {
        Some(Values::I64(values)) => values.first().and_then(|&images| usize::try_from(images).ok()),
        _ => None,
    };
    Ok(Known::Statistics { statistics, images })
}

/// For `map_err` on features or statistics of the file.
fn unusable(path: &Path) -> impl FnOnce(FeatureError) -> Error {
    let path = path.to_owned();
    move |source| Error::ReferenceFeatures { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected<'_> = Expected { hash: "abc", preprocess: "pytorch-fid", width: 3 };

    fn features() -> Features {
        Features::new((0..12).map(|i| f64::from((f64::from(i) * 1.7).sin() as f32)).collect(), 3).unwrap()
    }

    fn written(folder: &Path, kept: bool, groups: Option<&[String]>) -> PathBuf {
        let sizes = Some(Sizes::from(vec![[64, 32, 4]]));
        let extractor = Extractor { name: "test".into(), hash: "abc".into(), preprocessing: "none".into() };
        let about = About { program: "pig".into(), extractor, preprocess: "pytorch-fid".into(), sizes };
        let features = features();
        let statistics = FeatureStatistics::new(&features).unwrap();
        let arrays = arrays(&statistics, 4, kept.then_some((&features, groups)), &about);
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
        let Stored { known, sizes, warning } =
            read_for(&written(folder.path(), true, Some(&patients)), &EXPECTED).unwrap();
        assert_eq!(sizes.unwrap().only(), Some([64, 32]));
        let Known::Vectors { features: read, groups } = known else { panic!("expected vectors") };
        assert_eq!((read, warning), (features(), None));
        // The names of patients are not stored, only which images belong to the same patient.
        assert_eq!(groups.unwrap(), ["0", "1", "0", "2"]);
        let known = read_for(&written(folder.path(), false, None), &EXPECTED).unwrap().known;
        let Known::Statistics { statistics, images } = known else { panic!("expected statistics") };
        assert_eq!(images, Some(4));
        assert_eq!(statistics.covariance(), FeatureStatistics::new(&features()).unwrap().covariance());
    }

    #[test]
    fn statistics_of_others_are_read_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let mut plain = npz::read(&written(folder.path(), false, None)).unwrap();
        plain.retain(|name, _| name == "mu" || name == "sigma");
        let Stored { known, sizes, warning } = read_for(&save(folder.path(), &plain), &EXPECTED).unwrap();
        assert!(matches!(known, Known::Statistics { images: None, .. }) && sizes.is_none());
        assert!(warning.unwrap().contains("pytorch-fid and the same size are assumed"));
        plain.remove("sigma");
        let refused = read_for(&save(folder.path(), &plain), &EXPECTED).err().unwrap().to_string();
        assert!(refused.contains("no array sigma"), "{refused}");
    }

    #[test]
    fn files_of_another_network_or_preprocessing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), true, None);
        let refused = |expected: Expected<'_>| read_for(&path, &expected).err().unwrap().to_string();
        assert!(refused(Expected { hash: "abd", ..EXPECTED }).contains("sha256 abc, but --weights has abd"));
        assert!(refused(Expected { preprocess: "torch-fidelity", ..EXPECTED }).contains("preprocessed by pytorch-fid"));
        assert!(refused(Expected { width: 4, ..EXPECTED }).contains("use --layer 3"));
    }
}
