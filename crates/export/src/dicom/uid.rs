//! Identifiers under 2.25, the root of UUIDs, made from a hash.

use sha2::{Digest, Sha256};

/// The implementation class UID: a UUID that was once drawn at random.
pub(crate) const IMPLEMENTATION: &str = "2.25.339523859065780630443583245830553132569";

/// Makes identifiers that depend only on a key and on what they name.
#[derive(Debug, Clone)]
pub(crate) struct Uids {
    key: [u8; 32],
}

impl Uids {
    /// Different `parts` give different identifiers.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self { key: hash(parts) }
    }

    /// The identifier of the `what` called `name`.
    pub(crate) fn uid(&self, what: &str, name: &[u8]) -> String {
        let mut number = self.number(what, name);
        // Version 8 (made by a custom rule) and the variant of RFC 9562.
        number = number & !(0xf << 76) | 8 << 76;
        number = number & !(0b11 << 62) | 0b10 << 62;
        format!("2.25.{number}")
    }

    /// A short word for the `what` called `name`.
    pub(crate) fn word(&self, what: &str, name: &[u8]) -> String {
        format!("{:016X}", (self.number(what, name) >> 64) as u64)
    }

    /// The first 128 bits of the hash.
    fn number(&self, what: &str, name: &[u8]) -> u128 {
        hash(&[&self.key, what.as_bytes(), name])[..16].iter().fold(0, |number, &byte| number << 8 | u128::from(byte))
    }
}

/// SHA-256 of texts, each preceded by its length, so that different lists give different hashes.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_uuids_that_follow_from_the_key() {
        let uids = Uids::new(&[b"a", b"b"]);
        let uid = uids.uid("image", b"x");
        assert_eq!(uid, Uids::new(&[b"a", b"b"]).uid("image", b"x"));
        for other in [uids.uid("image", b"y"), uids.uid("study", b"x"), Uids::new(&[b"ab", b""]).uid("image", b"x")] {
            assert_ne!(uid, other);
        }
        for uid in [uid.as_str(), IMPLEMENTATION] {
            assert!(uid.len() <= 64);
            let digits = uid.strip_prefix("2.25.").unwrap();
            assert!(!digits.starts_with('0'));
            let number: u128 = digits.parse().unwrap();
            assert_eq!(number >> 62 & 0b11, 0b10, "{uid}");
        }
        let number: u128 = uid[5..].parse().unwrap();
        assert_eq!(number >> 76 & 0xf, 8);
    }
}
