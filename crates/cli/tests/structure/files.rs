//! Calls that open a file for reading, outside of tests.

use super::tokens::{Token, tokens};

/// Types and modules with the functions that open files.
const OPENING: [(&str, &[&str]); 3] =
    [("fs", &["read", "read_to_string"]), ("File", &["open"]), ("ImageReader", &["open"])];

/// The lines of a source that open a file without `pig-files`.
pub(crate) fn opened(source: &str) -> Vec<usize> {
    let all: Vec<Token<'_>> = tokens(source);
    let opens = |three: &&[Token<'_>]| {
        let [of, colons, name] = three else { return false };
        let known = OPENING.iter().any(|(kind, names)| of.is(kind) && names.iter().any(|known| name.is(known)));
        known && colons.is("::") && !name.in_test
    };
    all.windows(3).filter(opens).map(|three| three[0].line).collect()
}

#[test]
fn calls_are_found_outside_of_tests() {
    let source = "fn a() { std::fs::read(p); fs::read_dir(p);\nFile::open(p); File::create(p); pig_files::read(p) }
        // fs::read in a comment, \"File::open\" in a text
        #[cfg(test)] mod tests { fn b() { std::fs::read(p); } }";
    assert_eq!(opened(source), [1, 2]);
}
