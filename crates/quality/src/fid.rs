//! Distances between a folder of images and a reference, for `pig fid calc`.

use crate::{
    Error, Result,
    appearance::{Appearance, appearance},
    class_distances::{Held, few_pictures, of_lesions, of_pictures},
    features::FeatureKind,
    inception::FeatureNetwork,
    masks::{several, with_classes},
    patients::{groups, of_images},
    pictures::{unlike_colours, unused_bits},
    radiomic::{Region, extractor},
    reference::{self, Known, Stored},
    sizes::{Sizes, agree},
};
use pig_data::{Chosen, DataConfig, Source, colour::Colours, folder::Kind};
use pig_metrics::{
    comparison::{Comparison, ComparisonSettings, compare, compare_with_statistics},
    radiomics::standardise,
};
use std::path::{Path, PathBuf};

pub use crate::class_distances::ClassFound;

/// The result of a comparison.
#[derive(Debug)]
pub struct Found {
    /// The distances.
    pub comparison: Comparison,
    /// Number of images without features, in the reference and in the other set.
    pub left_out: [usize; 2],
    /// The distances of each class alone, with features of lesions of several classes.
    pub classes: Vec<ClassFound>,
    /// The distances of the pictures that hold each class, with features of whole pictures, if there are several classes.
    pub pictures: Vec<ClassFound>,
    /// The appearance of the two folders; `None` if the reference is a file.
    pub appearance: Option<Appearance>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// What the user may want to know of the folders.
    pub notes: Vec<String>,
}

impl Found {
    /// The mean over classes of the Frechet distance, and how many classes it is of; none if no class has a distance.
    pub fn mean_frechet(&self) -> Option<(f64, usize)> {
        let found = self.classes.iter().filter_map(|class| class.comparison.as_ref());
        let values: Vec<f64> = found.map(|found| found.distances.frechet).collect();
        (!values.is_empty()).then(|| (values.iter().sum::<f64>() / values.len() as f64, values.len()))
    }
}

/// Two folders to compare.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of real images or pairs.
    pub reference: PathBuf,
    /// The folder of images or pairs to measure.
    pub other: PathBuf,
    /// The part of a split to which the images of the reference are limited; all if it is `None`.
    pub only: Option<Chosen>,
    /// A table of the reference's patients; if it is `None`, the folder's own table.
    pub manifest: Option<PathBuf>,
    /// Whether all images are resized to the reference's commonest size if sizes differ; otherwise different sizes are refused.
    pub resize: bool,
    /// How distances are computed.
    pub comparison: ComparisonSettings,
    /// Number of random pairs of each set whose similarity is averaged; 0 skips this.
    pub diversity_pairs: usize,
    /// The seed for drawing these pairs.
    pub seed: u64,
}

/// Compares the images of a folder with a reference file written by `pig fid ref` or pytorch-fid. `resize` brings the images to the
/// size of the reference's images; `data` determines how the folder's table is read.
pub fn with_file(
    reference: &Path,
    other: &Path,
    network: &FeatureNetwork,
    resize: bool,
    settings: &ComparisonSettings,
    data: &DataConfig,
) -> Result<Found> {
    let Stored { known, sizes, warning: unsaid } = reference::read(reference, network)?;
    let source = Source::all(other, data);
    Source::check_class_column(&[source])?;
    let size = match &sizes {
        Some(sizes) if sizes.only().is_none() => {
            let problem = format!("its features are of {sizes}");
            return Err(Error::ReferenceSizes { path: reference.to_owned(), problem });
        }
        Some(sizes) => agree((reference, sizes), (other, &Sizes::of(source)?), resize)?,
        None if resize => {
            let problem = "it does not say how large its pictures were".to_owned();
            return Err(Error::ReferenceSizes { path: reference.to_owned(), problem });
        }
        None => None,
    };
    let unlisted = source.left_out(Kind::Images)?;
    let (_, other) = network.extract(source, size)?;
    let extractor = network.extractor(size);
    let comparison = match known {
        Known::Vectors { features, groups } => compare(&features, &other, groups.as_deref(), extractor, settings)?,
        Known::Statistics { statistics, images } => {
            compare_with_statistics(&statistics, images, &other, extractor, settings)?
        }
    };
    let mut warnings = comparison.warnings();
    warnings.extend(unlisted);
    warnings.extend(unsaid);
    warnings.extend(network.warning());
    warnings.extend(unused_bits(source)?);
    Ok(Found {
        comparison,
        left_out: [0, 0],
        classes: Vec::new(),
        pictures: Vec::new(),
        appearance: None,
        warnings,
        notes: source.rows()?.into_iter().collect(),
    })
}

/// Compares the images of two folders; `data` determines how masks and patients are read.
pub fn with_folder(request: &Request, features: FeatureKind<'_>, data: &DataConfig) -> Result<Found> {
    let known = groups(&request.reference, request.manifest.as_deref(), data)?;
    let reference = Source { only: request.only.as_ref(), ..Source::all(&request.reference, data) };
    let sources = [reference, Source::all(&request.other, data)];
    let folders = sources.map(|source| source.folder);
    let data = &with_classes(data, &sources)?;
    let sizes = [Sizes::of(sources[0])?, Sizes::of(sources[1])?];
    let size = agree((folders[0], &sizes[0]), (folders[1], &sizes[1]), request.resize)?;
    let (reference, other) = (features.extract(sources[0], size, data)?, features.extract(sources[1], size, data)?);
    let patients = of_images(known.as_ref(), &reference.ids)?;
    let settings = &request.comparison;
    let (ours, theirs, extractor) = match features {
        FeatureKind::Inception(network) => (reference.features, other.features, network.extractor(size)),
        FeatureKind::Radiomics(region) => {
            let (ours, theirs, kept) = standardise(&reference.features, &other.features)?;
            (ours, theirs, extractor(region, &kept, size))
        }
    };
    let comparison = compare(&ours, &theirs, patients.as_deref(), extractor.clone(), settings)?;
    let appearance = appearance(sources, known.as_ref(), (request.diversity_pairs, request.seed), data)?;
    let (mut warnings, mut notes) = (comparison.warnings(), Vec::new());
    for source in sources {
        warnings.extend(source.left_out(Kind::Images)?);
        notes.extend(source.rows()?);
    }
    warnings.extend(colour_warnings(sources, features, request.diversity_pairs)?);
    if let FeatureKind::Inception(network) = features {
        warnings.extend(network.warning());
        for source in sources {
            warnings.extend(unused_bits(source)?);
        }
    }
    let without = [reference.left_out, other.left_out];
    for (folder, count) in folders.into_iter().zip(without).filter(|(_, count)| *count > 0) {
        let folder = folder.display();
        warnings.push(format!("{folder}: {count} image(s) with no lesion, or only isolated pixels, were left out"));
    }
    let (mut classes, mut pictures) = (Vec::new(), Vec::new());
    let names = several(data).into_iter().enumerate();
    if matches!(features, FeatureKind::Radiomics(Region::Lesions)) {
        for class in names {
            let found = of_lesions((sources, size), class, known.as_ref(), settings, data)?;
            if found.comparison.is_none() {
                warnings.push(format!("class {}: too few images have it, so it has no distance", found.class));
            }
            classes.push(found);
        }
    } else if names.len() > 0
        && let Some(ours) = Held::of(sources[0], &reference.ids, &ours, data)?
        && let Some(theirs) = Held::of(sources[1], &other.ids, &theirs, data)?
    {
        for class in names {
            let found = of_pictures([&ours, &theirs], class, patients.as_deref(), &extractor, settings)?;
            warnings.extend(few_pictures(&found));
            pictures.push(found);
        }
    }
    Ok(Found { comparison, left_out: without, classes, pictures, appearance: Some(appearance), warnings, notes })
}

/// Warnings about sets of which one is in colour and the other gray, and about measures that see colour as gray alone.
fn colour_warnings(sources: [Source<'_>; 2], features: FeatureKind<'_>, diversity_pairs: usize) -> Result<Vec<String>> {
    let of =
        |source: Source<'_>| -> Result<Colours> { Ok(Colours::of(source.images()?.values().map(PathBuf::as_path))?) };
    let [reference, other] = [of(sources[0])?, of(sources[1])?];
    let mut warnings: Vec<String> = unlike_colours(&[("reference", reference), ("other", other)]).into_iter().collect();
    let (coloured, total) = (reference.coloured + other.coloured, reference.total + other.total);
    let radiomics = matches!(features, FeatureKind::Radiomics(_)).then_some("radiomic features (--features)");
    let similarity = (diversity_pairs > 0).then_some("MS-SSIM (--diversity-pairs)");
    let measures: Vec<&str> = radiomics.into_iter().chain(similarity).collect();
    if coloured > 0 && !measures.is_empty() {
        warnings.push(format!(
            "{coloured} of {total} images are in colour, but {} are measured on gray (Rec. 601 luma); --features inception sees colour",
            measures.join(" and ")
        ));
    }
    Ok(warnings)
}
