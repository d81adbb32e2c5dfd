//! JPEG 2000 through `hayro-jpeg2000`, behind a check of the codestream's own sizes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

/// A decoded image.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Values, interleaved by pixel; two's complement where the components are signed.
    pub(crate) values: Vec<u16>,
    pub(crate) precision: u8,
}

/// What the SIZ marker says (ITU-T T.800 A.5.1).
struct Sizes {
    columns: u64,
    rows: u64,
    tiles: u64,
    /// Bits and sign of each component.
    components: Vec<(u8, bool)>,
}

impl Sizes {
    fn read(codestream: &[u8]) -> Result<Self, String> {
        let cut = "the SIZ marker is cut";
        let body = codestream.get(4..).ok_or(cut)?;
        let long = |at: usize| -> Result<u64, String> {
            let bytes = body.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(cut)?;
            Ok(u64::from(u32::from_be_bytes(*bytes)))
        };
        // Lsiz and Rsiz stand before them.
        let (x, y, x0, y0) = (long(4)?, long(8)?, long(12)?, long(16)?);
        let (tile_x, tile_y) = (long(20)?, long(24)?);
        let count = body.get(36..38).ok_or(cut)?;
        let count = usize::from(u16::from_be_bytes([count[0], count[1]]));
        let parts = body.get(38..38 + 3 * count).ok_or(cut)?;
        if x <= x0 || y <= y0 || tile_x == 0 || tile_y == 0 {
            return Err("an empty image or tile".into());
        }
        let mut components = Vec::with_capacity(count);
        for &[bits, dx, dy] in parts.as_chunks::<3>().0 {
            if (dx, dy) != (1, 1) {
                return Err("sampled components are not supported".into());
            }
            components.push(((bits & 0x7F) + 1, bits & 0x80 != 0));
        }
        let tiles = (x.div_ceil(tile_x)).saturating_mul(y.div_ceil(tile_y));
        Ok(Self { columns: x - x0, rows: y - y0, tiles, components })
    }
}

/// Most tiles of one image: the decoder keeps some state for each.
const MOST_TILES: u64 = 65_535;

/// Decodes a codestream (or a JP2 file around one) that must hold `rows` x `columns` pixels of `samples` components.
pub(crate) fn decode(data: &[u8], rows: usize, columns: usize, samples: usize) -> Result<Decoded, String> {
    let start = data.windows(4).position(|mark| mark == [0xFF, 0x4F, 0xFF, 0x51]);
    // A JP2 wrapper is against PS3.5 A.4.4, but files with one exist; its boxes add nothing to the DICOM header.
    let codestream = &data[start.ok_or("no codestream (FF4FFF51)")?..];
    let sizes = Sizes::read(codestream)?;
    let found = (sizes.rows, sizes.columns, sizes.components.len());
    if found != (rows as u64, columns as u64, samples) {
        return Err(format!(
            "the codestream holds {} x {} pixels of {} components, expected {columns} x {rows} of {samples}",
            sizes.columns, sizes.rows, found.2
        ));
    }
    if sizes.tiles > MOST_TILES {
        return Err(format!("{} tiles, expected at most {MOST_TILES}", sizes.tiles));
    }
    let (precision, signed) = sizes.components.first().copied().unwrap_or((0, false));
    if precision > 16 || sizes.components.iter().any(|&component| component != (precision, signed)) {
        return Err("components of more than 16 bits or of different kinds are not supported".into());
    }
    let offset = if signed { (1_i32 << (precision - 1)) as f32 } else { 0.0 };
    let range = if signed { (-offset, offset - 1.0) } else { (0.0, ((1_u32 << precision) - 1) as f32) };
    // The decoder is safe code, so that a panic leaves nothing behind.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
        let image = Image::new(codestream, &settings).map_err(|error| error.to_string())?;
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
        let planes = decoded.components();
        let mut values = vec![0; rows * columns * samples];
        if planes.len() != samples || planes.iter().any(|plane| plane.samples().len() != rows * columns) {
            return Err("the decoder gave another number of values".to_string());
        }
        for (index, plane) in planes.iter().enumerate() {
            let places = values.iter_mut().skip(index).step_by(samples);
            for (place, &value) in places.zip(plane.samples()) {
                // The decoder shifts signed components as if they were unsigned.
                *place = (value - offset).round().clamp(range.0, range.1) as i32 as u16;
            }
        }
        Ok(values)
    }));
    let values = outcome.map_err(|_| "the decoder failed (a panic in hayro-jpeg2000)".to_string())??;
    Ok(Decoded { values, precision })
}
