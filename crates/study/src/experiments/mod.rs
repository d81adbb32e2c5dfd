//! The whole of `pig experiment`: the paper's tables and Fig. 3, and what a reviewer asks beside them, on the user's own data.
//!
//! An experiment lies in a folder that says what it is (`experiment.toml`) and is never begun anew as another one. All of it can be
//! stopped anywhere; the same call goes on. Tables stand beside the per-case CSV that they can be computed from again.
//!
//! ```text
//! OUT/experiment.toml, configs/*.toml       what is done, and by which generators
//! OUT/fold-K/...                            table2: a cross-validation (see [`crate::crossval`]); table1 and fig3: generators of one fold
//! OUT/patients-025/fold-K/...               low-data: a cross-validation for each share of the patients
//! OUT/table.md, table.tex, results.json     the table; with cases.csv, what it is made of
//! ```

pub mod config;
pub mod fig3;
mod generators;
mod latex;
pub mod low_data;
mod parts;
pub(crate) mod study;
pub mod table1;
pub mod table2;

pub use config::{Budget, ExperimentConfig, ExperimentFile, GeneratorConfig, Loaded};
pub use study::{Experiment, Identity, Request, Study, notes};
