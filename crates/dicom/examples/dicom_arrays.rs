//! Writes the decoded values of a DICOM file, for comparison with other readers: `dicom_arrays FILE` or `dicom_arrays FILE
//! --image` (segmentations as plain images).
//!
//! The output is one line of JSON, then raw little-endian arrays, frame by frame. For a gray image: stored, modality and windowed
//! values as f64. For a colour image: stored values, then red, green and blue, as f64. For a segmentation: the union of all
//! segments for each source frame, one byte per pixel. For a refused file: only the line.

use std::io::{BufWriter, Write};
use std::path::Path;

use pig_dicom::{Image, Limits, Object, Photometric, Segmentation, Selection, Voi, open};
use serde_json::json;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let Some(path) = arguments.first() else {
        return writeln!(out, "{}", json!({"kind": "refused", "reason": "no file named"}));
    };
    let limits = Limits::default();
    let opened = match open(Path::new(path), &limits) {
        Ok(Object::Segmentation(_)) if arguments.iter().any(|argument| argument == "--image") => {
            Image::open(Path::new(path), &limits).map(Object::Image)
        }
        opened => opened,
    };
    let written = match opened {
        Ok(Object::Image(image)) => write_image(&image, &mut out),
        Ok(Object::Segmentation(segmentation)) => write_masks(&segmentation, &mut out),
        Ok(Object::Other { .. }) => Ok(Some(json!({"kind": "no pixels"}))),
        Err(error) => Err(error),
    };
    match written {
        Ok(Some(line)) => writeln!(out, "{line}"),
        Ok(None) => Ok(()),
        Err(error) => {
            let text = format!("{error:?}");
            let variant = text.split([' ', '(', '{']).next().unwrap_or_default();
            let reason = error.to_string().replace(path.as_str(), "FILE");
            writeln!(out, "{}", json!({"kind": "refused", "variant": variant, "reason": reason}))
        }
    }
}

type Outcome = pig_dicom::Result<Option<serde_json::Value>>;

fn floats(out: &mut impl Write, values: impl Iterator<Item = f64>) {
    for value in values {
        // Write errors are ignored: a program that reads the output sees that it ends early.
        let _ = out.write_all(&value.to_le_bytes());
    }
}

fn write_image(image: &Image, out: &mut impl Write) -> Outcome {
    let info = image.info();
    let first = image.frame(0)?;
    let gray = matches!(first.photometric(), Photometric::Monochrome1 | Photometric::Monochrome2);
    // Every frame must decode before the line is written.
    for index in 1..info.frames {
        image.frame(index)?;
    }
    let line = json!({
        "kind": if gray { "gray" } else { "colour" },
        "frames": info.frames, "rows": info.rows, "columns": info.columns,
        "samples": first.samples_per_pixel(), "syntax": info.transfer_syntax, "lossy": info.lossy,
    });
    let mut head = Vec::new();
    for index in 0..info.frames {
        let frame = image.frame(index)?;
        let mut body = Vec::new();
        if gray {
            floats(&mut body, frame.stored().iter());
            floats(&mut body, frame.modality()?.into_iter());
            floats(&mut body, frame.windowed(&Voi::Default)?.values.into_iter());
        } else {
            floats(&mut body, frame.stored().iter());
            floats(&mut body, frame.to_rgb()?.stored().iter());
        }
        if index == 0 {
            head = format!("{line}\n").into_bytes();
        }
        let _ = out.write_all(&head);
        let _ = out.write_all(&body);
        head.clear();
    }
    Ok(None)
}

fn write_masks(segmentation: &Segmentation, out: &mut impl Write) -> Outcome {
    let info = segmentation.info();
    let sources = segmentation.sources();
    let masks = sources
        .iter()
        .map(|source| segmentation.mask(source, &Selection::All, Some(0.5)))
        .collect::<pig_dicom::Result<Vec<_>>>()?;
    let named: Vec<_> = sources.iter().map(|source| json!([source.sop_instance, source.frame])).collect();
    let _ = writeln!(out, "{}", json!({"kind": "masks", "rows": info.rows, "columns": info.columns, "sources": named}));
    for mask in masks {
        let _ = out.write_all(&mask.values);
    }
    Ok(None)
}
