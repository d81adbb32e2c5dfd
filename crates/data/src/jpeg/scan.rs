//! A walk over the Huffman codes of one scan, without pixels (ITU-T T.81, F.2 and G.2).

use super::bits::{Bits, Fault, Table, signed};

/// One component (colour channel) of a JPEG.
#[derive(Debug, Clone)]
pub(super) struct Component {
    /// Its identifier in the file.
    pub(super) id: u8,
    /// Horizontal and vertical sampling factor, each from 1 to 4.
    pub(super) sampling: [usize; 2],
    /// The number of its quantisation table.
    pub(super) quantisation: usize,
    /// Width and height in blocks of 8 x 8 values.
    pub(super) blocks: [usize; 2],
    /// Blocks from one row to the next; the width in blocks with whole units.
    pub(super) stride: usize,
    /// For every coefficient the lowest bit that was read; `None` before its first scan.
    pub(super) lowest: [Option<u8>; 64],
    /// For every block the coefficients that are not zero, as bits; progressive files alone.
    pub(super) nonzero: Vec<u64>,
}

/// Which coefficients a scan holds: from `first` to `last`, their bits from `low` on, after the scan that ended at `high`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) high: u8,
    pub(super) low: u8,
    pub(super) progressive: bool,
}

/// A component's part in a scan.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    /// Its position among the components.
    pub(super) component: usize,
    pub(super) dc: Option<&'a Table>,
    pub(super) ac: Option<&'a Table>,
    /// Its quantisation table.
    pub(super) steps: [u16; 64],
}

/// What a scan needs to know.
pub(super) struct Scan<'a> {
    pub(super) parts: Vec<Part<'a>>,
    pub(super) band: Band,
    /// Bits per sample.
    pub(super) precision: u32,
    /// Width and height in units (of all components of an interleaved scan).
    pub(super) units: [usize; 2],
    /// Units between two restart markers; 0 if there are none.
    pub(super) restart: usize,
}

/// A missing table, or too many values.
const NO_TABLE: Fault = "a Huffman table is missing";
const TOO_MANY: Fault = "a block has too many coefficients";

impl Scan<'_> {
    /// Walks over the scan that begins at `at`; returns the position behind it.
    pub(super) fn walk(&self, bytes: &[u8], at: usize, components: &mut [Component]) -> Result<usize, Fault> {
        let mut walk = Walk {
            bits: Bits::new(bytes, at),
            predicted: [0; 4],
            run: 0,
            band: self.band,
            limit: 1 << (self.precision + 3),
        };
        let alone = if let [part] = &self.parts[..] { Some(part) } else { None };
        let [width, height] = alone.map_or(self.units, |part| components[part.component].blocks);
        let mut marker = 0xd0;
        for unit in 0..width * height {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                walk.restart(bytes, marker)?;
                marker = 0xd0 | (marker + 1) & 7;
            }
            let (column, row) = (unit % width, unit / width);
            if let Some(part) = alone {
                let component = &mut components[part.component];
                let block = row * component.stride + column;
                walk.block(part, 0, component.nonzero.get_mut(block))?;
                continue;
            }
            for (index, part) in self.parts.iter().enumerate() {
                let component = &mut components[part.component];
                let [across, down] = component.sampling;
                for y in 0..down {
                    for x in 0..across {
                        let block = (row * down + y) * component.stride + column * across + x;
                        walk.block(part, index, component.nonzero.get_mut(block))?;
                    }
                }
            }
        }
        if walk.run > 0 {
            return Err("a run of empty blocks leaves the picture");
        }
        let mut end = walk.bits.align();
        match bytes.get(end..) {
            None | Some([] | [0xff]) => return Err("it ends without its end marker"),
            Some([0xff, 0, ..]) => return Err("bytes follow its picture"),
            // Some writers put a restart marker behind the last interval as well.
            Some([0xff, 0xd0..=0xd7, ..]) if self.restart > 0 => end += 2,
            Some([0xff, ..]) => {}
            Some(_) => return Err("bytes follow its picture"),
        }
        Ok(end)
    }

    /// Notes which bits of which coefficients the scan has brought.
    pub(super) fn note(&self, components: &mut [Component]) -> Result<(), Fault> {
        for part in &self.parts {
            for lowest in &mut components[part.component].lowest[self.band.first..=self.band.last] {
                if (self.band.high == 0) != lowest.is_none() {
                    return Err("its scans are out of order");
                }
                *lowest = Some(self.band.low);
            }
        }
        Ok(())
    }
}

/// The state of a walk.
struct Walk<'a> {
    bits: Bits<'a>,
    /// The last DC value of every part.
    predicted: [i64; 4],
    /// How many blocks are still without further coefficients.
    run: u32,
    band: Band,
    /// The greatest value that a sample's transform can reach.
    limit: i64,
}

impl Walk<'_> {
    /// Passes over the restart marker `marker`.
    fn restart(&mut self, bytes: &[u8], marker: u8) -> Result<(), Fault> {
        if self.run > 0 {
            return Err("a run of empty blocks leaves its interval");
        }
        let mut at = self.bits.align();
        // Any number of 0xff may stand before a marker.
        while matches!(bytes.get(at..), Some([0xff, 0xff, ..])) {
            at += 1;
        }
        match bytes.get(at..) {
            Some([0xff, found, ..]) if *found == marker => {}
            None | Some([] | [_]) => return Err("it ends within its picture"),
            Some(_) => return Err("a restart marker is missing"),
        }
        self.bits.seek(at + 2);
        self.predicted = [0; 4];
        Ok(())
    }

    /// Walks over one block of the part at `index` among the scan's parts.
    fn block(&mut self, part: &Part<'_>, index: usize, nonzero: Option<&mut u64>) -> Result<(), Fault> {
        if self.band.first == 0 {
            self.dc(part, index)?;
        }
        if !self.band.progressive {
            return self.sequential(part);
        }
        match (self.band.last, nonzero) {
            (0, _) => Ok(()),
            (_, None) => Err("a scan leaves the picture"),
            (_, Some(nonzero)) if self.band.high == 0 => self.first(part, nonzero),
            (_, Some(nonzero)) => self.refine(part, nonzero),
        }
    }

    fn dc(&mut self, part: &Part<'_>, index: usize) -> Result<(), Fault> {
        if self.band.high > 0 {
            return self.bits.get(1).map(drop);
        }
        let bits = u32::from(self.bits.code(part.dc.ok_or(NO_TABLE)?)?);
        if bits > 16 {
            return Err("a value has too many bits");
        }
        self.predicted[index] += signed(self.bits.get(bits)?, bits);
        let step = i64::from(part.steps[0].max(1));
        if (self.predicted[index] << self.band.low).abs() * step > 2 * self.limit + step {
            return Err("a value leaves the range of its pixels");
        }
        Ok(())
    }

    /// The AC coefficients of a sequential file.
    fn sequential(&mut self, part: &Part<'_>) -> Result<(), Fault> {
        let table = part.ac.ok_or(NO_TABLE)?;
        let mut k = 1;
        while k < 64 {
            let code = self.bits.code(table)?;
            let (zeros, bits) = (usize::from(code >> 4), u32::from(code & 15));
            if bits == 0 && zeros < 15 {
                return Ok(());
            }
            k += zeros;
            if bits > 0 {
                let step = i64::from(*part.steps.get(k).ok_or(TOO_MANY)?);
                if signed(self.bits.get(bits)?, bits).abs() * step > 4 * self.limit + step {
                    return Err("a value leaves the range of its pixels");
                }
            }
            k += 1;
        }
        if k > 64 { Err(TOO_MANY) } else { Ok(()) }
    }

    /// The first scan of a band of AC coefficients of a progressive file.
    fn first(&mut self, part: &Part<'_>, nonzero: &mut u64) -> Result<(), Fault> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let table = part.ac.ok_or(NO_TABLE)?;
        let (mut k, last) = (self.band.first, self.band.last);
        while k <= last {
            let code = self.bits.code(table)?;
            let (zeros, bits) = (usize::from(code >> 4), u32::from(code & 15));
            if bits == 0 && zeros < 15 {
                self.run = (1 << zeros) - 1 + self.bits.get(zeros as u32)?;
                return Ok(());
            }
            k += zeros;
            if bits > 0 {
                if k > last {
                    return Err(TOO_MANY);
                }
                self.bits.get(bits)?;
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if k > last + 1 { Err(TOO_MANY) } else { Ok(()) }
    }

    /// A later scan of a band: one more bit of every coefficient.
    fn refine(&mut self, part: &Part<'_>, nonzero: &mut u64) -> Result<(), Fault> {
        let table = part.ac.ok_or(NO_TABLE)?;
        let (mut k, last, known) = (self.band.first, self.band.last, *nonzero);
        while self.run == 0 && k <= last {
            let code = self.bits.code(table)?;
            let (mut zeros, bits) = (code >> 4, code & 15);
            if bits > 1 {
                return Err("a coefficient is refined by more than a bit");
            }
            if bits == 1 {
                self.bits.get(1)?;
            } else if zeros < 15 {
                self.run = (1 << zeros) + self.bits.get(u32::from(zeros))?;
                break;
            }
            while k <= last {
                if known >> k & 1 == 1 {
                    self.bits.get(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if bits == 1 {
                if k > last {
                    return Err(TOO_MANY);
                }
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if self.run > 0 {
            for _ in (k..=last).filter(|k| known >> k & 1 == 1) {
                self.bits.get(1)?;
            }
            self.run -= 1;
        }
        Ok(())
    }
}
