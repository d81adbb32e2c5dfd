//! Distances of each class: of its lesions, and of the pictures that hold it.

use crate::{
    Error, Result,
    features::FeatureKind,
    masks::{FolderMasks, several},
    patients::of_images,
    radiomic::{Region, extractor},
};
use pig_data::{DataConfig, Source, class_source::for_folder, folder::Groups};
use pig_metrics::{
    comparison::{Comparison, ComparisonSettings, Extractor, compare},
    features::Features,
    radiomics::standardise,
};
use rayon::prelude::*;

/// The fewest pictures of a set whose features can be compared.
const FEWEST: usize = 2;

/// The distances of one class.
#[derive(Debug)]
pub struct ClassFound {
    /// The name of the class.
    pub class: String,
    /// The distances; `None` if too few images of a folder have the class.
    pub comparison: Option<Comparison>,
    /// Number of images without the class, or without features of its lesions, in the reference and in the other set.
    pub left_out: [usize; 2],
}

/// Compares the lesions of one class.
///
/// # Errors
/// When pictures or masks cannot be read or compared.
pub(crate) fn of_lesions(
    (sources, size): ([Source<'_>; 2], Option<[usize; 2]>),
    (class, name): (usize, String),
    known: Option<&Groups>,
    settings: &ComparisonSettings,
    data: &DataConfig,
) -> Result<ClassFound> {
    let region = Region::Class(class);
    let extract = |source| match FeatureKind::Radiomics(region).extract(source, size, data) {
        Err(Error::TooFewWithFeatures { found, total, .. }) => Ok(Err(total - found)),
        found => found.map(Ok),
    };
    let (ours, theirs) = (extract(sources[0])?, extract(sources[1])?);
    let left_out = [&ours, &theirs].map(|found| match found {
        Ok(found) => found.left_out,
        Err(left_out) => *left_out,
    });
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else {
        return Ok(ClassFound { class: name, comparison: None, left_out });
    };
    let patients = of_images(known, &ours.ids)?;
    let (first, second, kept) = standardise(&ours.features, &theirs.features)?;
    let extractor = extractor(region, &kept, size);
    let comparison = compare(&first, &second, patients.as_deref(), extractor, settings)?;
    Ok(ClassFound { class: name, comparison: Some(comparison), left_out })
}

/// The features of whole pictures of a folder, with the classes that each picture holds.
pub(crate) struct Held<'a> {
    features: &'a Features,
    /// For each class, the places of the pictures that hold it.
    places: Vec<Vec<usize>>,
}

impl<'a> Held<'a> {
    /// The classes of the pictures with these ids: those of their masks, or those that a column of the folder's table names where there are no
    /// masks. None if nothing says them.
    ///
    /// # Errors
    /// When a table or a mask cannot be read.
    pub(crate) fn of(
        source: Source<'_>,
        ids: &[String],
        features: &'a Features,
        data: &DataConfig,
    ) -> Result<Option<Self>> {
        let names = several(data);
        let holds: Vec<Vec<bool>> = if source.has_masks()? {
            let masks = FolderMasks::of(source, data)?;
            let of = |id: &String| -> Result<Vec<bool>> {
                let Some(mask) = masks.read(id)? else { return Ok(vec![false; names.len()]) };
                Ok(data.coding().areas(&mask.data).into_iter().map(|area| area > 0).collect())
            };
            ids.par_iter().map(of).collect::<Result<_>>()?
        } else if let Some(column) = &for_folder(data, source.folder)?.class_column
            && let Some(named) = Groups::of_folder(source.folder, Some(column.as_str()), None)?
        {
            let class_of = |id: &String| named.of([id.as_str()]).ok().and_then(|mut found| found.pop());
            let held = |id: &String| -> Vec<bool> {
                let class = class_of(id);
                names.iter().map(|name| class.as_ref() == Some(name)).collect()
            };
            ids.iter().map(held).collect()
        } else {
            return Ok(None);
        };
        let of_class = |class: usize| (0..ids.len()).filter(|&place| holds[place][class]).collect();
        Ok(Some(Self { features, places: (0..names.len()).map(of_class).collect() }))
    }
}

/// Compares the pictures that hold a class in both sets, by the features of whole pictures. A picture of several classes counts for each.
/// `patients` are those of all pictures of the reference.
///
/// # Errors
/// When the features cannot be compared.
pub(crate) fn of_pictures(
    [ours, theirs]: [&Held<'_>; 2],
    (class, name): (usize, String),
    patients: Option<&[String]>,
    extractor: &Extractor,
    settings: &ComparisonSettings,
) -> Result<ClassFound> {
    let left_out = [ours, theirs].map(|held| held.features.count() - held.places[class].len());
    let [first, second] = [ours, theirs].map(|held| held.places[class].as_slice());
    if first.len().min(second.len()) < FEWEST {
        return Ok(ClassFound { class: name, comparison: None, left_out });
    }
    let patients: Option<Vec<String>> =
        patients.map(|patients| first.iter().map(|&place| patients[place].clone()).collect());
    let (first, second) = (ours.features.select(first), theirs.features.select(second));
    let comparison = compare(&first, &second, patients.as_deref(), extractor.clone(), settings)?;
    Ok(ClassFound { class: name, comparison: Some(comparison), left_out })
}

/// A warning about a class of which there are too few pictures.
pub(crate) fn few_pictures(found: &ClassFound) -> Option<String> {
    let class = &found.class;
    let Some(comparison) = &found.comparison else {
        return Some(format!(
            "class {class}: fewer than {FEWEST} pictures of a folder hold it, so they have no distance"
        ));
    };
    let (ours, theirs, width) = (comparison.reference.unwrap_or(0), comparison.other, comparison.width);
    (ours.min(theirs) < width).then(|| {
        format!(
            "class {class}: {ours} and {theirs} pictures hold it, fewer than the {width} features: the FID of such sets is mostly bias; \
             look at KID, and compare only values of the same N"
        )
    })
}
