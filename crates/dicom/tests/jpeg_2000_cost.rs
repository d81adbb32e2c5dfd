//! The cost of a JPEG 2000 frame: the codestreams here are as expensive as their headers allow.

mod common;

use std::path::Path;

use common::{JPEG_2000, Pixels};
use pig_dicom::{Error, Image, Limits};

/// Bits of a packet header: a byte 0xFF is followed by a bit 0 (ITU-T T.800 B.10.1).
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    last: u8,
    free: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.free == 0 {
                self.free = if self.bytes.last() == Some(&0xFF) { 7 } else { 8 };
                self.bytes.push(0);
            }
            self.free -= 1;
            self.last = (value >> bit & 1) as u8;
            if let Some(byte) = self.bytes.last_mut() {
                *byte |= self.last << self.free;
            }
        }
    }

    /// Writes a leaf of a tag tree whose values are all 0: a 1 for every node that no earlier leaf needed (B.10.2).
    fn leaf(&mut self, seen: &mut std::collections::HashSet<(u32, u32, u32)>, side: u32, x: u32, y: u32) {
        for level in (0..=side.next_power_of_two().ilog2()).rev() {
            if seen.insert((level, x >> level, y >> level)) {
                self.put(1, 1);
            }
        }
    }
}

/// The numbers that decide the cost of a codestream.
#[derive(Clone, Copy)]
struct Dear {
    /// Code-blocks of 64 x 64 along each side.
    blocks: u32,
    /// Coding passes of each code-block, and the bytes that they read.
    passes: u32,
    block_bytes: usize,
    layers: u16,
    /// Exponent of the code-block's sides minus 2, and exponent of the precinct's sides.
    block: u8,
    precinct: Option<u8>,
}

impl Dear {
    /// 16 bits, without loss or transform; seven guard bits and an exponent of 25 give 31 bit planes.
    fn codestream(self) -> Vec<u8> {
        let side = 64 * self.blocks;
        let mut stream = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
        stream.extend([side, side, 0, 0, side, side, 0, 0].iter().flat_map(|size| size.to_be_bytes()));
        stream.extend([0, 1, 15, 1, 1]);
        let precinct: &[u8] = &self.precinct.map_or(vec![], |exponent| vec![exponent * 0x11]);
        stream.extend([0xFF, 0x52, 0, 12 + precinct.len() as u8, precinct.len() as u8, 0]);
        stream.extend(self.layers.to_be_bytes());
        stream.extend([0, 0, self.block, self.block, 0, 1]);
        stream.extend(precinct);
        stream.extend([0xFF, 0x5C, 0, 4, 7 << 5, 25 << 3]);
        let data = self.packet();
        stream.extend([0xFF, 0x90, 0, 10, 0, 0]);
        stream.extend((data.len() as u32 + 14).to_be_bytes());
        stream.extend([0, 1, 0xFF, 0x93]);
        stream.extend(data);
        stream.extend([0xFF, 0xD9]);
        stream
    }

    fn packet(self) -> Vec<u8> {
        let mut header = Bits::default();
        header.put(1, 1);
        let (mut included, mut planes) = Default::default();
        let (mut body, mut random) = (Vec::new(), 1_u32);
        for y in 0..self.blocks {
            for x in 0..self.blocks {
                header.leaf(&mut included, self.blocks, x, y);
                header.leaf(&mut planes, self.blocks, x, y);
                header.put(0x1FF, 9);
                header.put(self.passes - 37, 7);
                // Bits of the length: 3, plus 17, plus the binary logarithm of the number of passes.
                header.put(0x3FFFE, 18);
                header.put(self.block_bytes as u32, 20 + self.passes.ilog2());
                body.extend((0..self.block_bytes).map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 24) as u8 & 0x7F
                }));
            }
        }
        if header.bytes.last() == Some(&0xFF) {
            header.bytes.push(0);
        }
        [header.bytes, body].concat()
    }

    fn decode(self, limits: &Limits) -> pig_dicom::Result<Vec<f64>> {
        let side = 64 * self.blocks as u16;
        let pixels = Pixels { rows: side, columns: side, stored: 16, high: 15, ..Pixels::default() };
        let file = pixels.compressed(JPEG_2000, &self.codestream());
        Ok(Image::from_bytes(file, Path::new("made.dcm"), limits)?.frame(0)?.stored().iter().collect())
    }
}

const DEAR: Dear = Dear { blocks: 12, passes: 91, block_bytes: 20_000, layers: 1, block: 4, precinct: None };

/// Processor seconds of this thread.
fn computed() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Processor seconds for each coded bit of the dearest frame with that many blocks along a side: the least of three decodings,
/// since what else runs on the machine makes some of them slow.
fn seconds_per_bit(blocks: u32) -> Option<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let before = computed()?;
        let values = Dear { blocks, ..DEAR }.decode(&Limits::default()).unwrap();
        let seconds = computed()? - before;
        let distinct: std::collections::HashSet<u64> = values.iter().map(|value| value.to_bits()).collect();
        assert!(distinct.len() > 100, "expected noise, found {} distinct values", distinct.len());
        least = least.min(seconds / (values.len() as f64 * 31.0));
    }
    Some(least)
}

/// The limit on coded bits bounds the time of a frame only if each bit costs about the same however many there are. How long a
/// bit takes differs by machine, so the test compares frames with each other and prints the time at the limit.
#[test]
fn the_cost_of_the_dearest_frame_grows_with_its_coded_bits() {
    let (Some(few), Some(many)) = (seconds_per_bit(DEAR.blocks), seconds_per_bit(2 * DEAR.blocks)) else {
        pig_testing::skip("the system does not report processor time");
        return;
    };
    println!(
        "{:.1} ns per bit of 18 million, {:.1} of 73 million: {:.1} s at the limit",
        1e9 * few,
        1e9 * many,
        many * Limits::default().max_coded_bits as f64
    );
    // A cost by the square of the bits would make it four times.
    assert!(many < 3.0 * few, "{few} and {many} seconds per bit");
}

#[test]
fn frames_that_code_more_bits_than_allowed_are_refused_by_their_headers() {
    let bits = u64::from(DEAR.blocks * 64).pow(2) * 31;
    let refused = DEAR.decode(&Limits { max_coded_bits: bits - 1, ..Limits::default() });
    assert!(
        matches!(refused, Err(Error::Limit { setting: "max_coded_bits", found, .. }) if found == bits),
        "{refused:?}"
    );
    assert!(DEAR.decode(&Limits { max_coded_bits: bits, ..Limits::default() }).is_ok());
}

#[test]
fn small_blocks_and_precincts_and_many_layers_are_held_against_memory() {
    // The memory for 768 x 768 pixels with code-blocks of 4 x 4 in 30 layers, and with precincts of one pixel.
    let few = Limits { max_bytes: 50_000_000, ..Limits::default() };
    assert!(DEAR.decode(&few).is_ok());
    for dear in [Dear { layers: 30, block: 0, ..DEAR }, Dear { precinct: Some(0), ..DEAR }] {
        let refused = dear.decode(&few);
        assert!(matches!(refused, Err(Error::Limit { setting: "max_bytes", .. })), "{refused:?}");
    }
    // The largest frame that is allowed, without any data: refused at once because of its headers.
    let blocks = 110;
    let dear = Dear { blocks, passes: 37, block_bytes: 0, layers: 30, block: 0, precinct: Some(0) };
    let refused = dear.decode(&Limits { max_coded_bits: u64::MAX, ..Limits::default() });
    assert!(matches!(refused, Err(Error::Limit { setting: "max_bytes", .. })), "{refused:?}");
}
