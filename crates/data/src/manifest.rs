//! Reading manifest.csv and other tables: columns that name files, ids and groups.
//!
//! Fields may be separated by commas, semicolons, tabs or bars, and names of columns are compared without regard to case, spaces,
//! underscores and hyphens: `PatientID` is `patient_id`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{ErrorKind, Read as _},
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use crate::{
    column_names::{OTHER_GROUP_COLUMNS, PATIENT_COLUMNS},
    error::{DataError, Result},
    names::{PICTURE_ENDINGS, existing, file_name, nfc, unique_ids},
    part::SPLIT_COLUMN,
    table_text::{decode, separator},
};

/// The size of the largest table that is read; a table is held in memory as a whole.
const MAX_TABLE_BYTES: u64 = 256 << 20;

/// The table in a data folder, in any case.
pub(crate) const NAME: &str = "manifest.csv";

/// Its further names, in order of preference: as spreadsheets save tables with tabs.
const FURTHER_NAMES: [&str; 3] = ["manifest.tsv", "manifest.tab", TEXT_NAME];

/// A name that archives also use for lists of their files.
const TEXT_NAME: &str = "manifest.txt";

/// Names of spreadsheets, which are not read.
const SPREADSHEETS: [&str; 4] = ["manifest.xlsx", "manifest.xls", "manifest.ods", "manifest.numbers"];

/// A manifest: its columns and rows, with the line number of each row.
#[derive(Debug)]
pub struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// The names of the columns, in order.
    pub columns: Vec<String>,
    /// How many rows were left out because all of their cells are empty.
    pub blank: usize,
    rows: Vec<(u64, csv::StringRecord)>,
    /// Whether numbers may have a decimal comma, because fields are separated by something else.
    decimal_comma: bool,
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
    /// Reads the `manifest.csv` (in any case) of a data folder, or else its `manifest.tsv`, `manifest.tab` or `manifest.txt`; `None` if there
    /// is none. A `manifest.txt` counts only if it is a table of pairs.
    ///
    /// # Errors
    /// When the folder has two of them, or the table is damaged or has neither a column `id` nor `image`: it is never ignored. When the
    /// table is a spreadsheet, which is not read.
    pub fn in_folder(folder: &Path) -> Result<Option<Self>> {
        let Some(path) = Self::path_in(folder)? else { return Ok(None) };
        let read = Self::read(&path);
        if is_named(&path, &[TEXT_NAME]) && !matches!(&read, Ok(Some(table)) if table.is_of_pairs()) {
            return Ok(None);
        }
        let Some(manifest) = read? else { return Ok(None) };
        if manifest.column_once("id")?.or(manifest.column_once("image")?).is_none() {
            let named = manifest.columns.iter().any(|column| !column.is_empty());
            let found = if named { manifest.columns.join(", ") } else { "no columns".to_owned() };
            return Err(DataError::UselessTable { path, found });
        }
        Ok(Some(manifest))
    }

    /// Whether the columns are those of a table of pairs: one names the image, and one says what pig reads of it.
    fn is_of_pairs(&self) -> bool {
        let has = |name: &str| self.column(name).is_some();
        let said = PATIENT_COLUMNS.into_iter().chain(OTHER_GROUP_COLUMNS).chain(["mask", SPLIT_COLUMN]);
        (has("id") || has("image")) && said.into_iter().any(has)
    }

    /// The path of the table of a folder, in any case; `None` if there is none.
    fn path_in(folder: &Path) -> Result<Option<PathBuf>> {
        let listing = match std::fs::read_dir(folder) {
            Ok(listing) => listing,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(DataError::io(folder, "list")(error)),
        };
        let mut found: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
        found.sort();
        for name in std::iter::once(NAME).chain(FURTHER_NAMES) {
            match &found.iter().filter(|path| is_named(path, &[name])).collect::<Vec<_>>()[..] {
                [] => {}
                [path] => return Ok(Some((*path).clone())),
                [first, second, ..] => {
                    let (first, second) = ((*first).clone(), (*second).clone());
                    return Err(DataError::DuplicateId { id: "manifest".to_owned(), first, second });
                }
            }
        }
        match found.into_iter().find(|path| is_named(path, &SPREADSHEETS)) {
            Some(path) => Err(DataError::Spreadsheet { path }),
            None => Ok(None),
        }
    }

    /// Reads `path`, whatever separates its fields; `None` if there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        Self::read_with(path, None)
    }

    /// Reads `path`, whose fields are separated by `delimiter`; `None` if there is no such file.
    pub fn read_delimited(path: &Path, delimiter: u8) -> Result<Option<Self>> {
        Self::read_with(path, Some(delimiter))
    }

    fn read_with(path: &Path, delimiter: Option<u8>) -> Result<Option<Self>> {
        let file = match pig_files::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataError::io(path, "read")(error)),
        };
        let bad = |line, problem| DataError::BadManifest { path: path.to_path_buf(), line, problem };
        let length = file.metadata().map_err(DataError::io(path, "read"))?.len();
        if length > MAX_TABLE_BYTES {
            return Err(bad(1, format!("the table has {length} bytes; expected at most {MAX_TABLE_BYTES}")));
        }
        let mut bytes = Vec::new();
        file.take(MAX_TABLE_BYTES).read_to_end(&mut bytes).map_err(DataError::io(path, "read"))?;
        let text = decode(path, &bytes)?;
        drop(bytes);
        let (found, body) = separator(&text);
        let delimiter = delimiter.unwrap_or(found);
        // A first line that only tells the separator still counts as a line; its end was left in the body.
        let told = u64::from(body.len() < text.len());
        let failed = |error: csv::Error| bad(error.position().map_or(1, csv::Position::line) + told, error.to_string());
        let body = if told == 1 { body.strip_prefix('\n').unwrap_or(body) } else { body };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(body.as_bytes());
        let columns: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
        let (mut rows, mut blank) = (Vec::new(), 0);
        let mut lines = Lines { text: body.as_bytes(), at: 0, line: 1 + told };
        for record in reader.records() {
            let record = record.map_err(failed)?;
            let line = lines.line_of(record.position().map_or(0, csv::Position::byte) as usize);
            if record.iter().all(str::is_empty) {
                blank += 1;
                continue;
            }
            // Spreadsheets write further separators at the end of a row.
            if record.len() < columns.len() || record.iter().skip(columns.len()).any(|field| !field.is_empty()) {
                let (found, expected) = (record.len(), columns.len());
                return Err(bad(
                    line,
                    format!("the row has {found} field(s); expected {expected}, as the first line has"),
                ));
            }
            rows.push((line, record));
        }
        Ok(Some(Self { path: path.to_path_buf(), columns, blank, rows, decimal_comma: delimiter != b',' }))
    }

    /// The position of the column `name`: of the one with exactly this name, else of the first with this name in another spelling.
    pub fn column(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column == name);
        exact.or_else(|| self.columns.iter().position(|column| same_name(column, name)))
    }

    /// As [`Manifest::column`].
    ///
    /// # Errors
    /// When two columns have this name.
    pub fn column_once(&self, name: &str) -> Result<Option<usize>> {
        let same = self.columns.iter().filter(|column| same_name(column, name));
        if same.count() > 1 {
            let problem = format!("two columns are called {name:?}; expected one; rename one of them");
            return Err(DataError::BadManifest { path: self.path.clone(), line: 1, problem });
        }
        Ok(self.column(name))
    }

    /// The rows in the file's order, without blank ones.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row { manifest: self, line: *line, record })
    }

    /// The error for the missing column `name`.
    pub fn missing_column(&self, name: &str) -> DataError {
        self.missing(name, "add the column")
    }

    /// The error for the missing column `name`, with what to do.
    pub fn missing(&self, name: &str, remedy: &'static str) -> DataError {
        let found = self.columns.join(", ");
        DataError::MissingColumn { path: self.path.clone(), column: name.to_owned(), found, remedy }
    }

    /// The id of every row: the column `id`, else that of the file in the column `image`.
    ///
    /// # Errors
    /// When there is neither column, or a path cannot be used.
    pub(crate) fn ids(&self) -> Result<Vec<String>> {
        if let Some(id) = self.column_once("id")? {
            return Ok(self.rows().map(|row| row.get(id).to_owned()).collect());
        }
        let image = self.column_once("image")?.ok_or_else(|| self.missing_column("id"))?;
        let paths: Vec<PathBuf> = self.rows().map(|row| row.path(image)).collect::<Result<_>>()?;
        // Several rows may name one image.
        let distinct: Vec<PathBuf> = paths.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let ids = unique_ids(self.path.parent().unwrap_or(Path::new("")), &distinct);
        let of: BTreeMap<PathBuf, String> = distinct.into_iter().zip(ids).collect();
        Ok(paths.iter().map(|path| of[path].clone()).collect())
    }
}

/// Whether a file has one of `names`, in any case.
fn is_named(path: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(&file_name(path)))
}

/// Whether two names of columns differ in case, spaces, underscores, hyphens and characters without width alone.
pub fn same_name(first: &str, second: &str) -> bool {
    let counts = |letter: &char| !letter.is_whitespace() && !matches!(letter, '_' | '-' | '\u{200b}' | '\u{feff}');
    let plain = |name: &str| name.to_lowercase().chars().filter(counts).collect::<String>();
    plain(first) == plain(second)
}

/// Counts lines, as the csv crate does not where lines are empty or end in a carriage return alone.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    /// The line of `at`.
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that begins at or, behind empty lines, after the byte `start`; starts must ascend.
    fn line_of(&mut self, start: usize) -> u64 {
        while let Some(&byte) = self.text.get(self.at) {
            if self.at >= start && !matches!(byte, b'\n' | b'\r') {
                break;
            }
            let ends = byte == b'\n' || (byte == b'\r' && self.text.get(self.at + 1) != Some(&b'\n'));
            self.line += u64::from(ends);
            self.at += 1;
        }
        self.line
    }
}

/// The value for a picture's id; a table may write ids with the endings of files, and in another Unicode form.
pub(crate) fn value_of<'a, T>(values: &'a HashMap<String, T>, id: &str) -> Option<&'a T> {
    let id = nfc(id);
    let with_ending = |ending: &str| values.get(&format!("{id}.{ending}"));
    let upper = |ending: &str| values.get(&format!("{id}.{}", ending.to_uppercase()));
    values.get(&id).or_else(|| PICTURE_ENDINGS.iter().find_map(|ending| with_ending(ending).or_else(|| upper(ending))))
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
        value.parse().map(Some).map_err(|_| self.unexpected(column, expected))
    }

    /// As [`Row::parse`], for a number, which may have a decimal comma if commas do not separate fields.
    pub fn number(&self, column: usize, expected: &str) -> Result<Option<f64>> {
        let value = self.get(column);
        if self.manifest.decimal_comma && value.contains(',') && !value.contains('.') {
            return value.replace(',', ".").parse().map(Some).map_err(|_| self.unexpected(column, expected));
        }
        self.parse(column, expected)
    }

    fn unexpected(&self, column: usize, expected: &str) -> DataError {
        let (name, value) = (&self.manifest.columns[column], self.get(column));
        self.bad(format!("the column {name:?} is {value:?}; expected {expected}"))
    }

    /// The error for something wrong in this row.
    pub(crate) fn bad(&self, problem: String) -> DataError {
        DataError::BadManifest { path: self.manifest.path.clone(), line: self.line, problem }
    }

    /// The path in `column`, which must stay inside the manifest's folder. If no file has exactly this name, one that differs in
    /// Unicode normalisation alone is taken.
    pub fn path(&self, column: usize) -> Result<PathBuf> {
        let value = self.get(column);
        let manifest = &self.manifest.path;
        if value.is_empty() {
            return Err(self.bad(format!("the column {:?} is empty; expected a path", self.manifest.columns[column])));
        }
        let folder = manifest.parent().unwrap_or(Path::new(""));
        // A backslash separates folders only on Windows. Here it does so everywhere, so that it cannot hide a path that leaves
        // the folder.
        let slashed = value.replace('\\', "/");
        let relative = inside(folder, Path::new(&slashed));
        let drive = slashed.split('/').next().is_some_and(|first| first.ends_with(':'));
        let relative =
            relative.filter(|path| !drive && path.components().all(|part| matches!(part, Component::Normal(_))));
        match relative {
            Some(relative) => Ok(existing(folder, &relative)),
            None => Err(DataError::EscapingPath { path: manifest.clone(), line: self.line, value: value.to_owned() }),
        }
    }
}

/// A path relative to `folder`, without components that say "here"; `None` if it is absolute and not inside the folder.
fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    if !path.has_root() {
        return Some(path.components().filter(|part| *part != Component::CurDir).collect());
    }
    let places = [std::path::absolute(folder).ok(), folder.canonicalize().ok()];
    places.into_iter().flatten().find_map(|folder| path.strip_prefix(folder).ok().map(Path::to_path_buf))
}
