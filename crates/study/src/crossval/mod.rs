//! `pig crossval`: a cross-validation with folds by patient. Each fold trains generators and segmenters, and its test patients are used
//! only at the end, to measure the segmenters.
//!
//! All work is divided into pieces ([`Piece`]), each with a folder of its own. Finished pieces are kept: after a stop at any point, the
//! same call continues. The pieces may be computed on several machines; the results are read from all finished pieces that are present.
//!
//! ```text
//! OUT/crossval.toml                                  the configuration
//! OUT/fold-0/splits.json                             the training, validation and test cases
//! OUT/fold-0/generators/pig/{run/, pairs/, done.json}              pig/seed-0/ with crossval.generator_seeds = [0, 1]
//! OUT/fold-0/segmenters/pig-add-0.29/seed-0/{run/, cases.csv, done.json}
//! OUT/fold-0/curation/pig/{curation.csv, done.json}                only for arms with `curated` training sets
//! OUT/fold-0/agreement/pig/{pairs/, seed-0/{cases.csv, done.json}}   pairs/: only for methods that need masks
//! OUT/{cases.csv, results.json, table.md}            computed from all finished pieces
//! ```

pub mod agreement;
pub mod cases;
mod check;
pub mod config;
mod curation;
mod definition;
mod fold;
pub(crate) mod generator;
mod jobs;
pub(crate) mod open;
pub mod outcome;
mod outside;
pub mod piece;
pub mod results;
mod run;
mod sbatch;
mod segmenter;
mod settings;
pub mod text;
pub(crate) mod variant;
pub mod verdict;

pub use config::{ArmConfig, Count, CrossvalConfig, CrossvalFile, Use};
pub use generator::check_unseen;
pub use jobs::{Estimated, Job, Progress};
pub use open::{Crossval, Selection};
pub(crate) use outside::check_outside;
pub use piece::{Done, Found, Piece, PieceKind};
pub use sbatch::{Submission, sbatch};
pub use variant::{ArmGenerator, Variant, variants};
