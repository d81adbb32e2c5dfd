//! Reads from a codestream's headers its size and bounds on the cost of decoding it (ITU-T T.800 Annexes A and B).

/// Sizes of the image, and bounds on the memory and time that a decoder needs for it.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) columns: u64,
    pub(super) rows: u64,
    /// Bits and sign of each component.
    pub(super) components: Vec<(u8, bool)>,
    pub(super) tiles: u64,
    /// Bytes of values, coefficients, code-blocks and precincts.
    pub(super) bytes: u64,
    /// Number of samples times the largest number of bit planes that may be coded.
    pub(super) bits: u64,
}

/// The markers that matter here (Table A.2).
mod marker {
    pub(super) const COD: u16 = 0xFF52;
    pub(super) const COC: u16 = 0xFF53;
    pub(super) const QCD: u16 = 0xFF5C;
    pub(super) const QCC: u16 = 0xFF5D;
    pub(super) const RGN: u16 = 0xFF5E;
    pub(super) const SOT: u16 = 0xFF90;
    pub(super) const SOD: u16 = 0xFF93;
    pub(super) const EOC: u16 = 0xFFD9;
}

/// Bytes that a decoder may keep for a code-block, for each of its layers, for a coding pass that ends a segment, and for a
/// precinct of a sub-band. These are upper bounds: the sizes of hayro-jpeg2000's structures plus the spare room of growing
/// vectors.
const BLOCK_BYTES: u64 = 400;
const LAYER_BYTES: u64 = 120;
const PASS_BYTES: u64 = 64;
const PRECINCT_BYTES: u64 = 250;
/// Bytes for each precinct and layer: its place in a progression.
const PACKET_BYTES: u64 = 80;
/// Bytes for each sample: its value, its coefficient, and two steps of the wavelet transform.
const SAMPLE_BYTES: u64 = 20;
/// Coding passes of 32 bit planes, the largest number that decoders support.
const MOST_PASSES: u64 = 94;
const MOST_PLANES: u64 = 32;

type Parsed<T> = Result<T, String>;

/// A big-endian reader of one marker segment.
struct Segment<'a>(&'a [u8]);

impl Segment<'_> {
    fn take<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or("a marker segment is truncated")?;
        self.0 = rest;
        Ok(*first)
    }

    fn byte(&mut self) -> Parsed<u8> {
        self.take().map(u8::from_be_bytes)
    }

    fn short(&mut self) -> Parsed<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn long(&mut self) -> Parsed<u64> {
        self.take().map(|bytes| u64::from(u32::from_be_bytes(bytes)))
    }

    /// Skips the index of a component, whose width depends on their number.
    fn component(&mut self, components: usize) -> Parsed<()> {
        if components < 257 { self.byte().map(|_| ()) } else { self.short().map(|_| ()) }
    }
}

/// The parts of SIZ (A.5.1).
struct Sizes {
    columns: u64,
    rows: u64,
    tile: [u64; 2],
    tiles: u64,
    components: Vec<(u8, bool)>,
}

impl Sizes {
    fn read(mut siz: Segment<'_>) -> Parsed<Self> {
        siz.short()?;
        let [x, y, x0, y0] = [siz.long()?, siz.long()?, siz.long()?, siz.long()?];
        let (tile_x, tile_y) = (siz.long()?, siz.long()?);
        let offsets = [siz.long()?, siz.long()?];
        let count = siz.short()?;
        if x <= x0 || y <= y0 || tile_x == 0 || tile_y == 0 || offsets[0] > x0 || offsets[1] > y0 {
            return Err("an empty image or tile".into());
        }
        let mut components = Vec::new();
        for _ in 0..count {
            let [bits, dx, dy] = siz.take()?;
            if (dx, dy) != (1, 1) {
                return Err("subsampled components are not supported".into());
            }
            components.push(((bits & 0x7F) + 1, bits & 0x80 != 0));
        }
        let (columns, rows) = (x - x0, y - y0);
        let tiles = (x - offsets[0]).div_ceil(tile_x).saturating_mul((y - offsets[1]).div_ceil(tile_y));
        Ok(Self { columns, rows, tile: [tile_x.min(columns), tile_y.min(rows)], tiles, components })
    }
}

/// The largest values that any header of the codestream states.
#[derive(Debug, Default)]
struct Most {
    layers: u64,
    /// Code-blocks of one component of one tile.
    blocks: u64,
    /// Precincts, counted in every sub-band.
    precincts: u64,
    /// Whether a coding pass may end its own segment.
    segments: bool,
    planes: u64,
    shift: u64,
}

impl Most {
    fn read(&mut self, code: u16, mut segment: Segment<'_>, sizes: &Sizes) -> Parsed<()> {
        let components = sizes.components.len();
        match code {
            marker::COD => {
                let style = segment.byte()?;
                segment.byte()?;
                self.layers = self.layers.max(u64::from(segment.short()?));
                segment.byte()?;
                self.coding(segment, style, sizes.tile)
            }
            marker::COC => {
                segment.component(components)?;
                let style = segment.byte()?;
                self.coding(segment, style, sizes.tile)
            }
            marker::QCD => self.quantisation(segment),
            marker::QCC => {
                segment.component(components)?;
                self.quantisation(segment)
            }
            marker::RGN => {
                segment.component(components)?;
                segment.byte()?;
                self.shift = self.shift.max(u64::from(segment.byte()?));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts the code-blocks and precincts of one component of one tile (B.5 to B.7), rounded up.
    fn coding(&mut self, mut segment: Segment<'_>, style: u8, tile: [u64; 2]) -> Parsed<()> {
        let levels = u64::from(segment.byte()?);
        let block = [segment.byte()?, segment.byte()?].map(|exponent| u64::from(exponent & 0xF) + 2);
        // Bypassed and terminated passes (Table A.19).
        self.segments |= segment.byte()? & 0b101 != 0;
        segment.byte()?;
        if levels > 32 {
            return Err(format!("{levels} decomposition levels, expected at most 32"));
        }
        let (mut blocks, mut precincts) = (0_u64, 0_u64);
        for resolution in 0..=levels {
            let exponents = if style & 1 == 0 { 0xFF } else { segment.byte()? };
            let exponents = [exponents & 0xF, exponents >> 4].map(u64::from);
            let bands = if resolution == 0 { 1 } else { 3 };
            // Above resolution 0, a precinct covers half as many samples of each sub-band along each axis.
            let halving = u64::from(resolution > 0);
            let sides = [0, 1].map(|axis| {
                let samples = tile[axis].div_ceil(1 << (levels - resolution));
                let precinct = exponents[axis];
                let in_band = precinct.saturating_sub(halving);
                // One more, because the tile may not begin on the grid.
                let grid = |samples: u64, exponent: u64| samples.div_ceil(1 << exponent) + 1;
                (grid(samples, precinct), grid(samples.div_ceil(1 << halving), block[axis].min(in_band)))
            });
            precincts = precincts.saturating_add(bands * sides[0].0.saturating_mul(sides[1].0));
            blocks = blocks.saturating_add(bands * sides[0].1.saturating_mul(sides[1].1));
        }
        self.blocks = self.blocks.max(blocks);
        self.precincts = self.precincts.max(precincts);
        Ok(())
    }

    /// Updates the largest number of bit planes of a sub-band (Equation E-2).
    fn quantisation(&mut self, mut segment: Segment<'_>) -> Parsed<()> {
        let style = segment.byte()?;
        let guard = u64::from(style >> 5);
        let mut most = 0;
        // Without quantisation, a sub-band has one byte; otherwise two, with a mantissa. The upper five bits are the exponent.
        let step = match style & 0x1F {
            0 => 1,
            _ => 2,
        };
        for bytes in segment.0.chunks_exact(step) {
            most = most.max(u64::from(bytes[0] >> 3));
        }
        self.planes = self.planes.max((guard + most).saturating_sub(1));
        Ok(())
    }
}

impl Announced {
    /// Reads the main header and the headers of all tile-parts.
    pub(super) fn read(codestream: &[u8]) -> Parsed<Self> {
        let mut walk = Walk { codestream, at: 2 };
        let Next::Segment(_, siz) = walk.next()? else { return Err("no SIZ marker".into()) };
        let sizes = Sizes::read(siz)?;
        let mut most = Most::default();
        // End of the current tile-part; `None` in the main header.
        let mut part_end = None;
        loop {
            let begin = walk.at;
            match walk.next()? {
                Next::Segment(marker::SOT, mut sot) => {
                    sot.short()?;
                    let length = sot.long()? as usize;
                    let end = if length == 0 { codestream.len() } else { begin.saturating_add(length) };
                    part_end = Some(end.max(walk.at));
                }
                Next::Segment(code, segment) => most.read(code, segment, &sizes)?,
                Next::Bare(marker::SOD) => match part_end.take() {
                    Some(end) => walk.at = end,
                    None => return Err("an SOD marker without a tile-part".into()),
                },
                Next::Bare(marker::EOC) | Next::End => break,
                Next::Bare(_) => {}
            }
        }
        Ok(Self::of(sizes, &most))
    }

    fn of(sizes: Sizes, most: &Most) -> Self {
        let components = sizes.components.len() as u64;
        let samples = sizes.columns.saturating_mul(sizes.rows).saturating_mul(components);
        let passes = if most.segments { MOST_PASSES * PASS_BYTES } else { 0 };
        let block = BLOCK_BYTES + most.layers * LAYER_BYTES + passes;
        let precinct = PRECINCT_BYTES + most.layers * PACKET_BYTES;
        let parts = most.blocks.saturating_mul(block).saturating_add(most.precincts.saturating_mul(precinct));
        let bytes = samples.saturating_mul(SAMPLE_BYTES).saturating_add(parts.saturating_mul(components));
        let planes = (most.planes + most.shift).min(MOST_PLANES);
        Self {
            columns: sizes.columns,
            rows: sizes.rows,
            components: sizes.components,
            tiles: sizes.tiles,
            bytes,
            bits: samples.saturating_mul(planes),
        }
    }
}

/// Iterates over the markers.
struct Walk<'a> {
    codestream: &'a [u8],
    at: usize,
}

enum Next<'a> {
    Segment(u16, Segment<'a>),
    /// A marker without a segment.
    Bare(u16),
    End,
}

impl<'a> Walk<'a> {
    fn next(&mut self) -> Parsed<Next<'a>> {
        let rest = self.codestream.get(self.at..).unwrap_or_default();
        let Some((code, rest)) = rest.split_first_chunk::<2>() else { return Ok(Next::End) };
        let code = u16::from_be_bytes(*code);
        if matches!(code, 0xFF30..=0xFF3F | marker::SOD | marker::EOC) {
            self.at += 2;
            return Ok(Next::Bare(code));
        }
        let cut = || format!("the marker {code:04X} is truncated");
        let length = rest.first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let value = rest.get(2..length).ok_or_else(cut)?;
        self.at += 2 + length;
        Ok(Next::Segment(code, Segment(value)))
    }
}
