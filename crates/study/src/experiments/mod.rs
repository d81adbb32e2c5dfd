//! `pig experiment`: the paper's tables and Fig. 3, and further measurements that a reviewer would ask for, on the user's own data.
//!
//! The folder of an experiment says which experiment it holds (`experiment.toml`), and no other experiment can be started in it. An
//! experiment may be stopped at any point; the same call continues it. Each table is written beside the CSV from which it can be
//! recomputed.
//!
//! ```text
//! OUT/experiment.toml, configs/*.toml       the experiment, and its generators' configurations
//! OUT/fold-K/...                            table2: a cross-validation (see [`crate::crossval`]); table1 and fig3: generators of one fold
//! OUT/patients-025/fold-K/...               low-data: a cross-validation for each share of the patients
//! OUT/table.md, table.tex, results.json     the table; cases.csv holds the cases it is computed from
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
