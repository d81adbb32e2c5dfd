//! The search in pixels, in features and in masks.

use super::found::{Copies, Request, SHOWN};
use crate::{
    Error, Result,
    inception::FeatureNetwork,
    masks::{FolderMasks, several, with_classes},
    neighbours::pixel_unit,
    patients::{groups, of_images},
    pictures::{common_size, lesions, unlike_colours, values},
};
use pig_data::{
    DataConfig, GroupSource, Source,
    colour::Colours,
    folder::{Groups, Kind},
    unlabelled::Compared,
};
use pig_metrics::nearest::{Closest, CopySearch, Neighbour, Shape, nearest, nearest_features, nearest_masks};
use pig_report::Picture;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// One value for each set: training, held-out and generated.
struct Sets<T> {
    training: T,
    held_out: T,
    generated: T,
}

impl<T> Sets<T> {
    fn map<'a, U>(&'a self, of: impl Fn(&'a T) -> Result<U>) -> Result<Sets<U>> {
        Ok(Sets { training: of(&self.training)?, held_out: of(&self.held_out)?, generated: of(&self.generated)? })
    }

    fn all(&self) -> [&T; 3] {
        [&self.training, &self.held_out, &self.generated]
    }
}

/// Pictures by stem.
type Files = BTreeMap<String, PathBuf>;

/// The result of a search, with pictures to show it.
struct Found {
    search: CopySearch,
    /// The generated and the training picture of the closest pairs.
    shown: Vec<[Picture; 2]>,
}

/// Searches for copies in pixels, in the network's features if there is a network, and in masks if all folders have masks. `data`
/// determines how masks and patients are read.
pub fn search(request: &Request, network: Option<&FeatureNetwork>, data: &DataConfig) -> Result<Copies> {
    let [first, second] = request.parts.as_ref().map_or([None; 2], |parts| parts.each_ref().map(Some));
    let folders = Sets {
        training: Source { only: first, ..Source::all(&request.training, data) },
        held_out: Source { only: second, ..Source::all(&request.held_out, data) },
        generated: Source::all(&request.generated, data),
    };
    Source::check_class_column(&folders.all().map(|source| *source))?;
    let images = folders.map(|source| Ok(source.images()?))?;
    let mut warnings: Vec<String> = disjoint(request, &images, data)?.into_iter().collect();
    let mut notes: Vec<String> = Vec::new();
    for source in folders.all() {
        warnings.extend(source.left_out(Kind::Images)?);
        // Two of the folders may be one, which is said once.
        let rows = source.rows()?.filter(|words| !notes.contains(words));
        notes.extend(rows);
    }
    let all = images.map(colours)?;
    let named = [("training", all.training), ("held-out", all.held_out), ("generated", all.generated)];
    warnings.extend(unlike_colours(&named));
    let mut found = vec![of_pixels(&images, &all, request)?];
    if let Some(network) = network {
        warnings.extend(network.warning());
        found.push(of_features(network, &folders, &images, request)?);
    }
    let masks = folders.all().map(|source| source.has_masks());
    if masks.into_iter().collect::<Result<Vec<bool>, _>>()?.into_iter().all(|has| has) {
        let data = &with_classes(data, &folders.all().map(|source| *source))?;
        found.push(of_masks(&folders, request, data, None)?);
        for (class, name) in several(data).into_iter().enumerate() {
            match of_masks(&folders, request, data, Some((class, &name))) {
                Err(Error::NothingToSearch { .. }) => {
                    warnings.push(format!(
                        "class {name}: no generated or no held-out mask has it, so no copies are looked for"
                    ));
                }
                found_class => found.push(found_class?),
            }
        }
    }
    for Found { search, .. } in found.iter().filter(|found| found.search.check.threshold <= 0.0) {
        warnings.push(format!(
            "{}: held-out images equal training images, so nothing can be flagged; hold out other patients",
            search.space
        ));
    }
    let (searches, shown) = found.into_iter().map(|Found { search, shown }| (search, shown)).unzip();
    Ok(Copies { searches, warnings, notes, shown })
}

/// Refuses held-out images of training patients, or of the same other groups of one data set; returns a warning if patients are not known.
fn disjoint(request: &Request, images: &Sets<Files>, data: &DataConfig) -> Result<Option<String>> {
    let of = |folder: &Path, files: &Files| -> Result<(GroupSource, BTreeSet<String>)> {
        let known = groups(folder, None, data)?;
        let names = of_images(known.as_ref(), files.keys())?.unwrap_or_default();
        let source = known.map_or(GroupSource::Image, |Groups { column, .. }| GroupSource::Column(column));
        Ok((source, names.into_iter().collect()))
    };
    let (source, training) = of(&request.training, &images.training)?;
    let (other, held_out) = of(&request.held_out, &images.held_out)?;
    let compared = Compared::of((&request.training, &source), (&request.held_out, &other));
    let mut shared = training.intersection(&held_out).filter(|_| compared > Compared::ByPixels);
    let Some(first) = shared.next() else {
        let warning = "the patients of the training or the held-out images are not known: if both have images of the same patient, \
                       held-out images are too near, and copies are missed";
        return Ok((compared < Compared::ByPatients).then(|| warning.to_owned()));
    };
    Err(Error::SharedPatients {
        training: request.training.clone(),
        held_out: request.held_out.clone(),
        first: first.clone(),
        count: 1 + shared.count(),
    })
}

fn names(files: &Files) -> Vec<String> {
    files.keys().cloned().collect()
}

/// Joins neighbours with the names of their images.
///
/// # Errors
/// When there are no generated or no held-out images.
fn joined(
    space: &'static str,
    unit: String,
    [ours, training]: [&[String]; 2],
    [generated, held_out]: [&[Neighbour]; 2],
) -> Result<CopySearch> {
    CopySearch::new(space, unit, (ours, generated), held_out, training).ok_or(Error::NothingToSearch { space })
}

/// How many of a set's images are in colour.
fn colours(files: &Files) -> Result<Colours> {
    Ok(Colours::of(files.values().map(PathBuf::as_path))?)
}

fn of_pixels(images: &Sets<Files>, all: &Sets<Colours>, request: &Request) -> Result<Found> {
    let files = images.all().into_iter().flat_map(|files| files.values()).map(PathBuf::as_path);
    let size = common_size(files, request.side)?;
    let coloured = all.all().into_iter().any(|colours| colours.coloured > 0);
    let channels = if coloured { 3 } else { 1 };
    let pixels = images.map(|files| values(&files.values().collect::<Vec<_>>(), size, channels))?;
    let slices = pixels.map(|set| Ok(set.iter().map(Vec::as_slice).collect::<Vec<&[f32]>>()))?;
    let shape = Shape { height: size[0], width: size[1], channels };
    let near = |set: &[&[f32]]| nearest(set, &slices.training, shape, request.flips);
    let (generated, held_out) = (near(&slices.generated)?, near(&slices.held_out)?);
    let unit = pixel_unit(size, channels);
    let (ours, theirs) = (names(&images.generated), names(&images.training));
    let search = joined("pixels", unit, [&ours, &theirs], [&generated, &held_out])?;
    let shown = shown(&search, images)?;
    Ok(Found { search, shown })
}

fn of_features(
    network: &FeatureNetwork,
    folders: &Sets<Source<'_>>,
    images: &Sets<Files>,
    request: &Request,
) -> Result<Found> {
    let (names, training) = network.extract(folders.training, None)?;
    let near = |source: Source<'_>| -> Result<(Vec<String>, Vec<Neighbour>)> {
        let (names, features) = network.extract(source, None)?;
        let mirrored = request.flips.then(|| network.extract_mirrored(source)).transpose()?;
        Ok((names, nearest_features(&features, mirrored.as_ref(), &training)?))
    };
    let (ours, generated) = near(folders.generated)?;
    let (_, held_out) = near(folders.held_out)?;
    let extractor = network.extractor(None);
    let unit = format!("mean squared difference of {}; images: {}", extractor.name, extractor.preprocessing);
    let search = joined("Inception features", unit, [&ours, &names], [&generated, &held_out])?;
    let shown = shown(&search, images)?;
    Ok(Found { search, shown })
}

/// The search in masks of lesion, or of one class.
fn of_masks(
    folders: &Sets<Source<'_>>,
    request: &Request,
    data: &DataConfig,
    class: Option<(usize, &str)>,
) -> Result<Found> {
    let read = folders.map(|source| FolderMasks::of(*source, data))?;
    let size = common_size(read.all().into_iter().flat_map(FolderMasks::files), request.side)?;
    // Empty masks are left out, because they are not copies of anything.
    let masks = read.map(|masks| -> Result<Vec<(String, Vec<bool>)>> {
        let all = lesions(masks, size, class.map(|(class, _)| class))?;
        let with_lesion = masks.ids().cloned().zip(all).filter(|(_, mask)| mask.contains(&true));
        Ok(with_lesion.collect())
    })?;
    let slices = masks.map(|set| Ok(set.iter().map(|(_, mask)| mask.as_slice()).collect::<Vec<&[bool]>>()))?;
    let names = masks.map(|set| Ok(set.iter().map(|(name, _)| name.clone()).collect::<Vec<String>>()))?;
    let near = |set: &[&[bool]]| nearest_masks(set, &slices.training, size[0], size[1], request.flips);
    let (generated, held_out) = (near(&slices.generated)?, near(&slices.held_out)?);
    let unit = format!("1 - Dice at {} x {}; masks without a lesion are left out", size[0], size[1]);
    let mut search = joined("masks", unit, [&names.generated, &names.training], [&generated, &held_out])?;
    if let Some((_, name)) = class {
        search.space = format!("masks of the class {name}");
    }
    let picture = |set: &[(String, Vec<bool>)], name: &str| -> Result<Picture> {
        let mask = set.iter().find(|(other, _)| other == name).map(|(_, mask)| mask.as_slice()).unwrap_or_default();
        Ok(Picture::from_mask(mask, size[0], size[1])?)
    };
    let pair = |one: &Closest| -> Result<[Picture; 2]> {
        Ok([picture(&masks.generated, &one.generated)?, picture(&masks.training, &one.training)?])
    };
    let shown = search.closest.iter().take(SHOWN).map(pair).collect::<Result<_>>()?;
    Ok(Found { search, shown })
}

/// Pictures of the closest pairs at their own resolution; both are reduced to their common size.
fn shown(search: &CopySearch, images: &Sets<Files>) -> Result<Vec<[Picture; 2]>> {
    let pair = |one: &Closest| -> Result<[Picture; 2]> {
        let files = [&images.generated[&one.generated], &images.training[&one.training]];
        let size = common_size(files.iter().map(|path| path.as_path()), usize::MAX)?;
        let channels = Colours::of(files.iter().map(|path| path.as_path()))?.lossless_channels();
        let values = values(&files, size, channels)?;
        let picture = |values: &[f32]| Picture::from_values(values, size[0], size[1], channels, (0.0, 1.0));
        Ok([picture(&values[0])?, picture(&values[1])?])
    };
    search.closest.iter().take(SHOWN).map(pair).collect()
}
