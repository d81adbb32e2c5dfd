//! The bytes of one image or mask.

use serde::{Deserialize, Serialize};

/// How the values of an image are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Code {
    /// One byte a value.
    U8,
    /// Two bytes a value, the lower one first.
    U16,
    /// Four bytes a value, the lowest one first.
    F32,
}

impl Code {
    /// Bytes of a value.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

/// The values of an image in the smallest code that gives exactly these values back.
pub(crate) fn encode(values: &[f32]) -> (Code, Vec<u8>) {
    let is = |back: fn(f32) -> f32| values.iter().all(|&value| back(value).to_bits() == value.to_bits());
    if is(|value| f32::from(value as u8)) {
        (Code::U8, values.iter().map(|&value| value as u8).collect())
    } else if is(|value| f32::from(value as u16)) {
        (Code::U16, values.iter().flat_map(|&value| (value as u16).to_le_bytes()).collect())
    } else {
        (Code::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// The values of bytes that [`encode`] made.
pub(crate) fn decode(code: Code, bytes: &[u8]) -> Vec<f32> {
    match code {
        Code::U8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
        Code::U16 => bytes.as_chunks().0.iter().map(|&two| f32::from(u16::from_le_bytes(two))).collect(),
        Code::F32 => bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
    }
}

/// A mask of -1 (background) and +1 (lesion) as bits, the lowest bit of a byte first.
pub(crate) fn encode_mask(values: &[f32]) -> Vec<u8> {
    let byte = |eight: &[f32]| eight.iter().enumerate().fold(0, |byte, (bit, &v)| byte | u8::from(v > 0.0) << bit);
    values.chunks(8).map(byte).collect()
}

/// The first `count` bits of a mask; true is lesion.
pub(crate) fn decode_mask(bytes: &[u8], count: usize) -> impl Iterator<Item = bool> {
    bytes.iter().flat_map(|&byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_code_that_loses_nothing_is_taken() {
        let cases: [(&[f32], Code); 7] = [
            (&[0.0, 7.0, 255.0], Code::U8),
            (&[0.0, 256.0, 65535.0], Code::U16),
            (&[0.0, 65536.0], Code::F32),
            (&[0.5, 1.0], Code::F32),
            (&[-1.0], Code::F32),
            (&[-0.0], Code::F32),
            (&[f32::NAN, f32::INFINITY, 1e-30], Code::F32),
        ];
        for (values, expected) in cases {
            let (code, bytes) = encode(values);
            assert_eq!((code, bytes.len()), (expected, values.len() * code.size()), "{values:?}");
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&decode(code, &bytes)), bits(values), "{values:?}");
        }
    }

    #[test]
    fn masks_are_bits() {
        for count in [0_usize, 1, 7, 8, 9, 20] {
            let mask: Vec<f32> = (0..count).map(|i| if i * i % 3 == 1 { 1.0 } else { -1.0 }).collect();
            let bytes = encode_mask(&mask);
            assert_eq!(bytes.len(), count.div_ceil(8));
            let back: Vec<f32> = decode_mask(&bytes, count).map(|inside| if inside { 1.0 } else { -1.0 }).collect();
            assert_eq!(back, mask);
        }
        assert_eq!(encode_mask(&[1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0]), [1, 1]);
    }
}
