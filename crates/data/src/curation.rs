//! What a person decided about pairs: the column `curated` of manifest.csv (and manifest.parquet, if it is there), `keep` or `reject` for a
//! pair, empty for one without a decision. `pig serve` writes it, `pig export` leaves rejected pairs out, and [`PairWriter`](crate::PairWriter)
//! carries it on when it writes the manifest again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};
use crate::manifest::{Manifest, NAME};
use crate::names::nfc;
use crate::table::set_parquet_text;
use crate::table_text::{decode, separator};

/// The name of the column.
pub const COLUMN: &str = "curated";

/// A decision about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The pair is good.
    Keep,
    /// The pair is not to be used.
    Reject,
}

impl Choice {
    /// The word in manifests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Reject => "reject",
        }
    }
}

impl FromStr for Choice {
    type Err = ();

    fn from_str(word: &str) -> std::result::Result<Self, ()> {
        [Self::Keep, Self::Reject].into_iter().find(|choice| choice.word() == word).ok_or(())
    }
}

/// The decisions about the pairs of a folder by id; empty without a manifest or without the column.
///
/// # Errors
/// When the manifest cannot be read, or a cell of the column holds another word.
pub fn choices(folder: &Path) -> Result<HashMap<String, Choice>> {
    let Some(manifest) = Manifest::in_folder(folder)? else { return Ok(HashMap::new()) };
    let Some(column) = manifest.column_once(COLUMN)? else { return Ok(HashMap::new()) };
    let mut found = HashMap::new();
    for (row, id) in manifest.rows().zip(manifest.ids()?) {
        let expected = "keep, reject or nothing; correct the cell, or rename the column if it means something else";
        if let Some(choice) = row.parse::<Choice>(column, expected)? {
            found.insert(nfc(&id), choice);
        }
    }
    Ok(found)
}

/// Writes decisions into the manifest of a folder, `None` to take one back; other decisions and columns stay as they are. Processes that
/// write at the same time take turns.
///
/// Returns a warning if manifest.parquet does not have the same rows and was therefore left as it was.
///
/// # Errors
/// When there is no manifest, it cannot be read or written, or it has no row of an id.
pub fn set_choices(folder: &Path, changes: &BTreeMap<String, Option<Choice>>) -> Result<Option<String>> {
    let _lock = lock(folder)?;
    let mut all = choices(folder)?;
    let Some(manifest) = Manifest::in_folder(folder)? else {
        let problem = "there is no manifest, but decisions are a column of it; make one with a column id".to_owned();
        return Err(DataError::BadManifest { path: folder.join(NAME), line: 1, problem });
    };
    let ids: Vec<String> = manifest.ids()?.iter().map(|id| nfc(id)).collect();
    let known: HashSet<&String> = ids.iter().collect();
    if let Some(id) = changes.keys().find(|id| !known.contains(&nfc(id))) {
        let problem = format!("no row has the id {id:?}; expected the id of a pair of this folder");
        return Err(DataError::BadManifest { path: manifest.path, line: 1, problem });
    }
    for (id, choice) in changes {
        match choice {
            Some(choice) => all.insert(nfc(id), *choice),
            None => all.remove(&nfc(id)),
        };
    }
    let words: Vec<&str> = ids.iter().map(|id| all.get(id).map_or("", |choice| choice.word())).collect();
    rewrite(&manifest.path, &words)?;
    let parquet = manifest.path.with_extension("parquet");
    if !parquet.is_file() || set_parquet_text(&parquet, COLUMN, &words)? {
        return Ok(None);
    }
    let path = parquet.display();
    Ok(Some(format!("{path}: it does not have the rows of {NAME}, so the column {COLUMN} was not written into it")))
}

/// Keeps other processes from writing the manifest of a folder until the file is closed.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".manifest.lock");
    let lock = File::create(&path).map_err(DataError::io(&path, "write"))?;
    match lock.lock() {
        // Some network file systems do not support locks; a manifest written without a lock is better than none.
        Err(error) if error.kind() != std::io::ErrorKind::Unsupported => Err(DataError::io(&path, "lock")(error)),
        _ => Ok(lock),
    }
}

/// Writes a table again with these words in the column [`COLUMN`], which comes last if it is new. Separators and all other cells stay;
/// lines without any value are left out.
fn rewrite(path: &Path, words: &[&str]) -> Result<()> {
    let bytes = pig_files::read(path).map_err(DataError::io(path, "read"))?;
    let text = decode(path, &bytes)?;
    let (delimiter, body) = separator(&text);
    let told = &text[..text.len() - body.len()];
    let fail = |error: csv::Error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() };
    let body = if told.is_empty() { body } else { body.strip_prefix('\n').unwrap_or(body) };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(body.as_bytes());
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
    let mut head = reader.headers().map_err(fail)?.clone();
    let width = head.len();
    let column = head.iter().position(|name| name.trim().eq_ignore_ascii_case(COLUMN)).unwrap_or(width);
    if column == width {
        head.push_field(COLUMN);
    }
    writer.write_record(&head).map_err(fail)?;
    let mut words = words.iter();
    for record in reader.records() {
        let record = record.map_err(fail)?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let word = words.next().copied().unwrap_or_default();
        let mut cells: Vec<&str> = record.iter().take(width).collect();
        if column == width {
            cells.push(word);
        } else {
            cells[column] = word;
        }
        writer.write_record(&cells).map_err(fail)?;
    }
    let table = writer.into_inner().map_err(|error| fail(error.into_error().into()))?;
    let told = if told.is_empty() { String::new() } else { format!("{}\n", told.trim_end()) };
    Ok(pig_files::write(path, &[told.as_bytes(), &table].concat())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(folder: &Path, id: &str, choice: Option<Choice>) -> Result<Option<String>> {
        set_choices(folder, &BTreeMap::from([(id.to_owned(), choice)]))
    }

    #[test]
    fn decisions_are_a_column_and_other_cells_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for (before, after) in [
            ("id,note\na,\"x, y\"\n\nb,z\n", "id,note,curated\na,\"x, y\",\nb,z,reject\n"),
            ("id;size\na;0,5\nb;1,5\n", "id;size;curated\na;0,5;\nb;1,5;reject\n"),
            ("curated,id\nkeep,a\n,b\n", "curated,id\nkeep,a\nreject,b\n"),
        ] {
            std::fs::write(&path, before).unwrap();
            assert_eq!(set(folder.path(), "b", Some(Choice::Reject)).unwrap(), None);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
            assert_eq!(choices(folder.path()).unwrap().get("b"), Some(&Choice::Reject));
        }
        set(folder.path(), "b", None).unwrap();
        assert_eq!(choices(folder.path()).unwrap(), HashMap::from([("a".to_owned(), Choice::Keep)]));
    }

    #[test]
    fn unknown_ids_and_words_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert!(set(folder.path(), "a", None).unwrap_err().to_string().contains("no manifest"));
        std::fs::write(&path, "id,curated\na,maybe\n").unwrap();
        let message = choices(folder.path()).unwrap_err().to_string();
        assert!(message.contains("\"maybe\"") && message.contains("keep, reject or nothing"), "{message}");
        std::fs::write(&path, "id\na\n").unwrap();
        let message = set(folder.path(), "c", Some(Choice::Keep)).unwrap_err().to_string();
        assert!(message.contains("\"c\"") && std::fs::read_to_string(&path).unwrap() == "id\na\n", "{message}");
    }
}
