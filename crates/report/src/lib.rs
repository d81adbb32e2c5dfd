//! Pictures and pages: contact sheets, progress strips, curves, and the one-page summary of a run.
//!
//! The input is plain data and the output is bytes: no tensors, no network access, no script in the pages. Pictures are PNG
//! ([`canvas`]), charts are SVG that is readable in light and dark mode ([`chart`], [`histogram`]), the page is one
//! self-contained HTML file ([`page`]).

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod canvas;
pub mod chart;
pub mod contact_sheet;
pub mod document;
mod font;
pub mod histogram;
mod markup;
pub mod overlay;
pub mod page;
pub mod picture;
pub mod strips;
mod svg;
pub mod table;

pub use canvas::Canvas;
pub use chart::{CHART_STYLE, Chart, Scale, Series, write_curves};
pub use contact_sheet::{ClassColour, PairPicture, Section, SheetStyle, Show, contact_sheet};
pub use document::{Block, Document};
pub use font::TextSize;
pub use histogram::HistogramChart;
pub use overlay::{Overlay, overlay};
pub use page::{DemoPage, Figure, NearestPair, NearestSection};
pub use picture::Picture;
pub use strips::{Strip, StripStep, progress_strips};
pub use table::Table;

use std::path::PathBuf;

/// An error in making a picture or page.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A picture with a wrong number of values or channels.
    #[error(
        "a picture of {height} x {width} with {channels} channel(s) has {found} values, expected {expected}; there must be 1 or 3 channels"
    )]
    PictureShape {
        /// Declared number of rows.
        height: usize,
        /// Declared number of columns.
        width: usize,
        /// Declared number of channels.
        channels: usize,
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// A mask that does not have one value per pixel of its image.
    #[error(
        "the mask of `{label}` has {found} values, but its image has {expected} pixels; resize the mask to its image first"
    )]
    MaskShape {
        /// Label of the pair.
        label: String,
        /// Values of the mask.
        found: usize,
        /// Pixels of the image.
        expected: usize,
    },
    /// There is nothing to draw.
    #[error("there is nothing to draw on the {what}; give at least one picture")]
    Empty {
        /// What should be drawn: contact sheet or progress strips.
        what: &'static str,
    },
    /// The PNG encoder refused the picture.
    #[error("cannot encode a PNG of {width} x {height} pixels: {source}")]
    Png {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// What the encoder said.
        source: png::EncodingError,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}; check that the folder exists, is writable and has space", path.display())]
    Write {
        /// The file to write.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<pig_files::FileError> for ReportError {
    fn from(error: pig_files::FileError) -> Self {
        Self::Write { path: error.path, source: error.source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("page.html");
        let error = ReportError::from(pig_files::write(&path, b"x").unwrap_err()).to_string();
        assert!(error.starts_with("cannot write ") && error.contains("page.html: "), "{error}");
        assert!(error.ends_with("check that the folder exists, is writable and has space"), "{error}");
    }
}
