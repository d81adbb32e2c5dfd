//! The whole of `pig crossval`: folds by patient, a generator and segmenters in each, and nobody sees a test patient before the end.
//!
//! Everything is a [`Piece`] with a folder of its own, and a piece that is done is kept: stopped anywhere, the same call goes on. Pieces
//! may be done on several machines; the results are read from whatever pieces are there.
//!
//! ```text
//! OUT/crossval.toml                                  the configuration
//! OUT/fold-0/splits.json                             who trains, validates and tests
//! OUT/fold-0/generators/pig/{run/, pairs/, done.json}
//! OUT/fold-0/segmenters/pig-add-0.29/seed-0/{run/, cases.csv, done.json}
//! OUT/fold-0/agreement/pig/seed-0/{cases.csv, done.json}
//! OUT/{cases.csv, results.json, table.md}            of all that is done
//! ```

mod check;
pub mod config;
mod definition;
mod fold;
pub(crate) mod generator;
mod jobs;
pub(crate) mod open;
pub mod piece;
pub mod results;
mod run;
mod segmenter;
mod settings;
pub mod text;
pub(crate) mod variant;

pub use config::{ArmConfig, Count, CrossvalConfig, CrossvalFile, Use};
pub use generator::check_unseen;
pub use jobs::{Estimated, Job, Progress};
pub use open::{Crossval, Selection};
pub use piece::{Done, Found, Piece, PieceKind};
pub use variant::{Variant, variants};
