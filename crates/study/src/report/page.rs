//! A page being put together.

use pig_report::{Block, Document, Table};
use pig_train::{
    Error, Result,
    run_dir::{now, program},
};
use std::path::{Path, PathBuf};

/// What is asked of `pig report`.
#[derive(Clone, Debug)]
pub struct Request {
    /// A run, or the folder of a cross-validation or an experiment.
    pub path: PathBuf,
    /// The real pairs, where they have moved.
    pub data: Option<PathBuf>,
    /// Generated pairs that a page of a generator shows; 0 for none.
    pub count: u64,
}

/// A page and its numbers.
#[derive(Debug)]
pub struct Report {
    /// The page.
    pub document: Document,
    /// Its numbers.
    pub json: serde_json::Value,
}

/// A page being put together.
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
    /// What the page lacks, and why.
    pub(super) missing: Vec<String>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { blocks: Vec::new(), missing: Vec::new() }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    pub(super) fn add(&mut self, block: Block) {
        self.blocks.push(block);
    }

    pub(super) fn measures(&mut self, table: Table, definition: impl Into<String>) {
        self.blocks.push(Block::Measures { table, definition: definition.into() });
    }

    /// Adds what `part` gives under a heading; where it fails for want of files, the page says so instead.
    pub(super) fn optional(&mut self, heading: &str, part: Result<Vec<Block>>) {
        match part {
            Ok(blocks) if blocks.is_empty() => {}
            Ok(blocks) => {
                self.heading(heading);
                self.blocks.extend(blocks);
            }
            Err(error) => self.missing.push(format!("{heading}: {error}")),
        }
    }

    /// Limits, settings and provenance, and the page is done.
    pub(super) fn finish(
        mut self,
        title: String,
        lead: String,
        limits: Vec<String>,
        settings: &str,
        facts: Vec<[String; 2]>,
    ) -> Document {
        self.heading("What this does not show");
        self.add(Block::List(limits));
        if !self.missing.is_empty() {
            let missing = std::mem::take(&mut self.missing);
            self.add(Block::Paragraph("Left out of this page, since what they need is not here:".to_owned()));
            self.add(Block::List(missing));
        }
        self.heading("Settings and provenance");
        let own = [["page written".to_owned(), now()], ["page made by".to_owned(), program()]];
        let rows = facts.into_iter().chain(own).map(|row| row.to_vec()).collect();
        self.add(Block::Table(Table { head: Vec::new(), rows }));
        self.add(Block::Folded { title: "All settings".to_owned(), text: settings.to_owned() });
        let footer = "Generated images and masks on this page are synthetic. The file needs nothing beside it: no network, no script.";
        Document { title, lead, blocks: self.blocks, footer: footer.to_owned() }
    }
}

/// A row of provenance.
pub(super) fn fact(name: &str, value: impl Into<String>) -> [String; 2] {
    [name.to_owned(), value.into()]
}

/// The limits that hold of every page.
pub(super) fn common_limits() -> Vec<String> {
    vec![
        "Numbers hold for the data that they were measured on, at the size that they were prepared to.".to_owned(),
        "Pixel distance finds close copies; it does not prove that nothing was memorised.".to_owned(),
    ]
}

/// The data folder: the one that was given, else the one that `remembered` names and that is still there.
pub(super) fn data_folder(request: &Request, remembered: &Path) -> Result<PathBuf> {
    let found = request.data.clone().or_else(|| {
        let path = std::fs::read_to_string(remembered.join(pig_train::run_dir::DATA_PATH)).ok()?;
        Some(PathBuf::from(path)).filter(|path| path.is_dir())
    });
    found.ok_or_else(|| Error::BadFile {
        path: remembered.to_owned(),
        problem: "the real pairs are not where they were".to_owned(),
        advice: "give their folder with --data DIR",
    })
}
