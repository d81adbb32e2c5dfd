//! One named array, and the number types that arrays are stored in.

use half::{bf16, f16};
use std::collections::BTreeMap;

/// An array in f32, converted from its stored type.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, slowest axis first; empty for a single number.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// Arrays by name.
pub type StateDict = BTreeMap<String, Array>;

/// The type that numbers are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE double.
    F64,
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16.
    Bf16,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl Dtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The little-endian number at the start of `bytes`, which has at least [`size`](Self::size) bytes. Numbers that f32
    /// cannot represent are rounded.
    fn number(self, bytes: &[u8]) -> f32 {
        let two = || [bytes[0], bytes[1]];
        let four = || [bytes[0], bytes[1], bytes[2], bytes[3]];
        let eight = || [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]];
        match self {
            Self::F64 => f64::from_le_bytes(eight()) as f32,
            Self::F32 => f32::from_le_bytes(four()),
            Self::F16 => f16::from_le_bytes(two()).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(two()).to_f32(),
            Self::I64 => i64::from_le_bytes(eight()) as f32,
            Self::I32 => i32::from_le_bytes(four()) as f32,
            Self::I16 => f32::from(i16::from_le_bytes(two())),
            Self::I8 => f32::from(i8::from_le_bytes([bytes[0]])),
            Self::U8 => f32::from(bytes[0]),
            Self::Bool => f32::from(u8::from(bytes[0] != 0)),
        }
    }

    /// Converts consecutive numbers.
    pub(crate) fn numbers(self, bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(self.size()).map(|chunk| self.number(chunk)).collect()
    }
}

/// The places of an array's numbers in a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strided {
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

impl Strided {
    /// Number of values; `None` if it overflows.
    pub(crate) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
    }

    /// The index after the last number that is read; `None` if it overflows.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(self.offset);
        }
        let axes = self.shape.iter().zip(&self.strides);
        let last = axes.map(|(&size, &stride)| (size - 1).checked_mul(stride));
        last.chain([Some(1)]).try_fold(self.offset, |end, step| end.checked_add(step?))
    }

    /// Reads the array in row-major order. An array that reaches beyond `bytes`, or that has more values than `bytes` (which is
    /// possible only by repetition), gives an error.
    pub(crate) fn read(&self, bytes: &[u8], dtype: Dtype) -> Result<Array, String> {
        let there = bytes.len() / dtype.size();
        let fits = self.shape.len() == self.strides.len()
            && self.end().is_some_and(|end| end <= there)
            && self.len().is_some_and(|len| len <= there);
        if !fits {
            let Self { offset, shape, strides } = self;
            return Err(format!(
                "a tensor of shape {shape:?}, strides {strides:?} and offset {offset} does not fit in a storage of {there} numbers"
            ));
        }
        let shape = self.shape.clone();
        let len = shape.iter().product::<usize>();
        if self.is_contiguous() {
            let part = &bytes[self.offset * dtype.size()..][..len * dtype.size()];
            return Ok(Array { shape, values: dtype.numbers(part) });
        }
        let mut values = Vec::with_capacity(len);
        let mut at = vec![0; shape.len()];
        let mut index = self.offset;
        while values.len() < len {
            values.push(dtype.number(&bytes[index * dtype.size()..]));
            for axis in (0..shape.len()).rev() {
                at[axis] += 1;
                index += self.strides[axis];
                if at[axis] < shape[axis] {
                    break;
                }
                index -= self.strides[axis] * shape[axis];
                at[axis] = 0;
            }
        }
        Ok(Array { shape, values })
    }

    fn is_contiguous(&self) -> bool {
        let mut step = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let follows = size == 1 || stride == step;
            step *= size;
            follows
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strided(offset: usize, shape: &[usize], strides: &[usize]) -> Strided {
        Strided { offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let bytes: Vec<u8> = (0..12).collect();
        let array = strided(2, &[3, 2], &[1, 4]).read(&bytes, Dtype::U8).unwrap();
        assert_eq!(array.values, [2.0, 6.0, 3.0, 7.0, 4.0, 8.0]);
    }

    #[test]
    fn what_reaches_outside_or_repeats_is_refused() {
        let bytes = [0; 24];
        assert!(strided(0, &[6], &[1]).read(&bytes, Dtype::F32).is_ok());
        assert!(strided(1, &[6], &[1]).read(&bytes, Dtype::F32).is_err());
        assert!(strided(0, &[1 << 40], &[0]).read(&bytes, Dtype::F32).is_err());
        assert!(strided(0, &[usize::MAX, usize::MAX], &[1, 1]).read(&bytes, Dtype::F32).is_err());
        assert!(strided(usize::MAX, &[2], &[usize::MAX]).read(&bytes, Dtype::F32).is_err());
        assert!(strided(0, &[0, 1 << 40], &[1, 1]).read(&bytes, Dtype::F32).unwrap().values.is_empty());
    }

    #[test]
    fn every_type_is_read() {
        let one = |dtype: Dtype, bytes: &[u8]| dtype.numbers(bytes);
        assert_eq!(one(Dtype::F64, &(-1.5_f64).to_le_bytes()), [-1.5]);
        assert_eq!(one(Dtype::F32, &0.1_f32.to_le_bytes()), [0.1]);
        assert_eq!(one(Dtype::F16, &[0x00, 0xc1]), [-2.5]);
        assert_eq!(one(Dtype::Bf16, &[0x20, 0xc0]), [-2.5]);
        assert_eq!(one(Dtype::I64, &(-7_i64).to_le_bytes()), [-7.0]);
        assert_eq!(one(Dtype::I32, &(-7_i32).to_le_bytes()), [-7.0]);
        assert_eq!(one(Dtype::I16, &(-7_i16).to_le_bytes()), [-7.0]);
        assert_eq!(one(Dtype::I8, &[0xff]), [-1.0]);
        assert_eq!(one(Dtype::U8, &[0xff]), [255.0]);
        assert_eq!(one(Dtype::Bool, &[2, 0]), [1.0, 0.0]);
    }

    proptest! {
        /// For any rotation of the axes of a row-major array, reading gives the same values as indexing.
        #[test]
        fn permuted_axes(a in 1_usize..5, b in 1_usize..5, c in 1_usize..5, turn in 0_usize..3) {
            let bytes: Vec<u8> = (0..(a * b * c) as u8).collect();
            let (mut shape, mut strides) = (vec![a, b, c], vec![b * c, c, 1]);
            shape.rotate_left(turn);
            strides.rotate_left(turn);
            let found = Strided { offset: 0, shape: shape.clone(), strides: strides.clone() }.read(&bytes, Dtype::U8).unwrap();
            let mut wanted = Vec::new();
            for i in 0..shape[0] {
                for j in 0..shape[1] {
                    for k in 0..shape[2] {
                        wanted.push(f32::from(bytes[i * strides[0] + j * strides[1] + k * strides[2]]));
                    }
                }
            }
            prop_assert_eq!(found.values, wanted);
        }
    }
}
