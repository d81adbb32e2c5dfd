//! `pig config show` and `pig config check`.

use crate::args::{Args, Config, ConfigArgs};
use pig_train::config::Layers;
use std::process::ExitCode;

/// Prints or checks a configuration.
pub(crate) fn run(args: &Args, command: &Config) -> anyhow::Result<ExitCode> {
    let load = |args: &ConfigArgs| Layers { file: args.config.clone(), sets: args.sets.clone() }.load();
    let json = args.machine.json;
    match command {
        Config::Show(asked) if json => println!("{}", serde_json::to_string_pretty(&load(asked)?)?),
        Config::Show(asked) => print!("{}", load(asked)?.to_toml()),
        Config::Check(asked) => {
            load(asked)?.check()?;
            println!("{}", if json { r#"{ "usable": true }"# } else { "the configuration can be used" });
        }
    }
    Ok(ExitCode::SUCCESS)
}
