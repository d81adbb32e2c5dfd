//! Building a page.

use pig_report::{Block, Document, Table};
use pig_train::{
    Error, Result,
    run_dir::{now, program},
};
use std::path::{Path, PathBuf};

/// The arguments of `pig report`.
#[derive(Clone, Debug)]
pub struct Request {
    /// A run, or the folder of a cross-validation or an experiment.
    pub path: PathBuf,
    /// The folder of the real pairs, if it has moved.
    pub data: Option<PathBuf>,
    /// Number of generated pairs on the page of a generator; 0 for none.
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

/// The name of the fact that says when a page was written.
const WRITTEN: &str = "page written";

/// Whether two pages say and show the same, whenever they were written.
pub(crate) fn is_same_page(first: &str, second: &str) -> bool {
    untimed(first).eq(untimed(second))
}

/// The lines of a page without that of its time: each fact is a row of its own.
fn untimed(page: &str) -> impl Iterator<Item = &str> {
    let row = format!("<tr><th>{WRITTEN}</th>");
    page.lines().filter(move |line| !line.starts_with(row.as_str()))
}

/// A page that is being built.
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
    /// Parts that are missing from the page, and why.
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

    /// Adds the blocks of `part` under a heading. If `part` is an error, for example because files are missing, the page reports the error
    /// instead.
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

    /// Adds limits, settings and provenance, and finishes the page.
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
            self.add(Block::Paragraph(
                "These parts are left out of this page, because files that they need are missing:".to_owned(),
            ));
            self.add(Block::List(missing));
        }
        self.heading("Settings and provenance");
        let own = [[WRITTEN.to_owned(), now()], ["page made by".to_owned(), program()]];
        let rows = facts.into_iter().chain(own).map(|row| row.to_vec()).collect();
        self.add(Block::Table(Table { head: Vec::new(), rows }));
        self.add(Block::Folded { title: "All settings".to_owned(), text: settings.to_owned() });
        let footer = "Generated images and masks on this page are synthetic. The file is complete in itself: it needs no other files, no network and no scripts.";
        Document { title, lead, blocks: self.blocks, footer: footer.to_owned() }
    }
}

/// A row of provenance.
pub(super) fn fact(name: &str, value: impl Into<String>) -> [String; 2] {
    [name.to_owned(), value.into()]
}

/// The limits that apply to every page.
pub(super) fn common_limits() -> Vec<String> {
    vec![
        "The numbers hold for the data on which they were measured, at the size of the prepared images.".to_owned(),
        "Pixel distance finds close copies; it does not prove that nothing was memorised.".to_owned(),
    ]
}

/// The data folder: the given one, otherwise the one that is recorded in the folder `remembered`, if it still exists.
pub(super) fn data_folder(request: &Request, remembered: &Path) -> Result<PathBuf> {
    let found = request
        .data
        .clone()
        .or_else(|| pig_train::run_dir::recorded_data(remembered).ok().filter(|path| path.is_dir()));
    found.ok_or_else(|| Error::BadFile {
        path: remembered.to_owned(),
        problem: "the folder of the real pairs is not where it was".to_owned(),
        advice: "give their folder with --data DIR",
    })
}
