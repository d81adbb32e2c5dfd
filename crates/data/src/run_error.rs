//! Errors of masks that are given to a finished run.

use crate::class_error::ClassError;
use crate::error::DataError;

impl DataError {
    /// The same error of a mask that is given to a finished run, whose settings of masks nobody can change any more.
    #[must_use]
    pub fn for_run(self) -> Self {
        let lesion = || "0 and one value of lesion".to_owned();
        let (path, found, expected) = match self {
            Self::Classes(ClassError::ValueWithoutClass { path, values, classes, .. }) => {
                let found = format!("has values that stand for no class: {values}");
                (path, found, format!("0 (background) or those of {classes}"))
            }
            Self::Classes(ClassError::LesionWithoutClass { path, values, expected, .. }) => {
                let found = format!("has lesion, and does not say of which class: {values}");
                (path, found, format!("a mask that names its classes, as pig writes them, among {expected}"))
            }
            Self::Classes(ClassError::OtherClasses { path, found, expected, .. }) => {
                (path, format!("has the classes {found}"), expected)
            }
            Self::Classes(ClassError::SeveralClasses { path, classes, .. }) => {
                (path, format!("tells the classes {classes} apart"), lesion())
            }
            Self::AmbiguousMask { path, count, values, .. } => {
                (path, format!("has {count} value(s): {values}"), lesion())
            }
            other => return other,
        };
        ClassError::NotOfRun { path, found, expected }.into()
    }
}
