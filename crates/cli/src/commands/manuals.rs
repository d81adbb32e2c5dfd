//! `pig completions` and `pig man`, made from the flags themselves.

use crate::{
    args::{Args, Completions, Man},
    commands::reference::shown,
};
use anyhow::Context;
use clap::CommandFactory;
use std::{path::Path, process::ExitCode};

/// Prints the completions of a shell.
pub(crate) fn completions(asked: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Args::command(), "pig", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
}

/// Writes a man page for every command.
pub(crate) fn man(asked: &Man) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&asked.out).with_context(|| format!("{}: cannot make the folder", asked.out.display()))?;
    let mut root = Args::command();
    root.build();
    let count = pages(&root, &asked.out)?;
    println!("{}: {count} pages; read one with: man {}", asked.out.display(), asked.out.join("pig.1").display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and of those below it; gives their number.
fn pages(command: &clap::Command, folder: &Path) -> anyhow::Result<usize> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    let path = folder.join(page.get_filename());
    page.render(&mut text).with_context(|| format!("{}: cannot make the page", path.display()))?;
    pig_files::write(&path, &text)?;
    shown(command).try_fold(1, |count, sub| Ok(count + pages(sub, folder)?))
}
