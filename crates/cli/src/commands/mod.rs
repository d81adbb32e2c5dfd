//! The commands.

pub(crate) mod boost;
pub(crate) mod cache;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod crossval;
pub(crate) mod curate;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod experiment;
pub(crate) mod export;
pub(crate) mod fid;
pub(crate) mod inspect;
pub(crate) mod manuals;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod sample;
pub(crate) mod segment;
pub(crate) mod serve;
pub(crate) mod train;
pub(crate) mod weights;

use pig_train::observer::Outcome;
use std::process::ExitCode;

/// 0 when done, 130 when interrupted, as shells report a SIGINT.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Finished => ExitCode::SUCCESS,
        Outcome::Interrupted => ExitCode::from(130),
    }
}
