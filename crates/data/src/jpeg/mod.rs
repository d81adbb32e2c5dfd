//! Whether a JPEG is whole: a walk over its segments and Huffman codes, without pixels (ITU-T T.81).
//!
//! Decoders fill what a cut or overwritten JPEG lacks with gray. A JPEG has no checksum, so that a damage which leaves a valid
//! sequence of codes (such as a few flipped bits) cannot be told.

mod bits;
mod scan;

use crate::limits::MAX_PIXELS;
use bits::{Fault, Table};
use scan::{Band, Component, Part, Scan};

/// Why a file ends too early between its scans.
const NO_END: Fault = "it ends without its end marker";
const SHORT: Fault = "a segment is short";

/// Checks that a JPEG has every code of its picture and its end marker. Bytes behind the end marker are allowed. JPEGs that are
/// neither sequential nor progressive with Huffman codes are left to the decoder.
pub(crate) fn check_whole(bytes: &[u8]) -> Result<(), String> {
    check_strip(None, bytes)
}

/// As [`check_whole`], for a strip or tile of a TIFF, whose tables may lie in a stream of their own.
pub(crate) fn check_strip(tables: Option<&[u8]>, bytes: &[u8]) -> Result<(), String> {
    let mut file = File::default();
    let read = tables.map_or(Ok(Ended::Whole), |tables| file.read(tables)).and_then(|_| file.read(bytes));
    let whole = read.and_then(|ended| match ended {
        Ended::Whole => file.finish(),
        Ended::Other => Ok(()),
    });
    whole.map_err(|fault| format!("the JPEG is not whole: {fault}"))
}

/// How a file ends.
enum Ended {
    /// With its end marker.
    Whole,
    /// In a kind of JPEG that is not walked over.
    Other,
}

/// The tables and the frame that were read.
#[derive(Default)]
struct File {
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: usize,
    frame: Option<Frame>,
}

struct Frame {
    progressive: bool,
    precision: u32,
    /// Width and height in interleaved units.
    units: [usize; 2],
    components: Vec<Component>,
}

impl File {
    /// Reads segments and scans up to the end marker.
    fn read(&mut self, bytes: &[u8]) -> Result<Ended, Fault> {
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return Err("its start marker is missing");
        }
        let mut at = 2;
        loop {
            match bytes.get(at) {
                None => return Err(NO_END),
                Some(0xff) => {}
                Some(_) => return Err("bytes stand where a marker should be"),
            }
            while bytes.get(at) == Some(&0xff) {
                at += 1;
            }
            let marker = *bytes.get(at).ok_or(NO_END)?;
            at += 1;
            match marker {
                0xd9 => return Ok(Ended::Whole),
                0x00 | 0x01 | 0xd0..=0xd8 => return Err("a marker stands outside of its picture"),
                // Lossless, hierarchical and arithmetic JPEGs.
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Ok(Ended::Other),
                _ => {}
            }
            let segment = segment(bytes, at)?;
            at += 2 + segment.len();
            match marker {
                0xdb => self.quantisation_tables(segment)?,
                0xc4 => self.huffman_tables(segment)?,
                0xc0..=0xc2 => self.start_frame(segment, marker == 0xc2)?,
                0xdd => self.restart = usize::from(word(segment, 0)?),
                0xda => at = self.scan(segment, bytes, at)?,
                _ => {}
            }
        }
    }

    /// Checks that every bit of every coefficient was there.
    fn finish(&self) -> Result<(), Fault> {
        let frame = self.frame.as_ref().ok_or("it has no picture")?;
        let lowest = frame.components.iter().flat_map(|component| component.lowest);
        if lowest.into_iter().any(|lowest| lowest != Some(0)) {
            return Err("scans are missing");
        }
        Ok(())
    }

    fn quantisation_tables(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&head, rest)) = segment.split_first() {
            let wide = head >> 4 != 0;
            let length = if wide { 128 } else { 64 };
            let (values, behind) = rest.split_at_checked(length).ok_or(SHORT)?;
            let table = self.quantisation.get_mut(usize::from(head & 15)).ok_or("a table has an unknown number")?;
            let step = |k: usize| {
                if wide { u16::from_be_bytes([values[2 * k], values[2 * k + 1]]) } else { u16::from(values[k]) }
            };
            *table = Some(std::array::from_fn(step));
            segment = behind;
        }
        Ok(())
    }

    fn huffman_tables(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((head, rest)) = segment.split_at_checked(17) {
            let values = head[1..].iter().map(|&count| usize::from(count)).sum();
            let (values, behind) = rest.split_at_checked(values).ok_or(SHORT)?;
            let tables = if head[0] >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let table = tables.get_mut(usize::from(head[0] & 15)).ok_or("a table has an unknown number")?;
            *table = Some(Table::new(&head[1..], values)?);
            segment = behind;
        }
        Ok(())
    }

    fn start_frame(&mut self, segment: &[u8], progressive: bool) -> Result<(), Fault> {
        if self.frame.is_some() {
            return Err("it has two frames");
        }
        let (&precision, &count) = segment.first().zip(segment.get(5)).ok_or(SHORT)?;
        let (height, width) = (usize::from(word(segment, 1)?), usize::from(word(segment, 3)?));
        let described = segment.get(6..6 + 3 * usize::from(count)).ok_or(SHORT)?;
        let factors = |c: &[u8]| [usize::from(c[1] >> 4), usize::from(c[1] & 15)];
        let fits = |c: &[u8]| factors(c).iter().all(|factor| (1..=4).contains(factor));
        let pixels = (width * height) as u64;
        if !(1..=MAX_PIXELS).contains(&pixels)
            || !matches!(precision, 8 | 12)
            || !(1..=4).contains(&count)
            || !described.chunks_exact(3).all(fits)
        {
            return Err("its frame header is damaged");
        }
        let most = |axis: usize| described.chunks_exact(3).map(|c| factors(c)[axis]).max().unwrap_or(1);
        let most = [most(0), most(1)];
        let units = [width.div_ceil(8 * most[0]), height.div_ceil(8 * most[1])];
        let component = |c: &[u8]| {
            let sampling = factors(c);
            let blocks = [0, 1].map(|axis| ([width, height][axis] * sampling[axis]).div_ceil(most[axis]).div_ceil(8));
            let stride = units[0] * sampling[0];
            let nonzero = if progressive { vec![0; stride * units[1] * sampling[1]] } else { Vec::new() };
            Component {
                id: c[0],
                sampling,
                quantisation: usize::from(c[2]),
                blocks,
                stride,
                lowest: [None; 64],
                nonzero,
            }
        };
        let components = described.chunks_exact(3).map(component).collect();
        self.frame = Some(Frame { progressive, precision: u32::from(precision), units, components });
        Ok(())
    }

    /// Walks over the scan whose header is `segment` and whose codes begin at `at`; returns the position behind it.
    fn scan(&mut self, segment: &[u8], bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let frame = self.frame.as_mut().ok_or("a scan stands before its frame")?;
        let count = usize::from(*segment.first().ok_or(SHORT)?);
        let (named, rest) = segment[1..].split_at_checked(2 * count).ok_or(SHORT)?;
        let &[first, last, bits, ..] = rest else { return Err(SHORT) };
        let band = if frame.progressive {
            let [first, last] = [first, last].map(usize::from);
            Band { first, last, high: bits >> 4, low: bits & 15, progressive: true }
        } else {
            Band { first: 0, last: 63, high: 0, low: 0, progressive: false }
        };
        let one_kind = !band.progressive || (band.first > 0 || band.last == 0);
        let interleaved = count > 1 && band.progressive && band.last > 0;
        if band.first > band.last
            || band.last > 63
            || band.low > 13
            || !one_kind
            || interleaved
            || !(1..=4).contains(&count)
        {
            return Err("a scan header is damaged");
        }
        let mut parts = Vec::with_capacity(count);
        for names in named.chunks_exact(2) {
            let component = frame.components.iter().position(|component| component.id == names[0]);
            let component = component.ok_or("a scan names an unknown component")?;
            let quantisation = frame.components[component].quantisation;
            parts.push(Part {
                component,
                dc: self.dc.get(usize::from(names[1] >> 4)).and_then(Option::as_ref),
                ac: self.ac.get(usize::from(names[1] & 15)).and_then(Option::as_ref),
                steps: self.quantisation.get(quantisation).copied().flatten().unwrap_or([1; 64]),
            });
        }
        let scan = Scan { parts, band, precision: frame.precision, units: frame.units, restart: self.restart };
        let end = scan.walk(bytes, at, &mut frame.components)?;
        scan.note(&mut frame.components)?;
        Ok(end)
    }
}

/// The content of the segment whose length stands at `at`.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], Fault> {
    let cut = "it ends within a segment";
    let length =
        bytes.get(at..at + 2).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]]))).ok_or(cut)?;
    bytes.get(at + 2..at + length).ok_or(cut)
}

/// The number of two bytes at `at`.
fn word(segment: &[u8], at: usize) -> Result<u16, Fault> {
    segment.get(at..at + 2).map(|word| u16::from_be_bytes([word[0], word[1]])).ok_or(SHORT)
}
