//! What the subcommands of `pig fid` share: how masks and patients are read, the network, and how remarks about the folders are printed.

use crate::{
    args::{Args, InceptionArgs},
    terminal::device,
};
use anyhow::Context;
use pig_data::DataConfig;
use pig_quality::inception::FeatureNetwork;
use pig_train::config::Layers;

/// The section `data` of the configuration, with the keys of `--set`.
pub(super) fn data_settings(sets: &[String]) -> anyhow::Result<DataConfig> {
    let data = Layers { file: None, sets: sets.to_vec() }.load()?.data;
    data.check()?;
    Ok(data)
}

/// The network of `--weights`.
pub(super) fn network(args: &Args, asked: &InceptionArgs) -> anyhow::Result<FeatureNetwork> {
    let device = device(args)?;
    let settings = asked.settings().context(
        "Inception features need --weights MODEL; make one with pig weights import FILE --kind inception --out MODEL",
    )?;
    Ok(FeatureNetwork::open(&settings, &device)?)
}

/// Prints notes, unless `--quiet` was given, and warnings, for people.
pub(super) fn remarks(args: &Args, notes: &[String], warnings: &[String]) {
    for note in notes.iter().filter(|_| !args.machine.quiet) {
        eprintln!("note: {note}");
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}
