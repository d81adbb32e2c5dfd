//! Cases with the classes that a column of the source's manifest names: its words, if a mask of the word has lesion.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use pig_data::class_source::of_words;
use pig_data::classes::{Kind, check};

use crate::budget::Budget;
use crate::error::{PrepareError, Result};
use crate::layouts::{Case, Found, ImageSource, Layout, MaskLayer, MaskSource, find};
use crate::masks::Masks;
use crate::settings::PrepareConfig;
use crate::sources::{Cost, Reading, Volume};

/// Finds the cases below `source`, as [`find`] does, and gives them the classes that their rows name, unless the settings do.
///
/// # Errors
/// As [`find`], and when the words of the column cannot be names of classes.
pub(crate) fn found(source: &Path, forced: Option<Layout>, config: &PrepareConfig, cost: &Cost) -> Result<Found> {
    let mut found = find(source, forced, config, &cost.dicom)?;
    if config.class_column.is_none() || !config.classes.is_empty() {
        return Ok(found);
    }
    let mut words: BTreeMap<&str, Vec<(&Case, &MaskLayer)>> = BTreeMap::new();
    for case in &found.cases {
        let MaskSource::Layers(layers) = &case.masks else { continue };
        for layer in layers {
            if let Some(word) = &layer.class {
                words.entry(word).or_default().push((case, layer));
            }
        }
    }
    let budget = Budget::of(cost);
    // Whether a mask of the word has lesion; if none has, as far as they can be read, also how many cannot be read.
    let of_word = |rows: &[(&Case, &MaskLayer)]| -> (bool, usize) {
        let mut unread = 0;
        for (case, layer) in rows {
            match has_lesion(case, layer, config, cost, &budget) {
                Ok(true) => return (true, 0),
                Ok(false) => {}
                Err(_) => unread += 1,
            }
        }
        (false, unread)
    };
    let known: Vec<(&str, (bool, usize))> = words.par_iter().map(|(word, rows)| (*word, of_word(rows))).collect();
    let (unread, read): (Vec<_>, Vec<_>) = known.into_iter().partition(|(_, (_, unread))| *unread > 0);
    let unread: Vec<String> = unread.into_iter().map(|(word, (_, rows))| format!("{word} ({rows} row(s))")).collect();
    let with_lesion = read.into_iter().map(|(word, (has_lesion, _))| (word, has_lesion));
    let (classes, sentence) = of_words(with_lesion, config.class_column.as_deref());
    check(&classes, None, Kind::ByCase { overlap: config.classes_overlap })
        .map_err(|(found, expected)| PrepareError::Config { key: "class_column", found, expected })?;
    found.notes.push(format!("{sentence}."));
    if !unread.is_empty() {
        let words = unread.join(", ");
        found.notes.push(format!(
            "these words are no class, although some of their rows cannot be read and may have lesion: {words}."
        ));
    }
    for case in &mut found.cases {
        case.classes.clone_from(&classes);
    }
    Ok(found)
}

/// Whether the mask of a row has lesion. The error of a file that cannot be read is left to whoever prepares the case.
fn has_lesion(case: &Case, layer: &MaskLayer, config: &PrepareConfig, cost: &Cost, budget: &Budget) -> Result<bool> {
    let picture = matches!(case.image, ImageSource::Picture(_));
    let _picture = picture.then(|| budget.picture(case.image.path(), Reading::Luma)).transpose()?;
    let volume = Volume::open(case, Reading::Luma, config.slice_axis, cost)?;
    let Some(masks) = Masks::of_layer(case, layer, &volume, config, cost)? else { return Ok(false) };
    for index in 0..volume.slices() {
        let _share = budget.slice(&volume);
        if masks.read(index)?.iter().any(|&label| label > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
