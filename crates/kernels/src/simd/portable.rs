//! The portable level: arrays of sixteen values that the compiler vectorises with the instructions of the target (SSE2, NEON or
//! others).

use super::{LANES, ROUND, Simd};

/// The level that every processor supports.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

type V = [f32; LANES];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type V = V;
    const WIDE: bool = false;
    // A vector takes four registers: sixteen registers hold two rows in addition to the weights, thirty-two hold four.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 4 } else { 2 };

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: the caller guarantees 16 values.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: the caller guarantees 16 values.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, lanes: usize) -> V {
        let mut v = [0.0; LANES];
        // As bytes, because two `Bf16` that are read as one `f32` need not be aligned as an `f32`.
        // SAFETY: the caller guarantees `lanes` values, at most 16.
        unsafe { p.cast::<u8>().copy_to_nonoverlapping(v.as_mut_ptr().cast(), lanes * size_of::<f32>()) };
        v
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: V, lanes: usize) {
        // SAFETY: the caller guarantees `lanes` values, at most 16.
        unsafe { p.copy_from_nonoverlapping(v.as_ptr(), lanes) };
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // Where the target has no fused instruction, `mul_add` would call a slow library routine.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    fn upper(self, a: V) -> V {
        a.map(|a| f32::from_bits(a.to_bits() & 0xffff_0000))
    }
    #[inline(always)]
    fn lower(self, a: V) -> V {
        a.map(|a| f32::from_bits(a.to_bits() << 16))
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        n.map(|n| f32::from_bits(((n + ROUND).to_bits() << 23).wrapping_add(0x3F80_0000)))
    }
}
