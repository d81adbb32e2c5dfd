//! `pig serve`.

use crate::{
    args::{Args, Serve},
    signals,
};
use anyhow::Context;
use pig_serve::{Options, Server};
use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Serves a folder until Ctrl-C.
pub(crate) fn run(args: &Args, asked: &Serve) -> anyhow::Result<ExitCode> {
    let server = Server::open(&Options {
        folder: asked.folder.clone(),
        host: asked.host,
        port: asked.port,
        token: asked.token.clone(),
        password_file: asked.password_file.clone(),
        names: asked.names.clone(),
        binary: std::env::current_exe().context("the system does not say where the program pig is")?,
        flags: flags(args),
    })?;
    let (stopper, asked_before) = (server.stopper(), AtomicBool::new(false));
    signals::listen(move || {
        if asked_before.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        stopper.stop();
    })
    .context("cannot listen for Ctrl-C")?;
    if args.machine.json {
        println!("{}", serde_json::json!({ "url": server.url() }));
    } else {
        println!("{}", server.url());
    }
    if !args.machine.quiet {
        eprintln!(
            "serving {}; open the address in a browser. Ctrl-C ends the page, and what it has started goes on",
            asked.folder.display()
        );
    }
    server.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The flags of the machine, for the commands that the page starts.
fn flags(args: &Args) -> Vec<String> {
    let machine = &args.machine;
    let mut flags = vec![format!("--device={}", machine.device)];
    flags.extend(machine.workers.map(|workers| format!("--workers={workers}")));
    flags.extend(machine.cache_dir.as_ref().map(|folder| format!("--cache-dir={}", folder.display())));
    flags.extend(machine.no_cache.then(|| "--no-cache".to_owned()));
    flags
}
