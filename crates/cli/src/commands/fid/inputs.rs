//! Inputs that the subcommands of `pig fid` share: how masks and patients are read, and the network.

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
