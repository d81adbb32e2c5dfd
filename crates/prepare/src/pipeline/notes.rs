//! What is told about the pairs of a preparation.

use pig_data::columns::OTHER_GROUP_COLUMNS;
use pig_data::manifest::same_name;

use super::work::Work;
use crate::prepared_folder::{CaseNote, Description};
use crate::record::{Grouping, Record};
use crate::settings::SECTION;
use pig_data::remarks::{exchanged, other_values};

/// Notes for the user about the records.
pub(super) fn notes(records: &[Record], description: &Description) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |count: usize, text: &str| {
        if count > 0 {
            notes.push(format!("{count} of {} {text}", records.len()));
        }
    };
    note(records.iter().filter(|r| r.weak_label).count(), "masks are weak labels, drawn from boxes.");
    let vanished = records.iter().filter(|r| r.source_mask_pixels > 0 && r.mask_pixels == 0).count();
    note(vanished, "masks have lesion in the source but none at this size; raise prepare.size.");
    let sided = description.prepare.laterality != crate::settings::LateralityRule::Keep;
    let unsided = records.iter().filter(|r| sided && r.laterality.is_empty()).count();
    note(unsided, "images do not name a side and were not mirrored.");
    match Grouping::of(records) {
        Grouping::Patient => {
            let unknown = records.iter().filter(|r| r.patient.is_empty()).count();
            note(unknown, "pairs do not name a patient; each image or volume counts as a patient.");
        }
        Grouping::Case => notes.push("No patients are known: a split can only keep volumes together.".to_owned()),
        Grouping::None => notes.push(no_patients(records)),
    }
    notes
}

/// What a split keeps together if neither patients nor volumes are known.
fn no_patients(records: &[Record]) -> String {
    let others = records.first().map_or(&[][..], |record| &record.others);
    let column = OTHER_GROUP_COLUMNS.into_iter().find(|group| others.iter().any(|(name, _)| same_name(name, group)));
    match column {
        Some(column) => format!("No patients are known: a split keeps the groups of the column {column} together."),
        None => "No patients are known: a split is by image.".to_owned(),
    }
}

/// Notes and warnings about cases, of which there are `total`.
pub(super) fn case_notes(told: &[CaseNote], total: usize) -> (Vec<String>, Vec<String>) {
    let (mut notes, mut warnings) = (Vec::new(), Vec::new());
    let count = |wanted: fn(&CaseNote) -> bool| told.iter().filter(|note| wanted(note)).count();
    let flat = count(|note| matches!(note, CaseNote::Flat));
    if flat > 0 {
        warnings.push(format!(
            "{flat} of {total} image(s) or volume(s) are flat: every pixel shows the same value. Look at their files and at \
             prepare.window."
        ));
    }
    let windows = count(|note| matches!(note, CaseNote::WindowIgnored));
    if windows > 0 {
        notes.push(format!(
            "{windows} of {total} DICOM file(s) have a window that cannot be used, such as one of width 0: percentiles were \
             used instead."
        ));
    }
    let geometry = count(|note| matches!(note, CaseNote::GeometryIgnored));
    if geometry > 0 {
        notes.push(format!(
            "{geometry} of {total} DICOM file(s) give a spacing, a thickness, a position or an orientation that cannot be used, such \
             as a spacing of 0: it was left out."
        ));
    }
    let cut = count(|note| matches!(note, CaseNote::BitsCut));
    if cut > 0 {
        warnings.push(format!(
            "{cut} of {total} DICOM file(s) have values with more bits than their Bits Stored says; the higher bits were left out, as \
             the standard has it. Compare the pictures with those of another reader, and correct Bits Stored if it is wrong."
        ));
    }
    let left_over = told.iter().filter_map(|note| if let CaseNote::FramesLeftOver(n) = note { Some(*n) } else { None });
    let left_over: Vec<u32> = left_over.collect();
    if !left_over.is_empty() {
        warnings.push(format!(
            "{} of {total} DICOM file(s) hold more frames than their Number of Frames says: {} frame(s) were left out.",
            left_over.len(),
            left_over.iter().sum::<u32>()
        ));
    }
    let turned = count(|note| matches!(note, CaseNote::Turned));
    if turned > 0 {
        notes.push(format!("{turned} of {total} picture(s) were turned or mirrored, as their orientation tags say."));
    }
    warnings.extend(other_values(count(|note| matches!(note, CaseNote::OtherValues)), total, SECTION));
    let labels = told.iter().filter_map(|note| if let CaseNote::Labels(bits) = note { Some(*bits) } else { None });
    warnings.extend(several_labels(&labels.collect::<Vec<_>>()));
    let far = told.iter().filter_map(|note| if let CaseNote::AffineIgnored(far) = note { Some(*far) } else { None });
    let far: Vec<f64> = far.collect();
    if let Some(greatest) = far.iter().copied().reduce(f64::max) {
        warnings.push(format!(
            "{} of {total} mask(s) have another affine than their image, which was ignored (prepare.mask_affine); corners differ \
             by up to {greatest:.1} mm.",
            far.len()
        ));
    }
    (notes, warnings)
}

/// A warning of masks that hold several labels, which nothing tells apart. Each mask's labels are the bits of a number.
fn several_labels(masks: &[u64]) -> Option<String> {
    let all = masks.iter().fold(0_u64, |all, &bits| all | bits);
    let word = |label: u32| if label == 63 { "63 or more".to_owned() } else { label.to_string() };
    let labels: Vec<String> = (0..64_u32).filter(|&label| all >> label & 1 == 1).map(word).collect();
    (labels.len() > 1).then(|| {
        format!(
            "{} mask(s) of volumes hold the labels {}, and all of them count as lesion, because nothing says what they mean; \
             prepare.mask_values names those that are lesion, and [[prepare.classes]] tables keep them apart.",
            masks.len(),
            labels.join(", ")
        )
    })
}

/// Warnings about the records.
pub(super) fn warnings(records: &[Record]) -> Vec<String> {
    let lesion = |record: &&Record| record.source_mask_pixels > 0;
    let most = |record: &&Record| {
        let [height, width] = record.transform.source;
        2 * record.source_mask_pixels > height * width
    };
    let with_lesion = records.iter().filter(lesion).count();
    let covered = records.iter().filter(most).count();
    exchanged(covered, with_lesion, "prepare").into_iter().collect()
}

/// Warnings about colour: what was reduced to gray, or copied from gray, by which setting.
pub(super) fn colour_warnings(told: &[CaseNote], total: usize, work: &Work<'_>) -> Vec<String> {
    let count = |wanted: CaseNote| told.iter().filter(|note| **note == wanted).count();
    let (reduced, copied) = (count(CaseNote::ColourReduced), count(CaseNote::GrayCopied));
    let setting = work.request.config.colour.word();
    let mut warnings = Vec::new();
    if reduced > 0 {
        warnings.push(format!(
            "{reduced} of {total} image(s) or volume(s) are in colour and were {} (prepare.colour = \"{setting}\"); \
             prepare.colour = \"keep\" keeps the colour.",
            work.reading.words()
        ));
    }
    if copied > 0 {
        warnings.push(format!(
            "{copied} of {total} image(s) or volume(s) are gray and were copied to three channels, because the others are in colour \
             (prepare.colour = \"{setting}\"); prepare.colour = \"luma\" makes all gray."
        ));
    }
    warnings
}
