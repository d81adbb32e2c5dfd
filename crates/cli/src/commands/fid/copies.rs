//! `pig fid copies`.

use super::{
    data_settings, device, groups,
    pictures::{common_size, gray, lesions},
};
use crate::{
    args::{Args, Copies},
    commands::inception::FeatureNetwork,
};
use anyhow::ensure;
use pig_data::{
    DataConfig,
    folder::{Groups, Kind, has_masks, pictures},
    table::{Column, Columns, write_csv},
};
use pig_metrics::{
    histogram::{Histogram, shared_range},
    nearest::{Closest, CopySearch, Neighbour, Shape, nearest, nearest_features, nearest_masks},
};
use pig_report::{Block, Document, HistogramChart, NearestPair, NearestSection, Picture};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Pairs of each kind that are shown.
const SHOWN: usize = 10;
/// Bins of the histograms of distances.
const BINS: usize = 24;

/// Pictures by stem: of the training set, held out, and generated.
struct Sets<T> {
    training: T,
    held_out: T,
    generated: T,
}

impl<T> Sets<T> {
    fn map<'a, U>(&'a self, of: impl Fn(&'a T) -> anyhow::Result<U>) -> anyhow::Result<Sets<U>> {
        Ok(Sets { training: of(&self.training)?, held_out: of(&self.held_out)?, generated: of(&self.generated)? })
    }

    fn all(&self) -> [&T; 3] {
        [&self.training, &self.held_out, &self.generated]
    }
}

type Files = BTreeMap<String, PathBuf>;

/// A search with the pictures that it is shown by.
struct Found {
    search: CopySearch,
    /// Generated and training picture of the closest pairs.
    shown: Vec<[Picture; 2]>,
}

/// Looks for copies in every space that the folders allow.
pub(super) fn run(args: &Args, asked: &Copies) -> anyhow::Result<ExitCode> {
    let data = data_settings(&asked.sets)?;
    let folders = Sets { training: &asked.train, held_out: &asked.held_out, generated: &asked.generated };
    let images = folders.map(|folder| Ok(pictures(folder, Kind::Images)?))?;
    let mut warnings: Vec<String> = disjoint(asked, &images, &data)?.into_iter().collect();
    let mut found = vec![of_pixels(&images, asked)?];
    if asked.inception.weights.is_some() {
        let network = FeatureNetwork::open(&asked.inception, device(args)?)?;
        warnings.extend(network.warning());
        found.push(of_features(&network, &folders, &images, asked)?);
    }
    let masks = folders.all().map(|folder| has_masks(folder));
    if masks.into_iter().collect::<Result<Vec<bool>, _>>()?.into_iter().all(|has| has) {
        found.push(of_masks(&folders, asked, &data)?);
    }
    for Found { search, .. } in found.iter().filter(|found| found.search.check.threshold <= 0.0) {
        warnings.push(format!(
            "{}: one in twenty held-out images equals a training image, so that nothing can be flagged; hold out other patients",
            search.space
        ));
    }
    let searches: Vec<&CopySearch> = found.iter().map(|found| &found.search).collect();
    if let Some(path) = &asked.csv {
        let of = |search: &&CopySearch| -> Vec<Row> {
            search.closest.iter().map(|one| Row { space: search.space.clone(), one: one.clone() }).collect()
        };
        let rows: Vec<Row> = searches.iter().flat_map(of).collect();
        write_csv(path, COLUMNS, &rows)?;
    }
    if let Some(path) = &asked.page {
        page(asked, &found, &warnings).write(path)?;
    }
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "searches": searches, "warnings": warnings }))?);
    } else {
        for search in searches {
            print(search);
        }
        for warning in &warnings {
            eprintln!("warning: {warning}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses held-out images of training patients; warns where patients are not known.
fn disjoint(asked: &Copies, images: &Sets<Files>, data: &DataConfig) -> anyhow::Result<Option<String>> {
    let of = |folder: &Path, files: &Files| -> anyhow::Result<Option<BTreeSet<String>>> {
        let groups = groups(folder, None, data)?;
        let groups = groups.map(|groups: Groups| groups.of(files.keys().map(String::as_str))).transpose()?;
        Ok(groups.map(|groups| groups.into_iter().collect()))
    };
    let (training, held_out) = (of(&asked.train, &images.training)?, of(&asked.held_out, &images.held_out)?);
    let (Some(training), Some(held_out)) = (training, held_out) else {
        return Ok(Some(
            "no patients are known of the training or the held-out images: where both have images of one patient, held-out images lie \
             too near, and copies are missed"
                .to_owned(),
        ));
    };
    let shared: Vec<&String> = training.intersection(&held_out).collect();
    ensure!(
        shared.is_empty(),
        "{} and {} share {} patient(s) or group(s), such as {:?}; hold out patients that the generator did not see",
        asked.train.display(),
        asked.held_out.display(),
        shared.len(),
        shared[0]
    );
    Ok(None)
}

fn names(files: &Files) -> Vec<String> {
    files.keys().cloned().collect()
}

/// Joins neighbours with names; both sets have images, so that a search is there.
fn search(
    space: &str,
    unit: String,
    names: [&[String]; 2],
    [generated, held_out]: [&[Neighbour]; 2],
) -> anyhow::Result<CopySearch> {
    let [ours, training] = names;
    let found = CopySearch::new(space, unit, (ours, generated), held_out, training);
    found.ok_or_else(|| {
        anyhow::anyhow!("{space}: no generated or no held-out picture to look at; give folders with more")
    })
}

fn of_pixels(images: &Sets<Files>, asked: &Copies) -> anyhow::Result<Found> {
    let size = common_size(images.all().into_iter().flat_map(|files| files.values()), asked.side as usize)?;
    let pixels = images.map(|files| gray(&files.values().collect::<Vec<_>>(), size))?;
    let slices = pixels.map(|set| Ok(set.iter().map(Vec::as_slice).collect::<Vec<&[f32]>>()))?;
    let shape = Shape { height: size[0], width: size[1], channels: 1 };
    let near = |set: &[&[f32]]| nearest(set, &slices.training, shape, !asked.no_flips);
    let (generated, held_out) = (near(&slices.generated)?, near(&slices.held_out)?);
    let unit = format!("mean squared difference of gray values from 0 to 1, at {} x {}", size[0], size[1]);
    let (ours, theirs) = (names(&images.generated), names(&images.training));
    let search = search("pixels", unit, [&ours, &theirs], [&generated, &held_out])?;
    let shown = shown(&search, images)?;
    Ok(Found { search, shown })
}

fn of_features(
    network: &FeatureNetwork,
    folders: &Sets<&PathBuf>,
    images: &Sets<Files>,
    asked: &Copies,
) -> anyhow::Result<Found> {
    let (names, training) = network.extract(folders.training)?;
    let near = |folder: &Path| -> anyhow::Result<(Vec<String>, Vec<Neighbour>)> {
        let (names, features) = network.extract(folder)?;
        let mirrored = (!asked.no_flips).then(|| network.extract_mirrored(folder)).transpose()?;
        Ok((names, nearest_features(&features, mirrored.as_ref(), &training)?))
    };
    let (ours, generated) = near(folders.generated)?;
    let (_, held_out) = near(folders.held_out)?;
    let extractor = network.extractor();
    let unit = format!("mean squared difference of {}; images: {}", extractor.name, extractor.preprocessing);
    let search = search("Inception features", unit, [&ours, &names], [&generated, &held_out])?;
    let shown = shown(&search, images)?;
    Ok(Found { search, shown })
}

fn of_masks(folders: &Sets<&PathBuf>, asked: &Copies, data: &DataConfig) -> anyhow::Result<Found> {
    let files = folders.map(|folder| Ok(pictures(folder, Kind::Masks)?))?;
    let size = common_size(files.all().into_iter().flat_map(|files| files.values()), asked.side as usize)?;
    // An empty mask is a copy of nothing.
    let masks = files.map(|files| {
        let all = lesions(&files.values().collect::<Vec<_>>(), size, data)?;
        let with_lesion = files.keys().cloned().zip(all).filter(|(_, mask)| mask.contains(&true));
        Ok(with_lesion.collect::<Vec<(String, Vec<bool>)>>())
    })?;
    let slices = masks.map(|set| Ok(set.iter().map(|(_, mask)| mask.as_slice()).collect::<Vec<&[bool]>>()))?;
    let names = masks.map(|set| Ok(set.iter().map(|(name, _)| name.clone()).collect::<Vec<String>>()))?;
    let near = |set: &[&[bool]]| nearest_masks(set, &slices.training, size[0], size[1], !asked.no_flips);
    let (generated, held_out) = (near(&slices.generated)?, near(&slices.held_out)?);
    let unit = format!("1 - Dice at {} x {}; masks without a lesion are left out", size[0], size[1]);
    let search = search("masks", unit, [&names.generated, &names.training], [&generated, &held_out])?;
    let picture = |set: &[(String, Vec<bool>)], name: &str| -> anyhow::Result<Picture> {
        let mask = set.iter().find(|(other, _)| other == name).map(|(_, mask)| mask.as_slice()).unwrap_or_default();
        Ok(Picture::from_mask(mask, size[0], size[1])?)
    };
    let shown = search.closest.iter().take(SHOWN);
    let shown =
        shown.map(|one| Ok([picture(&masks.generated, &one.generated)?, picture(&masks.training, &one.training)?]));
    Ok(Found { shown: shown.collect::<anyhow::Result<_>>()?, search })
}

/// The closest pairs in their own pixels, both as large as the smaller one.
fn shown(search: &CopySearch, images: &Sets<Files>) -> anyhow::Result<Vec<[Picture; 2]>> {
    let pair = |one: &Closest| -> anyhow::Result<[Picture; 2]> {
        let files = [&images.generated[&one.generated], &images.training[&one.training]];
        let size = common_size(files.into_iter(), usize::MAX)?;
        let values = gray(&files, size)?;
        let picture = |values: &[f32]| Picture::from_values(values, size[0], size[1], 1, (0.0, 1.0));
        Ok([picture(&values[0])?, picture(&values[1])?])
    };
    search.closest.iter().take(SHOWN).map(pair).collect()
}

fn print(search: &CopySearch) {
    let CopySearch { space, unit, check, share_flagged, nearer_than_all, closest } = search;
    println!(
        "{space}: {} of {} flagged ({:.1} %; 5 % is expected of images as new as real ones), {nearer_than_all} nearer than every one of \
         {} held-out images",
        check.nearer,
        check.generated,
        100.0 * share_flagged,
        check.held_out
    );
    println!(
        "  median distance: generated {:.5}, held out {:.5}; flagged below {:.5}",
        check.generated_median, check.held_out_median, check.threshold
    );
    println!("  distance: {unit}");
    for one in closest.iter().take(SHOWN) {
        let mirrored = if one.flipped { " (mirrored)" } else { "" };
        println!("  {:.5}  {} near {}{mirrored}", one.distance, one.generated, one.training);
    }
    println!();
}

fn page(asked: &Copies, found: &[Found], warnings: &[String]) -> Document {
    let mut blocks: Vec<Block> = warnings.iter().cloned().map(Block::Warning).collect();
    for Found { search, shown } in found {
        blocks.push(Block::Heading(format!("Nearest training images: {}", search.space)));
        let pairs = search.closest.iter().zip(shown).map(|(one, [generated, training])| NearestPair {
            name: format!("{} near {}", one.generated, one.training),
            generated: generated.clone(),
            training: training.clone(),
            distance: one.distance,
            flipped: one.flipped,
        });
        let (check, unit) = (Some(search.check.clone()), search.unit.clone());
        blocks.push(Block::Nearest(NearestSection { pairs: pairs.collect(), check, unit }));
        let distances: Vec<f64> = search.closest.iter().map(|one| one.distance).collect();
        let range = shared_range(&[&search.check.held_out_distances, &distances]);
        let sets = [("held-out real images", &search.check.held_out_distances), ("generated", &distances)]
            .map(|(name, values)| (name.to_owned(), Histogram::new(values.iter().copied(), BINS, range)));
        blocks.push(Block::Charts(vec![HistogramChart {
            title: "Distance to the nearest training image".to_owned(),
            x_label: format!("distance ({})", search.space),
            sets: sets.into(),
        }]));
    }
    blocks.push(Block::Heading("What this does not show".to_owned()));
    blocks.push(Block::List(vec![
        "A copied lesion in another breast, a rotated or cropped copy: neither pixels nor whole masks see it."
            .to_owned(),
        "That nothing was memorised: a share at 5 % says that copies are no more frequent than chance makes them."
            .to_owned(),
    ]));
    let [train, held_out, generated] = [&asked.train, &asked.held_out, &asked.generated].map(|path| path.display());
    Document {
        title: "Copies of training images".to_owned(),
        lead: format!("Images in {generated} against those in {train}, with {held_out} as the measure."),
        blocks,
        footer: "Generated images and masks on this page are synthetic, training images are real. The file needs nothing beside it: no network, no script."
            .to_owned(),
    }
}

/// A line of the table.
struct Row {
    space: String,
    one: Closest,
}

const COLUMNS: &Columns<Row> = &[
    ("space", Column::Text(|row| &row.space)),
    ("generated", Column::Text(|row| &row.one.generated)),
    ("training", Column::Text(|row| &row.one.training)),
    ("distance", Column::Number(|row| row.one.distance)),
    ("mirrored", Column::Flag(|row| row.one.flipped)),
    ("rank", Column::Number(|row| row.one.rank)),
    ("flagged", Column::Flag(|row| row.one.flagged)),
];
