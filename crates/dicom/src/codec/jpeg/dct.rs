//! Sequential DCT: coefficients, their transform, and components of lower resolution (T.81 annexes A and F).

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::super::markers::{FrameHeader, ScanHeader};
use super::huffman::{Bits, Table};
use super::tables::{Tables, ZIGZAG};

/// `BASIS[u][x]`: the u-th cosine at pixel x, with its factor C(u) / 2 (A.3.3).
static BASIS: LazyLock<[[f32; 8]; 8]> = LazyLock::new(|| {
    std::array::from_fn(|u| {
        let scale = if u == 0 { 0.5_f64.sqrt() } else { 1.0 } / 2.0;
        std::array::from_fn(|x| (scale * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()) as f32)
    })
});

/// Decoded components, each at its own resolution.
#[derive(Debug)]
pub(super) struct Planes {
    components: Vec<Plane>,
    /// Largest sampling factors.
    h: usize,
    v: usize,
}

/// A component, padded to whole MCUs.
#[derive(Debug)]
struct Plane {
    values: Vec<u16>,
    /// Values in a line.
    width: usize,
    /// Blocks that hold pixels, without the padding of interleaved scans.
    blocks: (usize, usize),
    /// Lines and columns that hold pixels.
    size: (usize, usize),
}

/// Decodes the blocks of one component in a scan.
struct Coder<'a> {
    index: usize,
    dc: &'a Table,
    ac: &'a Table,
    quantisation: &'a [u16; 64],
    /// DC coefficient of the previous block.
    last: i32,
}

impl Planes {
    pub(super) fn new(frame: &FrameHeader) -> Result<Self, String> {
        let h = frame.components.iter().map(|component| component.h).max().unwrap_or(1);
        let v = frame.components.iter().map(|component| component.v).max().unwrap_or(1);
        if frame.components.iter().any(|component| h % component.h != 0 || v % component.v != 0) {
            return Err("sampling factors that do not divide the largest one are not supported".into());
        }
        let mcus = (frame.rows.div_ceil(8 * v), frame.columns.div_ceil(8 * h));
        let components = frame
            .components
            .iter()
            .map(|component| {
                let size = ((frame.rows * component.v).div_ceil(v), (frame.columns * component.h).div_ceil(h));
                let width = mcus.1 * component.h * 8;
                Plane {
                    values: vec![0; mcus.0 * component.v * 8 * width],
                    width,
                    blocks: (size.0.div_ceil(8), size.1.div_ceil(8)),
                    size,
                }
            })
            .collect();
        Ok(Self { components, h, v })
    }

    /// Decodes a scan; returns the number of bytes used. The scan's parameters (Ss, Se, Ah, Al) have no meaning in a sequential
    /// process: files with wrong ones exist, so they are ignored, as in libjpeg.
    pub(super) fn scan(
        &mut self,
        data: &[u8],
        tables: &Tables,
        frame: &FrameHeader,
        scan: &ScanHeader,
    ) -> Result<usize, String> {
        let mut coders = scan
            .components
            .iter()
            .map(|component| {
                let table = frame.components[component.index].table;
                let quantisation = tables.quantisation[table].as_deref();
                Ok(Coder {
                    index: component.index,
                    dc: tables.dc(component.tables >> 4)?,
                    ac: tables.ac(component.tables & 15)?,
                    quantisation: quantisation.ok_or_else(|| format!("quantisation table {table} is not defined"))?,
                    last: 0,
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        // A scan of one component does not group blocks into MCUs: the blocks follow each other (A.2.2).
        let single = coders.len() == 1;
        let (down, across) = match coders.first() {
            Some(coder) if single => self.components[coder.index].blocks,
            _ => (frame.rows.div_ceil(8 * self.v), frame.columns.div_ceil(8 * self.h)),
        };
        let mut bits = Bits::new(data);
        let mut left = tables.restart;
        for mcu in 0..down * across {
            if tables.restart > 0 {
                if left == 0 {
                    bits.restart()?;
                    for coder in &mut coders {
                        coder.last = 0;
                    }
                    left = tables.restart;
                }
                left -= 1;
            }
            let (row, column) = (mcu / across, mcu % across);
            for coder in &mut coders {
                let component = frame.components[coder.index];
                let (h, v) = if single { (1, 1) } else { (component.h, component.v) };
                for block in 0..h * v {
                    let place = (row * v + block / h, column * h + block % h);
                    let coefficients = coder.block(&mut bits)?;
                    self.components[coder.index].put(place, &coefficients, frame.precision);
                }
            }
        }
        Ok(bits.position())
    }

    /// All components at full resolution, interleaved by pixel.
    pub(super) fn interleaved(self, frame: &FrameHeader) -> Vec<u16> {
        let samples = self.components.len();
        let mut values = vec![0; frame.rows * frame.columns * samples];
        for (index, (plane, component)) in self.components.iter().zip(&frame.components).enumerate() {
            let (across, down) = (self.h / component.h, self.v / component.v);
            for row in 0..frame.rows {
                let line = plane.line(row, down);
                let target = &mut values[row * frame.columns * samples..][..frame.columns * samples];
                for (column, place) in target.iter_mut().skip(index).step_by(samples).enumerate() {
                    *place = stretched(&line, column, across);
                }
            }
        }
        values
    }
}

/// A value of a line that is upsampled by `factor`: interpolated between the two nearest samples if the factor is 2, else the
/// sample that covers the column.
fn stretched(line: &[u16], column: usize, factor: usize) -> u16 {
    let nearest = column / factor;
    if factor != 2 {
        return line[nearest];
    }
    let other = if column.is_multiple_of(2) { nearest.saturating_sub(1) } else { (nearest + 1).min(line.len() - 1) };
    ((3 * u32::from(line[nearest]) + u32::from(line[other]) + 2) / 4) as u16
}

impl Plane {
    /// A line at full vertical resolution.
    fn line(&self, row: usize, factor: usize) -> Vec<u16> {
        let at = |line: usize| &self.values[line * self.width..][..self.size.1];
        let nearest = row / factor;
        if factor != 2 {
            return at(nearest).to_vec();
        }
        let other = if row.is_multiple_of(2) { nearest.saturating_sub(1) } else { (nearest + 1).min(self.size.0 - 1) };
        let mix = |(&near, &far): (&u16, &u16)| ((3 * u32::from(near) + u32::from(far) + 2) / 4) as u16;
        at(nearest).iter().zip(at(other)).map(mix).collect()
    }

    /// Applies the inverse transform to a block and stores the result (A.3.3): separable, in f32.
    fn put(&mut self, (row, column): (usize, usize), coefficients: &[f32; 64], precision: u8) {
        let basis = &*BASIS;
        let mut half = [[0.0_f32; 8]; 8];
        for (v, line) in half.iter_mut().enumerate() {
            for (u, cosines) in basis.iter().enumerate() {
                let coefficient = coefficients[8 * v + u];
                if coefficient != 0.0 {
                    line.iter_mut().zip(cosines).for_each(|(sum, cosine)| *sum += coefficient * cosine);
                }
            }
        }
        let center = (1_u32 << (precision - 1)) as f32;
        let top = ((1_u32 << precision) - 1) as f32;
        for y in 0..8 {
            let mut sums = [center; 8];
            for (line, cosines) in half.iter().zip(basis) {
                sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += value * cosines[y]);
            }
            let target = &mut self.values[(8 * row + y) * self.width + 8 * column..][..8];
            for (place, sum) in target.iter_mut().zip(sums) {
                *place = (sum + 0.5).floor().clamp(0.0, top) as u16;
            }
        }
    }
}

impl Coder<'_> {
    /// Reads the coefficients of the next block, multiplied by their quantisers, row-major (F.2.2).
    fn block(&mut self, bits: &mut Bits<'_>) -> Result<[f32; 64], String> {
        let mut coefficients = [0.0; 64];
        let size = bits.decode(self.dc)?;
        if size > 15 {
            return Err(format!("a DC difference of {size} bits, expected at most 15"));
        }
        let difference = bits.signed(u32::from(size))?;
        // A valid coefficient has 16 bits at most; wrapping keeps a corrupt one from overflowing.
        self.last = i32::from((self.last + difference) as i16);
        coefficients[0] = (self.last * i32::from(self.quantisation[0])) as f32;
        let mut place = 1;
        while place < 64 {
            let code = bits.decode(self.ac)?;
            let (zeros, size) = (usize::from(code >> 4), u32::from(code & 15));
            if size == 0 {
                if zeros != 15 {
                    break;
                }
                place += 16;
                continue;
            }
            place += zeros;
            let value = bits.signed(size)?;
            let natural = *ZIGZAG.get(place).ok_or("a coefficient after the last one of its block")?;
            coefficients[natural] = (value * i32::from(self.quantisation[natural])) as f32;
            place += 1;
        }
        Ok(coefficients)
    }
}
