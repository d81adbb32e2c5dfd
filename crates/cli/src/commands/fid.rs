//! `pig fid`.

use crate::args::{Args, Fid};
use std::process::ExitCode;

mod calc;
mod copies;
mod inputs;
mod reference;

/// Runs a subcommand of `pig fid`.
pub(crate) fn run(args: &Args, asked: &Fid) -> anyhow::Result<ExitCode> {
    match asked {
        Fid::Calc(calc) => calc::run(args, calc),
        Fid::Ref(reference) => reference::run(args, reference),
        Fid::Copies(copies) => copies::run(args, copies),
    }
}
