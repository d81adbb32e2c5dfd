//! `pig fid ref`.

use super::inputs::{data_settings, network, remarks};
use crate::args::{Args, Reference};
use pig_data::{Source, folder::Kind};
use pig_quality::{
    pictures::unused_bits,
    reference::{Request, write},
};
use serde_json::json;
use std::process::ExitCode;

/// Writes the file and prints a summary.
pub(super) fn run(args: &Args, asked: &Reference) -> anyhow::Result<ExitCode> {
    pig_files::check_writable(&asked.out)?;
    let data = data_settings(&asked.sets)?;
    let network = network(args, &asked.inception)?;
    let request = Request {
        folder: asked.folder.clone(),
        out: asked.out.clone(),
        manifest: asked.manifest.clone(),
        statistics_only: asked.statistics_only,
    };
    let written = write(&request, &network, &data)?;
    let source = Source::all(&asked.folder, &data);
    let warnings = [network.warning(), source.left_out(Kind::Images)?, unused_bits(source)?];
    let warnings: Vec<String> = warnings.into_iter().flatten().collect();
    let notes: Vec<String> = source.rows()?.into_iter().collect();
    if args.machine.json {
        let json = json!({
            "out": asked.out, "images": written.images, "by_patient": written.by_patient, "features": !asked.statistics_only,
            "extractor": written.extractor, "preprocess": written.preprocess, "warnings": warnings, "notes": notes,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!("{}: {} images, {}", asked.out.display(), written.images, written.extractor.name);
        println!("sha256 {}; images: {}", written.extractor.hash, written.extractor.preprocessing);
        remarks(args, &notes, &warnings);
    }
    Ok(ExitCode::SUCCESS)
}
