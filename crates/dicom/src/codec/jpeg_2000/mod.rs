//! Decodes JPEG 2000 with `hayro-jpeg2000`. The codestream's headers are checked here first, so that the bounds on memory and
//! time do not depend on how the decoder interprets them.

mod headers;

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use crate::{Limits, foreign};
use headers::Announced;

/// A decoded image.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Values, interleaved by pixel; two's complement where the components are signed.
    pub(crate) values: Vec<u16>,
    pub(crate) precision: u8,
}

/// Why a codestream was not decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Codestream(String),
    Limit { what: &'static str, found: u64, limit: u64, setting: &'static str },
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Codestream(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::Codestream(reason.to_owned())
    }
}

/// Largest number of tiles in one image: the decoder keeps some state for each.
const MOST_TILES: u64 = 65_535;

/// Decodes a codestream (or a JP2 file around one) that must hold `rows` x `columns` pixels of `samples` components.
pub(crate) fn decode(
    data: &[u8],
    rows: usize,
    columns: usize,
    samples: usize,
    limits: &Limits,
) -> Result<Decoded, Failure> {
    let start = data.windows(4).position(|mark| mark == [0xFF, 0x4F, 0xFF, 0x51]);
    // PS3.5 A.4.4 forbids a JP2 wrapper, but files with one exist; its boxes add nothing to the DICOM header.
    let codestream = &data[start.ok_or("no codestream (FF4FFF51)")?..];
    let announced = Announced::read(codestream)?;
    let found = (announced.rows, announced.columns, announced.components.len());
    if found != (rows as u64, columns as u64, samples) {
        return Err(Failure::Codestream(format!(
            "the codestream holds {} x {} pixels of {} components, expected {columns} x {rows} of {samples}",
            announced.columns, announced.rows, found.2
        )));
    }
    check_cost(&announced, limits)?;
    let (precision, signed) = announced.components.first().copied().unwrap_or((0, false));
    if precision > 16 || announced.components.iter().any(|&component| component != (precision, signed)) {
        return Err("components with more than 16 bits, or with different bits or signs, are not supported".into());
    }
    // The decoder is safe code, so a panic does not leave broken state behind.
    let values = foreign::catching(|| values(codestream, rows * columns, samples, precision, signed))
        .ok_or("the decoder failed (a panic in hayro-jpeg2000)")??;
    Ok(Decoded { values, precision })
}

fn check_cost(announced: &Announced, limits: &Limits) -> Result<(), Failure> {
    if announced.tiles > MOST_TILES {
        return Err(Failure::Codestream(format!("{} tiles, expected at most {MOST_TILES}", announced.tiles)));
    }
    let within = |what, found, limit, setting| {
        if found > limit { Err(Failure::Limit { what, found, limit, setting }) } else { Ok(()) }
    };
    within("the memory in bytes that a JPEG 2000 frame needs", announced.bytes, limits.max_bytes, "max_bytes")?;
    within(
        "the number of bits that a JPEG 2000 frame may code",
        announced.bits,
        limits.max_coded_bits,
        "max_coded_bits",
    )
}

fn values(codestream: &[u8], pixels: usize, samples: usize, precision: u8, signed: bool) -> Result<Vec<u16>, Failure> {
    let offset = if signed { (1_i32 << (precision - 1)) as f32 } else { 0.0 };
    let range = if signed { (-offset, offset - 1.0) } else { (0.0, ((1_u32 << precision) - 1) as f32) };
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(codestream, &settings).map_err(|error| error.to_string())?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
    let planes = decoded.components();
    let mut values = vec![0; pixels * samples];
    if planes.len() != samples || planes.iter().any(|plane| plane.samples().len() != pixels) {
        return Err("the decoder returned a wrong number of values".into());
    }
    for (index, plane) in planes.iter().enumerate() {
        let places = values.iter_mut().skip(index).step_by(samples);
        for (place, &value) in places.zip(plane.samples()) {
            // The decoder shifts signed components as if they were unsigned.
            *place = (value - offset).round().clamp(range.0, range.1) as i32 as u16;
        }
    }
    Ok(values)
}
