//! `pig cache`.

use crate::args::{Args, Cache, Clear};
use anyhow::Context;
use pig_data::cache::{Cleared, Entry, clear, entries};
use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime},
};

const SECONDS_IN_A_DAY: u64 = 24 * 60 * 60;

/// Lists or removes prepared pairs.
pub(crate) fn run(args: &Args, asked: &Cache) -> anyhow::Result<ExitCode> {
    let folder = args.machine.cache_folder().context(
        "there is no folder for the cache: neither PIG_CACHE_DIR nor XDG_CACHE_HOME nor HOME is set; give --cache-dir DIR",
    )?;
    match asked {
        Cache::Dir => println!("{}", folder.display()),
        Cache::List => list(args, &folder)?,
        Cache::Clear(asked) => remove(args, &folder, asked)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let found = entries(folder)?;
    if args.machine.json {
        let entries: Vec<_> = found.iter().map(json).collect();
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "folder": folder, "entries": entries }))?);
        return Ok(());
    }
    for entry in &found {
        println!("{}", text(entry));
    }
    let bytes = found.iter().map(|entry| entry.bytes).sum();
    println!("{}: {} of prepared pairs, {}", folder.display(), count(found.len()), size(bytes));
    Ok(())
}

fn remove(args: &Args, folder: &Path, asked: &Clear) -> anyhow::Result<()> {
    let age = asked.older_than.map(|days| Duration::from_secs(u64::from(days) * SECONDS_IN_A_DAY));
    let Cleared { removed, busy, kept } = clear(folder, age, asked.data.as_deref())?;
    let bytes = removed.iter().map(|entry| entry.bytes).sum();
    if args.machine.json {
        let of = |entries: &[Entry]| entries.iter().map(json).collect::<Vec<_>>();
        let json = serde_json::json!({ "folder": folder, "removed": of(&removed), "busy": of(&busy), "kept": kept, "bytes": bytes });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    println!("{}: removed {} of prepared pairs, {}", folder.display(), count(removed.len()), size(bytes));
    for entry in &busy {
        println!("{}: stays, because a process is making it now", entry.path.display());
    }
    if kept > 0 {
        println!("{} stay(s)", count(kept));
    }
    Ok(())
}

/// A number of sets.
fn count(entries: usize) -> String {
    if entries == 1 { "1 set".to_owned() } else { format!("{entries} sets") }
}

/// A number of bytes.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes < 1e6 {
        format!("{:.1} kB", bytes / 1e3)
    } else if bytes < 1e9 {
        format!("{:.1} MB", bytes / 1e6)
    } else {
        format!("{:.2} GB", bytes / 1e9)
    }
}

fn time(used: Option<SystemTime>) -> String {
    used.map_or("-".to_owned(), |used| humantime::format_rfc3339_seconds(used).to_string())
}

/// One line: size, last use, what it is of, and where it is.
fn text(entry: &Entry) -> String {
    let of = match &entry.of {
        None => "unfinished, damaged or of another version".to_owned(),
        Some(of) => {
            let [height, width] = of.size;
            let gone = if of.folder.is_dir() { "" } else { " (the folder is gone)" };
            let colours = if of.channels == 1 { "" } else { " in colour" };
            format!("{} pairs of {height} x {width}{colours} of {}{gone}", of.pairs, of.folder.display())
        }
    };
    format!("{:>9}  last used {}  {of}\n           {}", size(entry.bytes), time(entry.used), entry.path.display())
}

fn json(entry: &Entry) -> serde_json::Value {
    let of = entry.of.as_ref().map(|of| {
        serde_json::json!({
            "folder": of.folder, "pairs": of.pairs, "size": of.size, "channels": of.channels, "folder_exists": of.folder.is_dir(),
        })
    });
    serde_json::json!({ "path": entry.path, "bytes": entry.bytes, "last_used": entry.used.map(|_| time(entry.used)), "of": of })
}
