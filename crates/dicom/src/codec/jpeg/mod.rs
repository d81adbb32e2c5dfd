//! JPEG, ITU-T T.81: sequential DCT with Huffman codes (baseline and extended, 8 and 12 bit) and lossless (process 14, every
//! predictor, up to 16 bits). Progressive, hierarchical and arithmetic processes are not current DICOM syntaxes and are refused.
//!
//! This crate has its own decoder because those on crates.io do not read 12-bit DCT, allocate memory for any stated size, and
//! end restart intervals of lossless data in the wrong place.

mod dct;
mod huffman;
mod lossless;
mod tables;

use super::markers::{EOI, FrameHeader, Markers, SOS, ScanHeader};
use tables::Tables;

/// A decoded image.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Values, interleaved by pixel, in the codestream's own colour space.
    pub(crate) values: Vec<u16>,
    pub(crate) precision: u8,
    pub(crate) colours: Colours,
}

/// What the codestream says about the colour space of its three components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Nothing: the DICOM header decides.
    Unsaid,
    /// Component identifiers "RGB".
    Rgb,
    /// A JFIF marker.
    Ycc,
}

/// The JPEG process that a frame header states, with its decoded values.
#[derive(Debug)]
enum Process {
    Dct(dct::Planes),
    Lossless(Vec<u16>),
}

/// Decodes a codestream that must hold `rows` x `columns` pixels of `samples` components.
pub(crate) fn decode(data: &[u8], rows: usize, columns: usize, samples: usize) -> Result<Decoded, String> {
    let mut markers = Markers::new(data)?;
    let mut tables = Tables::default();
    let mut state: Option<(FrameHeader, Process)> = None;
    let mut done = vec![false; samples];
    let mut jfif = false;
    while !done.iter().all(|&done| done) {
        let marker = markers.next()?;
        match marker.code {
            0xC0 | 0xC1 | 0xC3 => {
                if state.is_some() {
                    return Err("a second frame header".into());
                }
                let frame = FrameHeader::read(marker.body)?;
                frame.check(rows, columns, samples)?;
                frame_is_possible(&frame, marker.code == 0xC3, data.len())?;
                let process = match marker.code {
                    0xC3 => Process::Lossless(vec![0; rows * columns * samples]),
                    _ => Process::Dct(dct::Planes::new(&frame)?),
                };
                state = Some((frame, process));
            }
            0xC2 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 => {
                let expected = "baseline, extended or lossless with Huffman codes";
                return Err(format!("a frame of type FF{:02X}, expected {expected}", marker.code));
            }
            0xC4 => tables.read_huffman(marker.body)?,
            0xDB => tables.read_quantisation(marker.body)?,
            0xDD => {
                let interval = marker.body.first_chunk::<2>().ok_or("the restart interval is truncated")?;
                tables.restart = usize::from(u16::from_be_bytes(*interval));
            }
            0xE0 => jfif |= marker.body.starts_with(b"JFIF"),
            SOS => {
                let (frame, process) = state.as_mut().ok_or("a scan before the frame header")?;
                let scan = ScanHeader::read(marker.body, frame)?;
                let used = match process {
                    Process::Dct(planes) => planes.scan(markers.rest(), &tables, frame, &scan)?,
                    Process::Lossless(values) => lossless::scan(markers.rest(), &tables, frame, &scan, values)?,
                };
                markers.advance(used);
                scan.components.iter().for_each(|component| done[component.index] = true);
            }
            EOI => return Err("the codestream ends before all components are decoded".into()),
            _ => {}
        }
    }
    markers.finish()?;
    let (frame, process) = state.ok_or("no frame header")?;
    let values = match process {
        Process::Dct(planes) => planes.interleaved(&frame),
        Process::Lossless(values) => values,
    };
    Ok(Decoded { values, precision: frame.precision, colours: colours(&frame, jfif) })
}

fn colours(frame: &FrameHeader, jfif: bool) -> Colours {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    match ids.as_slice() {
        b"RGB" | b"rgb" => Colours::Rgb,
        [_, _, _] if jfif => Colours::Ycc,
        _ => Colours::Unsaid,
    }
}

/// Checks the frame's precision against the process, and its size against the number of bytes, before memory is allocated.
fn frame_is_possible(frame: &FrameHeader, lossless: bool, bytes: usize) -> Result<(), String> {
    let precision = frame.precision;
    let known = if lossless { (2..=16).contains(&precision) } else { matches!(precision, 8 | 12) };
    if !known {
        let expected = if lossless { "2 to 16" } else { "8 or 12" };
        return Err(format!("{precision} bits per sample, expected {expected}"));
    }
    // A lossless sample takes at least one bit; a DCT block of 64 samples takes at least two (one DC and one AC code).
    let pixels = frame.rows * frame.columns;
    let least = if lossless { pixels / 8 } else { pixels / 256 };
    if bytes < least {
        return Err(format!("found {bytes} bytes, too few for {pixels} pixels"));
    }
    Ok(())
}
