//! What is of an earlier answer gets another name, so that nobody takes it for that of this one. Nothing is removed, since it may be in use.

use pig_train::{
    Error, Result,
    observer::{Observer, warn},
};
use std::path::{Path, PathBuf};

/// Renames those of these files and folders of `out` that are there, in this order and with one number, which none of them has had:
/// `best` to `best-1`, `report.html` to `report-1.html`.
///
/// # Errors
/// When one cannot be renamed.
pub(super) fn set_aside(out: &Path, names: &[&str], observer: &dyn Observer) -> Result<()> {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    let present: Vec<&str> = names.iter().copied().filter(|name| is_there(&out.join(name))).collect();
    let mut number = 1;
    while present.iter().any(|name| is_there(&numbered(out, name, number))) {
        number += 1;
    }
    for name in present {
        let (path, other) = (out.join(name), numbered(out, name, number));
        std::fs::rename(&path, &other).map_err(Error::io(&path, "rename"))?;
        warn(observer, format!("{}: is of an earlier answer, and is now {}", path.display(), other.display()));
    }
    Ok(())
}

/// The name with a number before its ending.
fn numbered(out: &Path, name: &str, number: usize) -> PathBuf {
    out.join(match name.split_once('.') {
        Some((stem, ending)) => format!("{stem}-{number}.{ending}"),
        None => format!("{name}-{number}"),
    })
}
