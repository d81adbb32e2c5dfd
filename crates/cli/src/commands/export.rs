//! `pig export`.

use crate::{
    args::{Args, Export, FormatName, SegmentationName, SegmentationTypeName},
    terminal::Terminal,
};
use pig_export::{Amount, ExportError, Format, Request, Segmentation, SegmentationType, Summary, export};
use pig_train::{
    config::Layers,
    observer::{Event, Observer},
};
use std::{cell::Cell, ops::ControlFlow, process::ExitCode};

/// Writes pairs in the format of another tool.
pub(crate) fn run(args: &Args, asked: &Export) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args)?;
    let data = Layers { file: None, sets: asked.keys.sets.clone() }.load()?.data;
    data.check()?;
    let amount = match (asked.share, asked.count) {
        (Some(share), _) => Amount::Share(share),
        (None, Some(count)) => Amount::Count(count),
        (None, None) => Amount::All,
    };
    let request = Request {
        real: asked.real.clone(),
        amount,
        only_kept: asked.only_kept,
        data,
        seed: asked.seed,
        folds: asked.folds,
        splits: asked.splits.clone(),
        spacing: asked.spacing.map(|spacing| spacing.0),
        ..Request::new(asked.pairs.clone(), asked.out.clone(), format(asked))
    };
    // The bar starts once the pairs are counted.
    let begun = Cell::new(false);
    let progress = |done: usize, total: usize| {
        if !begun.replace(true) {
            terminal.event(Event::Begin { stage: "export".to_owned(), total, done });
        }
        terminal.event(Event::Progress { done, message: String::new() });
        if terminal.stop_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let written = export(&request, &progress);
    if begun.get() {
        terminal.event(Event::End);
    }
    let summary = match written {
        Err(ExportError::Interrupted { .. }) => {
            eprintln!("stopped; nothing was written");
            return Ok(ExitCode::from(130));
        }
        other => other?,
    };
    for warning in &summary.warnings {
        terminal.event(Event::Warning(warning.clone()));
    }
    for note in &summary.notes {
        terminal.event(Event::Note(note.clone()));
    }
    print(args, asked, &summary)?;
    Ok(ExitCode::SUCCESS)
}

fn format(asked: &Export) -> Format {
    match asked.format {
        FormatName::Nnunet => Format::Nnunet,
        FormatName::Monai => Format::Monai,
        FormatName::Coco => Format::Coco {
            segmentation: match asked.segmentation {
                SegmentationName::Rle => Segmentation::Rle,
                SegmentationName::Polygon => Segmentation::Polygon,
            },
        },
        FormatName::Nifti => Format::Nifti,
        FormatName::DicomSeg => Format::DicomSeg {
            segmentation_type: match asked.segmentation_type {
                SegmentationTypeName::Binary => SegmentationType::Binary,
                SegmentationTypeName::Labelmap => SegmentationType::Labelmap,
            },
        },
        FormatName::Webdataset => Format::Webdataset { shard_size: asked.shard_size },
        FormatName::Png => Format::Png,
    }
}

fn print(args: &Args, asked: &Export, summary: &Summary) -> anyhow::Result<()> {
    let Summary { generated, real, empty_masks, warnings, notes } = summary;
    if args.machine.json {
        let json = serde_json::json!({
            "pairs": generated + real,
            "generated": generated,
            "real": real,
            "empty_masks": empty_masks,
            "warnings": warnings,
            "notes": notes,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        let (out, pairs) = (asked.out.display(), generated + real);
        println!("{out}: {pairs} pairs, {generated} generated, {real} real, {empty_masks} with an empty mask");
    }
    Ok(())
}
