//! nnU-Net raw, versions 2 and 1: `dataset.json` with `labels` and `file_ending`, `imagesTr/CASE_0000.nii.gz` (one file per
//! channel), `labelsTr/CASE.nii.gz`. The tasks of the Medical Segmentation Decathlon are read, too: `imagesTr/CASE.nii.gz` with all channels
//! in a fourth dimension. Every label except background and `ignore` is a class, and so is every region (a list of labels),
//! which may overlap others, unless the settings say what the labels mean.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use pig_data::class_source::{Named, of_labels};
use pig_data::classes::names;
use pig_data::config::{ClassConfig, MaskValue, MaskValues};
use pig_data::manifest::Manifest;

use super::case::{Case, ImageSource, MaskSource};
use super::content::Kind;
use super::listing::{Listing, note};
use super::walk::Tree;
use crate::channel::{ChannelChoice, ChannelNames, listed};
use crate::error::{PrepareError, Result};
use crate::settings::PrepareConfig;
use crate::sources::read_text;

/// The largest dataset.json that is read; version 1 lists every file in it.
const MAX_DESCRIPTION_BYTES: u64 = 64 << 20;

/// Whether the folder holds a data set in this format.
pub(super) fn recognised(tree: &Tree) -> bool {
    tree.files.iter().any(|entry| entry.place == "dataset.json")
        && tree.files.iter().any(|entry| entry.place.starts_with("imagesTr/"))
}

/// How many data sets an error lists.
const LISTED: usize = 10;

/// Refuses a folder above data sets of this format, such as `nnUNet_raw` or a folder with tasks of the Medical Segmentation Decathlon: their
/// images are those of different organs.
///
/// # Errors
/// When there are data sets in folders below, and none in the folder itself.
pub(super) fn refuse_several(tree: &Tree) -> Result<()> {
    if recognised(tree) {
        return Ok(());
    }
    let folders = tree.files.iter().filter_map(|entry| entry.place.strip_suffix("/dataset.json"));
    let holds_images = |folder: &&str| {
        let images = format!("{folder}/imagesTr/");
        tree.files.iter().any(|entry| entry.place.starts_with(&images))
    };
    let sets: Vec<&str> = folders.filter(holds_images).collect();
    let Some(first) = sets.first() else { return Ok(()) };
    // A manifest says which files of which data set are read.
    if Manifest::in_folder(&tree.root)?.is_some() {
        return Ok(());
    }
    let mut listed: Vec<String> = sets.iter().take(LISTED).map(|set| (*set).to_owned()).collect();
    if sets.len() > LISTED {
        listed.push(format!("and {} more", sets.len() - LISTED));
    }
    Err(PrepareError::SeveralSets {
        path: tree.root.clone(),
        count: sets.len(),
        sets: listed.join(", "),
        first: (*first).to_owned(),
    })
}

pub(super) fn list(tree: &Tree, config: &PrepareConfig) -> Result<Listing> {
    let description = Description::read(&tree.root.join("dataset.json"))?;
    let ending = description.file_ending.as_str();
    let path = tree.root.join("dataset.json");
    let names_of_channels = &description.channels;
    let chosen = config.channel.as_ref().map(|channel| channel.number(&path, names_of_channels)).transpose()?;
    let suffix = format!("_{:04}", chosen.unwrap_or(0));
    let mut labels: HashMap<&str, _> = tree
        .files
        .iter()
        .filter_map(|entry| Some((entry.place.strip_prefix("labelsTr/")?.strip_suffix(ending)?, entry)))
        .collect();
    let mut listing = Listing::default();
    let (mut other_channels, mut numbers) = (0, BTreeSet::new());
    for entry in &tree.files {
        let stem = entry.place.strip_prefix("imagesTr/").and_then(|name| name.strip_suffix(ending));
        let (Some(stem), Kind::Nifti | Kind::Picture) = (stem, entry.kind) else { continue };
        // A file with all channels has no number, and neither has a picture in colour.
        let number = channel_of(stem).filter(|_| !labels.contains_key(stem));
        numbers.extend(number);
        let id = if number.is_none() { Some(stem) } else { stem.strip_suffix(suffix.as_str()) };
        let Some(id) = id else {
            other_channels += 1;
            listing.explained.insert(entry.path.clone());
            continue;
        };
        let masks = match labels.remove(id) {
            None => MaskSource::Missing(format!("labelsTr/{id}{ending}")),
            Some(label) if label.kind == Kind::Nifti => MaskSource::Nifti(vec![label.path.clone()]),
            Some(label) => MaskSource::Pictures(vec![label.path.clone()]),
        };
        let Some(image) = ImageSource::of_kind(entry.path.clone(), entry.kind) else { continue };
        let mut case = Case::new(id.to_owned(), image, masks);
        let all = || ChannelChoice { number: chosen, names: names_of_channels.clone() };
        case.channel = number.is_none().then(all);
        case.mask_values.clone_from(&description.lesion);
        case.declared.clone_from(&description.declared);
        case.classes.clone_from(&description.classes);
        case.overlap = description.overlap;
        case.background.clone_from(&description.ignored);
        listing.cases.push(case);
    }
    if listing.cases.is_empty() && other_channels > 0 {
        let problem = format!("no file in imagesTr has a name that ends in {suffix}{ending}, the channel that is read");
        let found = listed(numbers.iter().copied(), names_of_channels);
        let expected = format!("one of these channels in prepare.channel: {found}");
        return Err(PrepareError::Channel { path, problem, expected });
    }
    let mut images =
        tree.files.iter().filter(|entry| entry.place.starts_with("imagesTr/") && entry.kind != Kind::Other);
    if let (true, Some(first)) = (listing.cases.is_empty(), images.next()) {
        let problem = format!(
            "its file_ending is {ending:?}, but none of the {} picture(s) or volume(s) in imagesTr ends so, such as {}",
            1 + images.count(),
            first.place
        );
        return Err(PrepareError::Annotation { path, problem, expected: "the ending of the images and labels" });
    }
    if other_channels > 0 {
        let words = format!(
            "file(s) of other channels were not read; prepare.channel chooses: {}. Read was {}.",
            listed(numbers.iter().copied(), names_of_channels),
            listed(std::iter::once(chosen.unwrap_or(0)), names_of_channels)
        );
        note(&mut listing.notes, other_channels, &words);
    }
    listing.alone(&labels.into_values().collect::<Vec<_>>());
    let classes = config.classes_of(&description.classes);
    if !classes.is_empty() {
        listing.notes.push(format!(
            "the labels are kept as classes{}: {}; to make them one lesion, list their values in prepare.mask_values.",
            if config.coding_of(&description.classes, description.overlap).overlap { " that may overlap" } else { "" },
            names(classes).join(", ")
        ));
    } else if let (Some(lesion), None) = (&description.lesion, &config.mask_values)
        && lesion.0.len() > 1
    {
        listing.notes.push(format!(
            "dataset.json has {} labels, and all of them count as lesion; to use only some, list them in prepare.mask_values.",
            lesion.0.len()
        ));
    }
    Ok(listing)
}

/// The number of the channel that a name of a file ends in, without its ending: `_0001`.
fn channel_of(stem: &str) -> Option<usize> {
    let (_, digits) = stem.rsplit_once('_')?;
    if digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// What is read from dataset.json.
struct Description {
    file_ending: String,
    /// The labels that mean lesion; `None` if there are no numeric labels.
    lesion: Option<MaskValues>,
    /// Every label, with the background and those that are ignored; `None` if there are no numeric labels.
    declared: Option<Vec<u16>>,
    /// The labels that are ignored; none if there are none.
    ignored: Option<MaskValues>,
    /// The labels as classes; empty if there is one label.
    classes: Vec<ClassConfig>,
    /// Whether these may overlap.
    overlap: bool,
    /// The names of the channels by their numbers.
    channels: ChannelNames,
}

impl Description {
    fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "dataset.json", 1, MAX_DESCRIPTION_BYTES)?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| PrepareError::Annotation {
            path: path.to_path_buf(),
            problem: format!("line {} is not valid JSON", error.line()),
            expected: "nnU-Net's dataset.json",
        })?;
        let file_ending = json["file_ending"].as_str().unwrap_or(".nii.gz");
        let file_ending = if file_ending.starts_with('.') { file_ending.to_owned() } else { format!(".{file_ending}") };
        let mut lesion = BTreeSet::new();
        let mut ignored = BTreeSet::new();
        let mut declared = BTreeSet::new();
        for (name, value) in json["labels"].as_object().into_iter().flatten() {
            // Version 2 maps names to numbers or lists of numbers (regions); version 1 maps numbers to names.
            let (name, values): (&str, Vec<u64>) = match value {
                serde_json::Value::String(text) => (text, name.parse().into_iter().collect()),
                serde_json::Value::Array(list) => (name, list.iter().filter_map(serde_json::Value::as_u64).collect()),
                other => (name, other.as_u64().into_iter().collect()),
            };
            let target = if name.eq_ignore_ascii_case("ignore") { &mut ignored } else { &mut lesion };
            let values: Vec<u16> = values.into_iter().filter_map(|value| u16::try_from(value).ok()).collect();
            declared.extend(&values);
            target.extend(values.into_iter().filter(|&value| value > 0));
        }
        let values: Vec<_> = lesion.difference(&ignored).map(|&value| MaskValue::Gray(value)).collect();
        let lesion = (!values.is_empty()).then_some(MaskValues(values));
        // Background is 0, whether it is listed or not.
        let declared = (!declared.is_empty()).then(|| declared.into_iter().chain([0]).collect::<BTreeSet<u16>>());
        let Named { classes, overlap } = of_labels(&json["labels"]);
        let classes = if classes.len() > 1 { classes } else { Vec::new() };
        let declared = declared.map(|labels| labels.into_iter().collect());
        let ignored: Vec<MaskValue> = ignored.into_iter().map(MaskValue::Gray).collect();
        let ignored = (!ignored.is_empty()).then_some(MaskValues(ignored));
        // Version 2 says "channel_names"; version 1 and the Medical Segmentation Decathlon say "modality".
        let channels = [&json["channel_names"], &json["modality"]].into_iter().find_map(serde_json::Value::as_object);
        let named = |(number, name): (&String, &serde_json::Value)| {
            Some((number.trim().parse().ok()?, name.as_str()?.to_owned()))
        };
        let channels = channels.into_iter().flatten().filter_map(named).collect();
        Ok(Self { file_ending, lesion, declared, ignored, classes, overlap, channels })
    }
}
