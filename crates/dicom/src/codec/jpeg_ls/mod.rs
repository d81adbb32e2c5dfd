//! JPEG-LS, ITU-T T.87 (LOCO-I): lossless and near-lossless, all three interleave modes, up to 16 bits.
//!
//! Names follow the recommendation (A, B, C, N, RUNindex, ...) in lower case. Not supported: mapping tables, subsampled
//! components, restart intervals and sizes above 65535; each gives an error that names it.

mod bits;
mod context;
mod scan;

use super::markers::{EOI, FrameHeader, Markers, SOS, ScanHeader};
use context::Parameters;

/// A decoded image.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Values, interleaved by pixel.
    pub(crate) values: Vec<u16>,
    pub(crate) precision: u8,
}

/// Decodes a codestream that must hold `rows` x `columns` pixels of `samples` components.
pub(crate) fn decode(data: &[u8], rows: usize, columns: usize, samples: usize) -> Result<Decoded, String> {
    let mut markers = Markers::new(data)?;
    let mut frame: Option<FrameHeader> = None;
    let mut preset = Preset::default();
    let mut values = Vec::new();
    let mut decoded = vec![false; samples];
    while !decoded.iter().all(|&done| done) {
        let marker = markers.next()?;
        match marker.code {
            0xF7 => {
                if frame.is_some() {
                    return Err("a second frame header".into());
                }
                let header = FrameHeader::read(marker.body)?;
                header.check(rows, columns, samples)?;
                if !(2..=16).contains(&header.precision) {
                    return Err(format!("{} bits per sample, expected 2 to 16", header.precision));
                }
                if header.components.iter().any(|component| (component.h, component.v) != (1, 1)) {
                    return Err("components with sampling factors other than 1x1 are not supported".into());
                }
                values = vec![0; rows * columns * samples];
                frame = Some(header);
            }
            0xF8 => preset.read(marker.body)?,
            0xDD if marker.body.iter().any(|&byte| byte != 0) => {
                return Err("restart intervals are not supported".into());
            }
            SOS => {
                let frame = frame.as_ref().ok_or("a scan before the frame header")?;
                let header = ScanHeader::read(marker.body, frame)?;
                if header.components.iter().any(|component| component.tables != 0) {
                    return Err("mapping tables are not supported".into());
                }
                let parameters = preset.parameters(frame.precision, header.parameters[0])?;
                let indices: Vec<usize> = header.components.iter().map(|component| component.index).collect();
                let mut image = scan::Image { values: &mut values, rows, columns, samples };
                let used = scan::decode(markers.rest(), &mut image, &indices, header.parameters[1], parameters)?;
                markers.advance(used);
                for index in indices {
                    decoded[index] = true;
                }
            }
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(format!("a frame of type FF{:02X}, expected JPEG-LS (FFF7)", marker.code));
            }
            EOI => return Err("the codestream ends before all components are decoded".into()),
            _ => {}
        }
    }
    markers.finish()?;
    let precision = frame.map_or(0, |header| header.precision);
    Ok(Decoded { values, precision })
}

/// Coding parameters from an LSE marker; 0 stands for the default (C.2.4.1.1).
#[derive(Debug, Clone, Copy, Default)]
struct Preset {
    maxval: i32,
    t1: i32,
    t2: i32,
    t3: i32,
    reset: i32,
}

impl Preset {
    fn read(&mut self, body: &[u8]) -> Result<(), String> {
        match body.split_first() {
            Some((1, rest)) if rest.len() >= 10 => {
                let word = |index: usize| i32::from(u16::from_be_bytes([rest[2 * index], rest[2 * index + 1]]));
                *self = Self { maxval: word(0), t1: word(1), t2: word(2), t3: word(3), reset: word(4) };
                Ok(())
            }
            Some((kind, _)) => Err(format!("LSE parameters of type {kind} are truncated or not supported")),
            None => Err("an empty LSE marker".into()),
        }
    }

    /// Returns the parameters of a scan: fills in defaults (C.2.4.1.1.1) and checks every bound of the recommendation.
    fn parameters(&self, precision: u8, near: u8) -> Result<Parameters, String> {
        let top = (1 << precision) - 1;
        let maxval = if self.maxval == 0 { top } else { self.maxval };
        let near = i32::from(near);
        if maxval > top || near > (maxval / 2).min(255) {
            return Err(format!(
                "MAXVAL {maxval} and NEAR {near}, expected MAXVAL of at most {top} and NEAR of at most 255 and half of MAXVAL"
            ));
        }
        let clamp = |value: i32, least: i32| if value > maxval || value < least { least } else { value };
        let (d1, d2, d3) = if maxval >= 128 {
            let factor = (maxval.min(4095) + 128) / 256;
            let t1 = clamp(factor + 2 + 3 * near, near + 1);
            let t2 = clamp(4 * factor + 3 + 5 * near, t1);
            (t1, t2, clamp(17 * factor + 4 + 7 * near, t2))
        } else {
            let factor = 256 / (maxval + 1);
            let t1 = clamp((3 / factor + 3 * near).max(2), near + 1);
            let t2 = clamp((7 / factor + 5 * near).max(3), t1);
            (t1, t2, clamp((21 / factor + 7 * near).max(4), t2))
        };
        let or = |value: i32, default: i32| if value == 0 { default } else { value };
        let (t1, t2, t3, reset) = (or(self.t1, d1), or(self.t2, d2), or(self.t3, d3), or(self.reset, 64));
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maxval;
        if !ordered || !(3..=maxval.max(255)).contains(&reset) {
            return Err(format!("thresholds {t1}, {t2}, {t3} are out of order or RESET {reset} is out of range"));
        }
        Ok(Parameters::new(maxval, near, [t1, t2, t3], reset))
    }
}
