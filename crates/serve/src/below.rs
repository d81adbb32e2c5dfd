//! The served folder, and paths below it. What is hidden, and what a link leads to, is not below it.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The folder that is served.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

impl Root {
    /// Takes a folder that exists.
    pub(crate) fn new(folder: &Path) -> std::io::Result<Self> {
        let path = folder.canonicalize()?;
        std::fs::read_dir(&path)?;
        Ok(Self(path))
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The file or folder of an address such as `runs/a/curves.svg`; the empty address is the folder itself. None if there is nothing, if a part of
    /// the address is a dot, begins with one, or is empty, and if a part is a link.
    pub(crate) fn find(&self, address: &str) -> Option<PathBuf> {
        let mut path = self.0.clone();
        if address.is_empty() {
            return Some(path);
        }
        for part in address.split('/') {
            // Backslashes and colons have a meaning on Windows, and no name that pig gives has them.
            let is_plain = !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0']);
            if !is_plain {
                return None;
            }
            path.push(part);
            if path.symlink_metadata().ok()?.file_type().is_symlink() {
                return None;
            }
        }
        Some(path)
    }

    /// The folder of an address; see [`find`](Self::find).
    pub(crate) fn folder(&self, address: &str) -> Option<PathBuf> {
        self.find(address).filter(|path| path.is_dir())
    }

    /// The address of a path below the folder; none if it is not below it or could not be found under its address.
    pub(crate) fn address(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(&self.0).ok()?.components();
        let words: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        let address = words?.join("/");
        self.find(&address).map(|_| address)
    }

    /// The address of a path that may be written in another way, such as one that a run remembers.
    pub(crate) fn address_of_any(&self, path: &Path) -> Option<String> {
        self.address(&path.canonicalize().ok()?)
    }
}

/// An address as a part of a URL.
pub(crate) fn encoded(address: &str) -> String {
    let mut text = String::with_capacity(address.len());
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(byte as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_below_the_folder_are_found() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("served");
        std::fs::create_dir_all(inner.join("runs/.hidden")).unwrap();
        std::fs::write(outer.path().join("secret"), "s").unwrap();
        std::fs::write(inner.join("runs/a b.txt"), "a").unwrap();
        std::fs::write(inner.join(".serve"), "h").unwrap();
        let root = Root::new(&inner).unwrap();
        assert!(root.find("runs/a b.txt").is_some() && root.folder("runs").is_some() && root.folder("").is_some());
        assert_eq!(root.address(&root.path().join("runs/a b.txt")).as_deref(), Some("runs/a b.txt"));
        assert_eq!(encoded("runs/a b.txt"), "runs/a%20b.txt");
        for address in [
            "../secret",
            "runs/../../secret",
            "..",
            ".",
            "./runs",
            "runs/.",
            ".serve",
            "runs/.hidden",
            "/etc/passwd",
            "//etc/passwd",
            "runs//a b.txt",
            "runs/",
            "..\\secret",
            "runs\\a b.txt",
            "C:/a",
            "runs/\0",
            "absent",
        ] {
            assert_eq!(root.find(address), None, "{address:?}");
        }
        assert_eq!(root.address(&outer.path().join("secret")), None);
        assert_eq!(root.address(&root.path().join("runs/.hidden")), None);
    }

    #[test]
    #[cfg(unix)]
    fn links_lead_nowhere() {
        use std::os::unix::fs::symlink;
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("served");
        std::fs::create_dir_all(inner.join("data")).unwrap();
        std::fs::write(outer.path().join("secret"), "s").unwrap();
        symlink(outer.path(), inner.join("up")).unwrap();
        symlink(outer.path().join("secret"), inner.join("file")).unwrap();
        symlink(inner.join("data"), inner.join("inside")).unwrap();
        let root = Root::new(&inner).unwrap();
        for address in ["up", "up/secret", "file", "inside"] {
            assert_eq!(root.find(address), None, "{address}");
        }
        // The folder itself may be reached through a link.
        symlink(&inner, outer.path().join("door")).unwrap();
        assert!(Root::new(&outer.path().join("door")).unwrap().folder("data").is_some());
    }
}
