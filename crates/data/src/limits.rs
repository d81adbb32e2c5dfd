//! How large a picture may be.

/// The greatest number of pixels that a file may have: 2^27, about four times as many as the largest mammograms.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The memory that one decoder may use: twice that of `MAX_PIXELS` pixels with four 16-bit channels.
pub(crate) const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 16;
