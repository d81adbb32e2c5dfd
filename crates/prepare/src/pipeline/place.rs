//! Paths below the source, as messages and tables show them.

use std::path::Path;

/// A file's path below the source, with slashes.
pub(crate) fn place_below(source: &Path, path: &Path) -> String {
    path.strip_prefix(source).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// A message without the path of the source folder, so that only the path below it remains.
pub(crate) fn strip_source(message: &str, source: &Path) -> String {
    let prefix = source.to_string_lossy();
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() { message.to_owned() } else { message.replace(&format!("{prefix}/"), "") }
}
