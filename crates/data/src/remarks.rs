//! Remarks about data that reading, preparing, inspecting and measuring make alike.

use crate::read::Taken;

/// 16-bit pictures whose greatest value is below this leave a bit unused: they hold data of 10, 12 or 15 bits.
pub const USED_BITS: f64 = 32_768.0;

/// A warning of masks that have values, but none that means lesion: `count` of `total`. `section` is as in [`exchanged`].
pub fn other_values(count: usize, total: usize, section: &str) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} of {total} mask(s) hold values other than 0, but none that means lesion by {section}.mask_values or \
             {section}.mask_threshold: they count as free of lesion. `pig inspect` lists the values of masks."
        )
    })
}

/// A warning of masks with a palette whose grays are in another order than their indices: `count` of `total`, and what was `taken` of them.
/// `first` is one of these files, if it may be named.
pub fn other_order(count: usize, total: usize, first: Option<&str>, taken: Taken) -> Option<String> {
    let such = first.map_or_else(String::new, |first| format!(", such as {first}"));
    let taken = match taken {
        Taken::Indices => {
            "the indices count, as numbers of values, classes and labels name them, not the grays that people see"
        }
        Taken::Grays => {
            "the grays that people see count, not the indices, as no values, classes or labels are named by index"
        }
    };
    (count > 0).then(|| {
        format!(
            "{count} of {total} mask(s) have a palette of grays in another order than their indices{such}: {taken}."
        )
    })
}

/// A warning if most masks with lesion cover more than half of their picture: `covered` of `with_lesion`. `section` is the section of the
/// configuration with the settings for masks: `data` or `prepare`.
pub fn exchanged(covered: usize, with_lesion: usize, section: &str) -> Option<String> {
    (2 * covered > with_lesion).then(|| {
        format!(
            "the masks of {covered} of {with_lesion} picture(s) with lesion cover more than half of the picture: lesion and \
             background may be exchanged; name the values that mean lesion in {section}.mask_values."
        )
    })
}

/// What is said beside an expected picture that is there in a format that is not read, with a space before it. `place` is its path.
pub fn unread(place: impl std::fmt::Display, format: &str) -> String {
    format!(" ({place} is a {format} file, which is not read: convert it)")
}
