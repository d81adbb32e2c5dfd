//! Remarks about data that reading, preparing and inspecting make alike.

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
