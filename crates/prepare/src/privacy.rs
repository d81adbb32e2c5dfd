//! Identifiers that cannot be printed, and the key that turns them into pseudonyms.
//!
//! A pseudonym is the first 64 bits of the HMAC-SHA-256 of the identifier. With the same key, a patient has the same pseudonym
//! in every set; without the key, nobody can test guessed identifiers.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use hmac::{Hmac, Mac};
use rand::TryRngCore as _;
use sha2::Sha256;

use pig_files::hex;

use crate::error::{PrepareError, Result};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Hexadecimal digits of a pseudonym: 64 bits, so that the chance that any two of a million patients share one is 1 in 37 million.
const DIGITS: usize = 16;

/// A value that identifies a person. It cannot be printed: `Debug` hides it, and no function returns it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Stores a value; `None` for a value without letters or digits, which identifies nobody.
    pub fn new(value: &str) -> Option<Self> {
        let value = value.trim();
        value.chars().any(char::is_alphanumeric).then(|| Self(value.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The key that the user keeps.
#[derive(Clone)]
pub struct Key([u8; KEY_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

impl Key {
    /// Reads a key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = pig_files::read_to_string(path).map_err(PrepareError::io(path, "read"))?;
        let digits = text.trim();
        let wrong = || PrepareError::Key {
            path: path.to_path_buf(),
            problem: "not a key",
            expected: "64 hexadecimal digits, as --new-key writes them",
        };
        if digits.len() != 2 * KEY_BYTES || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut key = [0; KEY_BYTES];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(key))
    }

    /// Makes a key from the system's random numbers and writes it to a new file that only the user can read.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let mut key = [0; KEY_BYTES];
        rand::rngs::OsRng.try_fill_bytes(&mut key).map_err(|_| PrepareError::Key {
            path: path.to_path_buf(),
            problem: "no key could be made",
            expected: "a system with a source of random numbers",
        })?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => PrepareError::Key {
                path: path.to_path_buf(),
                problem: "the file already exists and may be a key",
                expected: "the path of a new file; use `--key` for an existing key",
            },
            _ => PrepareError::io(path, "create")(error),
        })?;
        let text = format!("{}\n", hex(&key));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(PrepareError::io(path, "write"))?;
        Ok(Self(key))
    }

    /// Refuses a key or links file inside a folder that may be passed on.
    pub fn check_outside(path: &Path, folder: &Path) -> Result<()> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let inside = absolute(path).starts_with(absolute(folder));
        if !inside {
            return Ok(());
        }
        Err(PrepareError::Key {
            path: path.to_path_buf(),
            problem: "this file must not be in the prepared folder",
            expected: "a path outside of it, so that the file is not passed on with the data",
        })
    }

    /// The pseudonym of an identifier.
    pub fn pseudonym(&self, secret: &Secret) -> String {
        self.hash("patient", &secret.0)
    }

    /// A name for the key itself; a set stores it to detect another key.
    pub fn fingerprint(&self) -> String {
        self.hash("key", "")
    }

    /// A keyed hash of a text for one purpose; the hashes of a text for different purposes are unrelated.
    pub(crate) fn hash(&self, purpose: &str, text: &str) -> String {
        // HMAC accepts keys of any length.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())[..DIGITS].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_follow_hmac_sha_256() {
        // RFC 4231, test case 2 checks the construction; here the prefix and cut are checked against Python's hmac:
        // hmac.new(bytes(range(32)), b"patient\0DOE^JANE", "sha256").hexdigest()[:16]
        let key = Key(std::array::from_fn(|index| index as u8));
        assert_eq!(key.pseudonym(&Secret::new(" DOE^JANE ").unwrap()), "40b0849fb35bb41c");
        assert_eq!(key.fingerprint(), "d8fd5cb863289675");
        assert!(Secret::new(" - ").is_none());
        assert_eq!(format!("{:?} {:?}", key, Secret::new("DOE")), "Key(hidden) Some(Secret(hidden))");
    }

    #[test]
    fn keys_are_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.key");
        let made = Key::create(&path).unwrap();
        assert_eq!(Key::read(&path).unwrap().0, made.0);
        assert!(Key::create(&path).unwrap_err().to_string().contains("`--key`"), "a key must never be overwritten");
        assert_ne!(Key::create(&folder.path().join("other")).unwrap().0, made.0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "too short").unwrap();
        assert!(Key::read(&path).unwrap_err().to_string().contains("64 hexadecimal digits"));
        assert!(Key::check_outside(&path, folder.path()).is_err());
        assert!(Key::check_outside(&path, &folder.path().join("out")).is_ok());
    }
}
