//! The command-line reference, made from the flags themselves.

use crate::args::Args;
use clap::CommandFactory;
use std::fmt::Write;

/// docs/CLI.md.
pub(crate) fn markdown() -> String {
    let mut root = Args::command().term_width(100);
    root.build();
    let mut text = "# Command-line reference\n\nMade by `pig reference`; a test keeps it current.\n".to_owned();
    section(&mut text, &mut root, "pig");
    text
}

fn section(text: &mut String, command: &mut clap::Command, name: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names {
        if let Some(sub_command) = command.find_subcommand_mut(&sub)
            && sub != "help"
            && !sub_command.is_hide_set()
        {
            section(text, sub_command, &format!("{name} {sub}"));
        }
    }
}
