//! What names say of files: that they are masks, and of which image.

/// What names of masks end in, behind `_` or `-`, in any case.
const SUFFIXES: [&str; 8] = ["mask", "msk", "segmentation", "seg", "label", "groundtruth", "gt", "anno"];

/// Words in names of masks, of folders of masks, and of pictures that are made of both.
const WORDS: [&str; 17] = [
    "mask",
    "masks",
    "msk",
    "seg",
    "segs",
    "segmentation",
    "segmentations",
    "label",
    "labels",
    "gt",
    "anno",
    "annotation",
    "annotations",
    "contours",
    "overlay",
    "overlays",
    "superpixels",
];

/// Two words that are written as one, apart, or with anything between them.
const GROUND_TRUTH: &str = "groundtruth";

/// `NAME` of `NAME_mask`, `NAME-seg` and `NAME_mask_2`.
pub(super) fn strip_suffix(stem: &str) -> Option<&str> {
    let bare = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < stem.len() { bare.strip_suffix('_').unwrap_or(stem) } else { stem };
    let (name, word) = bare.rsplit_once(['_', '-'])?;
    (!name.is_empty() && SUFFIXES.iter().any(|suffix| word.eq_ignore_ascii_case(suffix))).then_some(name)
}

/// How many words of a name, or of the path of a folder, say "mask".
pub(super) fn mask_words(text: &str) -> usize {
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    words(text).iter().filter(|word| WORDS.contains(&word.as_str())).count() + plain.matches(GROUND_TRUTH).count()
}

/// The words of a name in lower case: they end where the kind of characters changes, and before a capital letter.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        let ends =
            !c.is_alphanumeric() || c.is_numeric() != before.is_numeric() || c.is_uppercase() && before.is_lowercase();
        if ends {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_masks_name_their_image() {
        for (stem, name) in [
            ("a_mask", Some("a")),
            ("a_b-seg", Some("a_b")),
            ("patient001_frame01_gt", Some("patient001_frame01")),
            ("BraTS-GLI-00001-000-seg", Some("BraTS-GLI-00001-000")),
            ("benign (1)_mask_1", Some("benign (1)")),
            ("A_MASK", Some("A")),
            ("a_mask2", None),
            ("_mask", None),
            ("segmentation", None),
            ("volume-0", None),
        ] {
            assert_eq!(strip_suffix(stem), name, "{stem}");
        }
    }

    #[test]
    fn words_of_masks_are_counted() {
        for (text, count) in [
            ("Ground Truth", 1),
            ("ISIC2018_Task1_Training_GroundTruth", 1),
            ("2. All Segmentation Groundtruths/a. Training Set", 2),
            ("train_gt/train_gt", 2),
            ("ManualMask/leftMask", 2),
            ("SegmentationClass", 1),
            ("Disc_Cup_Masks/Glaucoma", 1),
            ("segmentation-0", 1),
            ("IMD002_R1_Label4", 1),
            ("images", 0),
            ("damask/segment/gts", 0),
            ("", 0),
        ] {
            assert_eq!(mask_words(text), count, "{text}");
        }
    }
}
