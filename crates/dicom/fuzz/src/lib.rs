//! Shared by the fuzz targets: limits that suit a small machine, and files built around the fuzzed part.

use std::path::Path;
use std::sync::Once;

use pig_dicom::{Image, Limits, Object, Segmentation, Selection, Voi};

/// Limits so small that a broken limit is noticed by the memory or time that it costs.
pub fn limits() -> Limits {
    Limits {
        max_bytes: 64 << 20,
        max_header_bytes: 8 << 20,
        max_elements: 100_000,
        max_depth: 32,
        max_frames: 1000,
        max_frame_pixels: 1 << 20,
        max_coded_bits: 32 << 20,
    }
}

pub fn name() -> &'static Path {
    Path::new("fuzzed.dcm")
}

/// Makes the panic hook ignore the panics that the reader catches; libFuzzer's hook would end the process for them.
fn pass_over_caught_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !pig_dicom::panics_are_caught_here() {
                previous(panic);
            }
        }));
    });
}

/// Calls everything that a program does with an image, for at most three frames.
pub fn exercise(image: &Image) {
    pass_over_caught_panics();
    let _ = format!("{image:?}");
    for index in 0..image.info().frames.min(3) {
        let _ = image.frame_info(index);
        if let Ok(frame) = image.frame(index) {
            let expected = frame.rows() * frame.columns() * frame.samples_per_pixel();
            assert_eq!(frame.stored().len(), expected);
            let _ = frame.windowed(&Voi::Default);
            let _ = frame.display(&Voi::FirstWindow);
            let _ = frame.to_gray();
        }
    }
}

pub fn exercise_segmentation(segmentation: &Segmentation) {
    pass_over_caught_panics();
    let size = segmentation.info().rows as usize * segmentation.info().columns as usize;
    for source in segmentation.sources().iter().take(3) {
        if let Ok(mask) = segmentation.mask(source, &Selection::All, Some(0.5)) {
            assert_eq!(mask.values.len(), size);
            assert!(mask.values.iter().all(|&value| value <= 1));
        }
    }
}

pub fn exercise_object(object: &Object) {
    match object {
        Object::Image(image) => exercise(image),
        Object::Segmentation(segmentation) => exercise_segmentation(segmentation),
        Object::Other { .. } => {}
    }
}

/// An element in explicit little endian.
pub fn element(tag: (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    let mut value = value.to_vec();
    value.resize(value.len().next_multiple_of(2), 0);
    if vr.starts_with('O') {
        bytes.extend([0, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
    } else {
        bytes.extend((value.len() as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

pub fn meta(syntax: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(element((0x0002, 0x0010), "UI", syntax.as_bytes()));
    bytes
}

/// An image pixel module.
pub fn pixels(rows: u16, columns: u16, frames: &str, samples: u16, bits: u16, signed: u16) -> Vec<u8> {
    let short = |tag, value: u16| element(tag, "US", &value.to_le_bytes());
    let photometric: &[u8] = if samples == 3 { b"RGB" } else { b"MONOCHROME2" };
    [
        short((0x0028, 0x0002), samples),
        element((0x0028, 0x0004), "CS", photometric),
        element((0x0028, 0x0008), "IS", frames.as_bytes()),
        short((0x0028, 0x0010), rows),
        short((0x0028, 0x0011), columns),
        short((0x0028, 0x0100), if bits <= 8 { 8 } else { 16 }),
        short((0x0028, 0x0101), bits),
        short((0x0028, 0x0102), bits - 1),
        short((0x0028, 0x0103), signed),
    ]
    .concat()
}

/// Decodes a codestream under a transfer syntax. The first byte of the input chooses size, samples, bits and sign.
pub fn exercise_codec(syntax: &str, data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else { return };
    // The sizes of the fixtures in tests/data, and a small one.
    let (rows, columns) = if choice & 1 == 0 { (36, 40) } else { (3, 5) };
    let samples = if choice & 2 == 0 { 1 } else { 3 };
    let bits = [2, 5, 7, 8, 10, 12, 16, 16][usize::from(choice >> 2 & 7)];
    let mut value = vec![0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0x00, 0xE0];
    value.extend((stream.len() as u32).to_le_bytes());
    value.extend(stream);
    let mut data = element((0x7FE0, 0x0010), "OB", &[]);
    data[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let file =
        [meta(syntax), pixels(rows, columns, "1", samples, bits, u16::from(choice >> 5 & 1)), data, value].concat();
    if let Ok(image) = Image::from_bytes(file, name(), &limits()) {
        exercise(&image);
    }
}
