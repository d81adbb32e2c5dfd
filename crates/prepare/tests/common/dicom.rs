//! DICOM files made byte by byte: explicit VR little endian, uncompressed, with the tags that tests need.

use std::path::Path;

/// An image to write.
pub(crate) struct Dicom {
    pub(crate) sop_class: &'static str,
    pub(crate) modality: &'static str,
    pub(crate) instance: String,
    pub(crate) patient: String,
    pub(crate) frames: usize,
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) bits: u16,
    /// Millimetres between rows and columns.
    pub(crate) spacing: Option<[f64; 2]>,
    /// Window centre and width.
    pub(crate) window: Option<[f64; 2]>,
    pub(crate) laterality: Option<&'static str>,
    pub(crate) monochrome1: bool,
    /// Other text elements: group, element, VR, value.
    pub(crate) marks: Vec<(u16, u16, &'static str, String)>,
    /// Other elements, such as sequences.
    pub(crate) raw: Vec<(u16, u16, &'static str, Vec<u8>)>,
}

pub(crate) const MAMMOGRAPHY: &str = "1.2.840.10008.5.1.4.1.1.1.2";
pub(crate) const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
pub(crate) const MULTI_FRAME_WORD: &str = "1.2.840.10008.5.1.4.1.1.7.3";

impl Dicom {
    pub(crate) fn new(sop_class: &'static str, frames: usize, rows: u16, columns: u16) -> Self {
        Self {
            sop_class,
            modality: "MG",
            instance: "1.2.826.0.1.3680043.8.498.1".to_owned(),
            patient: "ID".to_owned(),
            frames,
            rows,
            columns,
            bits: 12,
            spacing: None,
            window: None,
            laterality: None,
            monochrome1: false,
            marks: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Writes the file; `values` gives the pixel of (frame, row, column).
    pub(crate) fn write(&self, path: &Path, values: impl Fn(usize, usize, usize) -> u16) {
        let mut elements: Vec<(u16, u16, &str, Vec<u8>)> = Vec::new();
        let mut text = |group: u16, element: u16, vr: &'static str, value: &str| {
            elements.push((group, element, vr, padded(value, vr)));
        };
        text(0x0008, 0x0016, "UI", self.sop_class);
        text(0x0008, 0x0018, "UI", &self.instance);
        text(0x0008, 0x0060, "CS", self.modality);
        text(0x0010, 0x0020, "LO", &self.patient);
        text(0x0020, 0x000d, "UI", "1.2.826.0.1.3680043.8.498.2");
        text(0x0020, 0x000e, "UI", "1.2.826.0.1.3680043.8.498.3");
        if let Some(side) = self.laterality {
            text(0x0020, 0x0062, "CS", side);
        }
        text(0x0028, 0x0004, "CS", if self.monochrome1 { "MONOCHROME1" } else { "MONOCHROME2" });
        if self.frames > 1 {
            text(0x0028, 0x0008, "IS", &self.frames.to_string());
        }
        if let Some([row, column]) = self.spacing {
            text(0x0028, 0x0030, "DS", &format!("{row}\\{column}"));
        }
        if let Some([centre, width]) = self.window {
            text(0x0028, 0x1050, "DS", &centre.to_string());
            text(0x0028, 0x1051, "DS", &width.to_string());
        }
        for (group, element, vr, value) in &self.marks {
            text(*group, *element, vr, value);
        }
        elements.extend(self.raw.iter().cloned());
        let allocated = if self.bits > 8 { 16 } else { 8 };
        for (element, value) in [
            (0x0002, 1),
            (0x0010, self.rows),
            (0x0011, self.columns),
            (0x0100, allocated),
            (0x0101, self.bits),
            (0x0102, self.bits - 1),
            (0x0103, 0),
        ] {
            elements.push((0x0028, element, "US", value.to_le_bytes().to_vec()));
        }
        let mut pixels = Vec::new();
        for frame in 0..self.frames {
            for row in 0..usize::from(self.rows) {
                for column in 0..usize::from(self.columns) {
                    let value = values(frame, row, column);
                    if allocated == 16 { pixels.extend(value.to_le_bytes()) } else { pixels.push(value as u8) }
                }
            }
        }
        pixels.resize(pixels.len().next_multiple_of(2), 0);
        elements.push((0x7fe0, 0x0010, "OW", pixels));
        elements.sort_by_key(|(group, element, ..)| (*group, *element));
        let mut meta = Vec::new();
        put(&mut meta, 0x0002, 0x0001, "OB", &[0, 1]);
        put(&mut meta, 0x0002, 0x0002, "UI", &padded(self.sop_class, "UI"));
        put(&mut meta, 0x0002, 0x0003, "UI", &padded(&self.instance, "UI"));
        put(&mut meta, 0x0002, 0x0010, "UI", &padded("1.2.840.10008.1.2.1", "UI"));
        put(&mut meta, 0x0002, 0x0012, "UI", &padded("1.2.826.0.1.3680043.8.498.9", "UI"));
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        put(&mut file, 0x0002, 0x0000, "UL", &(meta.len() as u32).to_le_bytes());
        file.extend(meta);
        for (group, element, vr, value) in elements {
            put(&mut file, group, element, vr, &value);
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
}

/// An element of an item.
pub(crate) fn element(group: u16, element: u16, vr: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, group, element, vr, value);
    bytes
}

/// A text element of an item.
pub(crate) fn text(group: u16, number: u16, vr: &str, value: &str) -> Vec<u8> {
    element(group, number, vr, &padded(value, vr))
}

/// The value of a sequence with these items.
pub(crate) fn items(items: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.extend([0xfe, 0xff, 0x00, 0xe0]);
        bytes.extend((item.len() as u32).to_le_bytes());
        bytes.extend(item);
    }
    bytes
}

fn padded(value: &str, vr: &str) -> Vec<u8> {
    let mut bytes = value.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(if vr == "UI" { 0 } else { b' ' });
    }
    bytes
}

fn put(file: &mut Vec<u8>, group: u16, element: u16, vr: &str, value: &[u8]) {
    file.extend(group.to_le_bytes());
    file.extend(element.to_le_bytes());
    file.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "SQ" | "UN" | "UT") {
        file.extend([0, 0]);
        file.extend((value.len() as u32).to_le_bytes());
    } else {
        file.extend((value.len() as u16).to_le_bytes());
    }
    file.extend(value);
}
