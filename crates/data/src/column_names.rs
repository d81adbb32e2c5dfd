//! Names of the columns by which a split keeps pairs together.

/// Columns of a manifest that name the patient, in order of preference.
pub const PATIENT_COLUMNS: [&str; 4] = ["patient", "patient_id", "subject", "subject_id"];

/// The column for groups of images that look alike.
pub(crate) const NEAR_DUPLICATES: &str = "near_duplicate_group";

/// Further columns by which a split keeps pairs together, in order of preference, where no column names the patient.
pub const OTHER_GROUP_COLUMNS: [&str; 2] = ["group", NEAR_DUPLICATES];
