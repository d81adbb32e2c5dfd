//! Small readers of what pig writes: the end of a log, a table in Markdown.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// The last `most` bytes of a file as text, from the beginning of a line; empty if the file cannot be read.
pub(crate) fn end_of_file(path: &Path, most: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = pig_files::open(path)?;
        let start = file.metadata()?.len().saturating_sub(most);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(if start == 0 { text } else { text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned()) })
    };
    read().unwrap_or_default()
}

/// A line of a job's messages that tells its progress, such as `model_x 12/100  loss 0.2  3 min 20 s left`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub(crate) stage: String,
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// The loss or what else is said beside it, and the time left.
    pub(crate) message: String,
    pub(crate) left: String,
}

impl Progress {
    /// The last progress that a log tells, unless another stage has ended since.
    pub(crate) fn last(log: &str) -> Option<Self> {
        log.lines().rev().find_map(Self::of)
    }

    fn of(line: &str) -> Option<Self> {
        let (head, left) = line.trim_end().strip_suffix(" left")?.rsplit_once("  ")?;
        let (counts, message) = head.split_once("  ").unwrap_or((head, ""));
        let (stage, counts) = counts.rsplit_once(' ')?;
        let (done, total) = counts.split_once('/')?;
        Some(Self {
            stage: stage.to_owned(),
            done: done.parse().ok()?,
            total: total.parse().ok()?,
            message: message.trim().to_owned(),
            left: left.to_owned(),
        })
    }

    /// The share that is done, in whole per cent.
    pub(crate) fn percent(&self) -> u64 {
        100 * self.done.min(self.total) / self.total.max(1)
    }
}

/// A block of a text in Markdown, as far as pig writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Heading(String),
    Paragraph(String),
    /// The first row is the head.
    Table(Vec<Vec<String>>),
}

/// The blocks of a text in Markdown.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_open = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            is_open = false;
        } else if let Some(row) = line.strip_prefix('|') {
            let cells: Vec<String> = row.trim_end_matches('|').split('|').map(|cell| plain(cell.trim())).collect();
            let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')));
            match found.last_mut() {
                _ if is_rule => {}
                Some(Block::Table(rows)) if is_open => rows.push(cells),
                _ => found.push(Block::Table(vec![cells])),
            }
            is_open = true;
        } else if line.starts_with('#') {
            found.push(Block::Heading(plain(line.trim_start_matches('#').trim())));
            is_open = false;
        } else {
            match found.last_mut() {
                Some(Block::Paragraph(text)) if is_open => {
                    text.push(' ');
                    text.push_str(&plain(line));
                }
                _ => found.push(Block::Paragraph(plain(line))),
            }
            is_open = true;
        }
    }
    found
}

/// Text without the signs for bold and for code.
fn plain(text: &str) -> String {
    text.replace("**", "").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_the_terminal_writes_it() {
        let log = "found 12 pairs\nmodel_x 3/40  loss 0.512, 20.1 images/s  1 min 2 s left\nwarning: a\n";
        let found = Progress::last(log).unwrap();
        assert_eq!((found.stage.as_str(), found.done, found.total, found.percent()), ("model_x", 3, 40, 7));
        assert_eq!((found.message.as_str(), found.left.as_str()), ("loss 0.512, 20.1 images/s", "1 min 2 s"));
        assert_eq!(Progress::last("sample 1/2    5 s left\n").map(|it| it.message), Some(String::new()));
        assert_eq!(Progress::last("nothing is left\nmodel_x: 3 s\n"), None);
    }

    #[test]
    fn tables_headings_and_paragraphs_are_told_apart() {
        let text = "# Title\n\nOne **line**\nand `more`.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n";
        let rows = vec![vec!["a".to_owned(), "b".to_owned()], vec!["1".to_owned(), "2".to_owned()]];
        let expected =
            [Block::Heading("Title".to_owned()), Block::Paragraph("One line and more.".to_owned()), Block::Table(rows)];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn the_end_of_a_file_begins_with_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "first\nsecond\nthird\n").unwrap();
        assert_eq!(end_of_file(&path, 100), "first\nsecond\nthird\n");
        assert_eq!(end_of_file(&path, 10), "third\n");
        assert_eq!(end_of_file(&folder.path().join("absent"), 10), "");
    }
}
