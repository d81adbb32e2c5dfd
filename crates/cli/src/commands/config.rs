//! `pig config show` and `pig config check`.

use crate::args::{Config, ConfigArgs};
use pig_train::config::Layers;
use std::process::ExitCode;

/// Prints or checks a configuration.
pub(crate) fn run(command: &Config) -> anyhow::Result<ExitCode> {
    let load = |args: &ConfigArgs| Layers { file: args.config.clone(), sets: args.sets.clone() }.load();
    match command {
        Config::Show(args) => print!("{}", load(args)?.to_toml()),
        Config::Check(args) => {
            load(args)?.check()?;
            println!("the configuration can be used");
        }
    }
    Ok(ExitCode::SUCCESS)
}
