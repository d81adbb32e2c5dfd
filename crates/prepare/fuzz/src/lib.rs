//! Code that the targets share: a folder that exists as long as the process, small sources around the fuzzed part, and a
//! function that reads such a source.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pig_data::Pixels;
use pig_data::png_file::write_gray_png;
use pig_prepare::layouts::find;
use pig_prepare::masks::Masks;
use pig_prepare::sources::{Cost, Reading, Volume};
use pig_prepare::{Layout, PrepareConfig};

/// A limit so small that memory or time shows if it is not enforced.
pub const BYTES: u64 = 64 << 20;

/// How many cases of a source are opened.
const OPENED: usize = 4;

/// The folder of this process.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder").keep())
}

/// Writes a file below the folder.
pub fn put(place: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(place);
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above).expect("a folder");
    }
    std::fs::write(&path, bytes).expect("space");
    path
}

/// Finds the cases of a source and reads slices and masks of some of them.
pub fn exercise(source: &Path, layout: Layout) {
    let config = PrepareConfig::default();
    let cost = Cost::of_bytes(BYTES);
    let Ok(found) = find(source, Some(layout), &config, &cost.dicom) else { return };
    for case in found.cases.iter().take(OPENED) {
        let Ok(volume) = Volume::open(case, Reading::gray(config.colour, layout), config.slice_axis, &cost) else { continue };
        let Ok(Some(masks)) = Masks::open(case, &volume, &config, &cost) else { continue };
        let [height, width] = volume.size();
        for index in 0..volume.slices().min(3) {
            let _ = volume.plane(index);
            let _ = volume.geometry(index);
            if let Ok(mask) = masks.read(index) {
                assert_eq!(mask.len(), height * width);
                // Lesion alone has the label 1.
                let labels = masks.coding().labels_in_all().max(2);
                assert!(mask.iter().all(|&label| usize::from(label) < labels));
            }
        }
    }
}

/// Writes a picture of 12 x 10 pixels.
pub fn picture(place: &str, value: u8) {
    let path = put(place, &[]);
    write_gray_png(&path, 12, 10, &Pixels::Eight(vec![value; 120]), &[]).expect("a picture");
}

/// Writes a DICOM image of 12 x 10 pixels with 8 bits and the given number of frames.
pub fn dicom(place: &str, frames: u8) {
    let element = |group: u16, element: u16, vr: &str, value: &[u8]| {
        let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
        bytes.extend(vr.as_bytes());
        let length = value.len().next_multiple_of(2);
        if vr == "OW" { bytes.extend([0, 0]) }
        if vr == "OW" { bytes.extend((length as u32).to_le_bytes()) } else { bytes.extend((length as u16).to_le_bytes()) }
        bytes.extend(value);
        bytes.resize(bytes.len() + length - value.len(), 0);
        bytes
    };
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend(element(2, 0x10, "UI", b"1.2.840.10008.1.2.1"));
    file.extend(element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.7.2"));
    file.extend(element(8, 0x18, "UI", b"1.2.3"));
    file.extend(element(0x28, 2, "US", &[1, 0]));
    file.extend(element(0x28, 4, "CS", b"MONOCHROME2"));
    file.extend(element(0x28, 8, "IS", &[b'0' + frames]));
    for (number, value) in [(0x10, 12), (0x11, 10), (0x100, 8), (0x101, 8), (0x102, 7), (0x103, 0)] {
        file.extend(element(0x28, number, "US", &[value, 0]));
    }
    file.extend(element(0x7fe0, 0x10, "OW", &vec![9; 120 * usize::from(frames)]));
    put(place, &file);
}
