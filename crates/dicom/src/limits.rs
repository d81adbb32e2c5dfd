//! Limits on what a file may cost: memory, frames, nesting.

/// Bounds on what a file may state about itself. A file that exceeds one of them gives an error that names the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most memory that one open object and the frame being decoded may take, in bytes; also the largest size that a deflated
    /// data set may inflate to.
    pub max_bytes: u64,
    /// Most bytes of header (everything except pixel data) that are kept in memory.
    pub max_header_bytes: u64,
    /// Most data elements in one header.
    pub max_elements: usize,
    /// Deepest nesting of sequences.
    pub max_depth: usize,
    /// Most frames in one object, and most fragments in its pixel data.
    pub max_frames: u32,
    /// Most pixels in one frame.
    pub max_frame_pixels: u64,
    /// Most bits that one JPEG 2000 frame may code: its samples times the bit planes that its headers state. It bounds the
    /// decoding time of a frame, whatever its codestream contains.
    pub max_coded_bits: u64,
}

impl Default for Limits {
    /// 2 GB of memory, 256 MiB and two million elements of header, 64 levels, 200,000 frames, 50 million pixels per frame,
    /// 600 million coded bits (40 million pixels of 12 bits, coded without loss).
    fn default() -> Self {
        Self {
            max_bytes: 2_000_000_000,
            max_header_bytes: 256 << 20,
            max_elements: 2_000_000,
            max_depth: 64,
            max_frames: 200_000,
            max_frame_pixels: 50_000_000,
            max_coded_bits: 600_000_000,
        }
    }
}
