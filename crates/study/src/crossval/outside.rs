//! Where a cross-validation may not lie: among the pictures of its data.

use pig_data::{DataConfig, Dataset, Layout};
use pig_train::{Error, Result};
use std::path::{Path, PathBuf};

/// Refuses a folder `out` within the data where pictures are looked for in all subfolders: the generated pairs in it would be read as data, which
/// no piece after them could use.
///
/// # Errors
/// When it lies there. Data that cannot be read are told where they are used.
pub(crate) fn check_outside(data: &Path, config: &DataConfig, out: &Path) -> Result<()> {
    let real = |path: &Path| -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        path.ancestors().find_map(|folder| folder.canonicalize().ok())
    };
    let is_inside = real(out).zip(data.canonicalize().ok()).is_some_and(|(out, data)| out.starts_with(data));
    let layout = || Dataset::discover(data, config).ok().map(|found| found.layout);
    if is_inside && layout() == Some(Layout::Suffix) {
        return Err(Error::Setting {
            key: "--out".to_owned(),
            found: out.display().to_string(),
            expected: format!(
                "a folder outside of {}, since images and masks are looked for in all its subfolders",
                data.display()
            ),
        });
    }
    Ok(())
}
