//! The command-line reference, made from the flags themselves.

use crate::args::Args;
use clap::CommandFactory;
use std::fmt::Write;

/// docs/CLI.md. The options that every command takes stand once, under `pig`.
pub(crate) fn markdown() -> String {
    let mut root = Args::command().term_width(100);
    root.build();
    let mut text = "# Command-line reference\n\nMade by `pig reference`; a test keeps it current. Every command also takes the options of \
                    the machine and the terminal, which stand under `pig`, and `--help`.\n"
        .to_owned();
    section(&mut text, root.clone(), "pig");
    sections(&mut text, &root, "pig");
    text
}

/// The commands below a command that its help shows, without `help` itself.
pub(crate) fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
}

/// The sections of the commands below a command.
fn sections(text: &mut String, command: &clap::Command, name: &str) {
    for sub in shown(command) {
        let name = format!("{name} {}", sub.get_name());
        let repeated = |arg: &clap::Arg| arg.is_global_set() || arg.get_id() == "help";
        section(text, sub.clone().mut_args(|arg| if repeated(&arg) { arg.hide(true) } else { arg }), &name);
        sections(text, sub, &name);
    }
}

/// The section of one command.
fn section(text: &mut String, mut command: clap::Command, name: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
}
