//! Reading manifest.csv and other tables in CSV: columns that name files, ids and groups.

use std::{
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use crate::error::{DataError, Result};

/// The size of the largest table that is read; a table is held in memory as a whole.
const MAX_TABLE_BYTES: u64 = 256 << 20;

/// A manifest: its columns and rows, with the line number of each row.
#[derive(Debug)]
pub struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// The names of the columns, in order.
    pub columns: Vec<String>,
    rows: Vec<(u64, csv::StringRecord)>,
}

/// One row of a manifest.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    manifest: &'a Manifest,
    /// The line in the file, counted from 1.
    pub line: u64,
    record: &'a csv::StringRecord,
}

impl Manifest {
    /// Reads `path`, whose fields are separated by commas; `None` if there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        Self::read_delimited(path, b',')
    }

    /// Reads `path`, whose fields are separated by `delimiter`; `None` if there is no such file.
    pub fn read_delimited(path: &Path, delimiter: u8) -> Result<Option<Self>> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataError::io(path, "read")(error)),
        };
        let bad = |error: csv::Error| DataError::BadManifest {
            path: path.to_path_buf(),
            line: error.position().map_or(1, csv::Position::line),
            problem: error.to_string(),
        };
        let length = file.metadata().map_err(DataError::io(path, "read"))?.len();
        if length > MAX_TABLE_BYTES {
            let problem = format!("the table has {length} bytes; expected at most {MAX_TABLE_BYTES}");
            return Err(DataError::BadManifest { path: path.to_path_buf(), line: 1, problem });
        }
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(file);
        // A byte order mark, as spreadsheets write it, is not part of the first column's name.
        let columns: Vec<String> =
            reader.headers().map_err(bad)?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            rows.push((record.position().map_or(0, csv::Position::line), record));
        }
        Ok(Some(Self { path: path.to_path_buf(), columns, rows }))
    }

    /// The position of the column `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The rows in the file's order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row { manifest: self, line: *line, record })
    }

    /// The error for the missing column `name`.
    pub fn missing_column(&self, name: &str) -> DataError {
        DataError::MissingColumn { path: self.path.clone(), column: name.to_owned(), found: self.columns.join(", ") }
    }
}

impl<'a> Row<'a> {
    /// The value in `column`; empty if the row is too short.
    pub fn get(&self, column: usize) -> &'a str {
        self.record.get(column).unwrap_or_default()
    }

    /// Parses the value in `column`; `None` if it is empty. For the error text, `expected` describes a valid value, and what to do
    /// if the value is not valid.
    pub fn parse<T: FromStr>(&self, column: usize, expected: &str) -> Result<Option<T>> {
        let value = self.get(column);
        if value.is_empty() {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|_| DataError::BadManifest {
            path: self.manifest.path.clone(),
            line: self.line,
            problem: format!("the column {:?} is {value:?}; expected {expected}", self.manifest.columns[column]),
        })
    }

    /// The path in `column`, which must be relative to the manifest's folder and stay inside that folder.
    pub fn path(&self, column: usize) -> Result<PathBuf> {
        let value = self.get(column);
        let manifest = &self.manifest.path;
        if value.is_empty() {
            return Err(DataError::BadManifest {
                path: manifest.clone(),
                line: self.line,
                problem: format!("the column {:?} is empty; expected a path", self.manifest.columns[column]),
            });
        }
        // A backslash separates folders only on Windows. Here it does so everywhere, so that it cannot hide a path that leaves
        // the folder.
        let value_slashed = value.replace('\\', "/");
        let relative = Path::new(&value_slashed);
        let stays = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let drive = value_slashed.split('/').next().is_some_and(|first| first.ends_with(':'));
        if !stays || drive {
            return Err(DataError::EscapingPath { path: manifest.clone(), line: self.line, value: value.to_owned() });
        }
        Ok(manifest.parent().unwrap_or(Path::new("")).join(relative))
    }
}
