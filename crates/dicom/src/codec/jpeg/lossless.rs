//! Lossless JPEG: prediction and differences (T.81 annex H).

use super::super::markers::{FrameHeader, ScanHeader};
use super::huffman::{Bits, Table};
use super::tables::Tables;

/// Decodes a scan into `values` (interleaved by pixel); returns the number of bytes used.
pub(super) fn scan(
    data: &[u8],
    tables: &Tables,
    frame: &FrameHeader,
    scan: &ScanHeader,
    values: &mut [u16],
) -> Result<usize, String> {
    let [predictor, _, approximation] = scan.parameters;
    let shift = u32::from(approximation & 15);
    if !(1..=7).contains(&predictor) || shift >= u32::from(frame.precision) {
        return Err(format!(
            "predictor {predictor} and point transform {shift}, expected predictor 1 to 7 and a transform below the precision"
        ));
    }
    if frame.components.iter().any(|component| (component.h, component.v) != (1, 1)) {
        return Err("lossless JPEG with sampling factors other than 1x1 is not supported".into());
    }
    let samples = frame.components.len();
    let row_length = frame.columns * samples;
    let coded: Vec<(usize, &Table)> =
        scan.components.iter().map(|c| Ok((c.index, tables.dc(c.tables >> 4)?))).collect::<Result<_, String>>()?;
    let first = 1 << (u32::from(frame.precision) - shift - 1);
    let mut bits = Bits::new(data);
    let mut left = tables.restart;
    // The first line of a restart interval is predicted from the left only (H.1.2.1).
    let mut alone = true;
    let mut origin = 0;
    for row in 0..frame.rows {
        alone &= row == origin;
        for column in 0..frame.columns {
            if tables.restart > 0 {
                if left == 0 {
                    bits.restart()?;
                    left = tables.restart;
                    (alone, origin) = (true, row);
                    if column != 0 {
                        return Err("a restart interval that is not a whole number of lines".into());
                    }
                }
                left -= 1;
            }
            for &(index, table) in &coded {
                let place = row * row_length + column * samples + index;
                let at = |back: usize| i32::from(values[place - back] >> shift);
                let predicted = match (alone, column) {
                    (true, 0) => first,
                    (true, _) => at(samples),
                    (false, 0) => at(row_length),
                    _ => predict(predictor, at(samples), at(row_length), at(row_length + samples)),
                };
                let difference = match bits.decode(table)? {
                    16 => 32768,
                    size @ 0..=15 => bits.signed(u32::from(size))?,
                    size => return Err(format!("a difference of {size} bits, expected at most 16")),
                };
                // Differences are modulo 2^16.
                values[place] = ((predicted + difference) as u16) << shift;
            }
        }
    }
    Ok(bits.position())
}

/// Table H.1; `a` is left, `b` above, `c` above left.
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}
