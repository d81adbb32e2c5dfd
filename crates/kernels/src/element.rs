//! Element types of tensors: `f32`, or `bf16` with sums in `f32`.

use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use std::borrow::Cow;
use std::marker::PhantomData;

/// The upper half of an `f32`: eight bits of exponent, seven bits of fraction. Tensor libraries use the same type.
pub use half::bf16 as Bf16;

#[allow(private_bounds, private_interfaces, reason = "code outside this crate cannot name or call sealed items")]
mod sealed {
    use super::Bf16;
    use crate::simd::Simd;

    pub trait Sealed {
        /// Reads sixteen values from `p` on, as `f32`.
        ///
        /// # Safety
        /// `p` is valid for reading 16 values.
        unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::V;
        /// Writes sixteen values from `p` on, rounded to the type.
        ///
        /// # Safety
        /// `p` is valid for writing 16 values.
        unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::V);
    }

    impl Sealed for f32 {
        #[inline(always)]
        unsafe fn load<S: Simd>(s: S, p: *const f32) -> S::V {
            // SAFETY: the caller guarantees 16 values.
            unsafe { s.load(p) }
        }
        #[inline(always)]
        unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V) {
            // SAFETY: the caller guarantees 16 values.
            unsafe { s.store(p, v) }
        }
    }

    impl Sealed for Bf16 {
        #[inline(always)]
        unsafe fn load<S: Simd>(s: S, p: *const Bf16) -> S::V {
            // SAFETY: the caller guarantees 16 values.
            unsafe { s.load_bf16(p) }
        }
        #[inline(always)]
        unsafe fn store<S: Simd>(s: S, p: *mut Bf16, v: S::V) {
            // SAFETY: the caller guarantees 16 values.
            unsafe { s.store_bf16(p, v) }
        }
    }
}

/// `f32` or [`Bf16`]: the type of the inputs and weights of a convolution or a product. Outputs are always `f32`.
pub trait Element: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// Whether two values share 32 bits, and pairs of values are multiplied and added together.
    const IS_PAIRED: bool;
    /// The nearest value of this type, ties to even.
    fn from_f32(x: f32) -> Self;
    /// The same value as `f32`.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    const IS_PAIRED: bool = false;
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for Bf16 {
    const IS_PAIRED: bool = true;
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        // Rounding could carry the fraction of a NaN into its exponent, so NaN becomes a quiet NaN instead.
        let nan = (bits >> 16) | 0x40;
        Self::from_bits((if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded }) as u16)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// The number of values in 32 bits.
pub(crate) const fn per_unit<E: Element>() -> usize {
    if E::IS_PAIRED { 2 } else { 1 }
}

/// Runs `kernel` with the instructions that elements of type `E` need.
pub(crate) fn dispatch<E: Element, K: Kernel>(level: Level, kernel: K) -> K::Output {
    if E::IS_PAIRED { level.dispatch_bf16(kernel) } else { level.dispatch(kernel) }
}

/// Reads up to sixteen values at the start of `x` as `f32`; missing values are zero.
#[inline(always)]
pub(crate) fn read<E: Element, S: Simd>(s: S, x: &[E]) -> S::V {
    if x.len() >= LANES {
        // SAFETY: the slice holds at least 16 values.
        return unsafe { E::load(s, x.as_ptr()) };
    }
    let mut lanes = [0.0; LANES];
    for (lane, x) in lanes.iter_mut().zip(x) {
        *lane = x.to_f32();
    }
    s.read(&lanes)
}

/// Writes a vector, or as much of it as fits, to the start of `y`; it is rounded if `E` is [`Bf16`].
#[inline(always)]
pub(crate) fn write<E: Element, S: Simd>(s: S, y: &mut [E], v: S::V) {
    if y.len() >= LANES {
        // SAFETY: the slice holds at least 16 values.
        unsafe { E::store(s, y.as_mut_ptr(), v) };
    } else {
        for (y, lane) in y.iter_mut().zip(s.to_array(v)) {
            *y = E::from_f32(lane);
        }
    }
}

/// acc + w x; for pairs, acc plus both products of each pair.
#[inline(always)]
pub(crate) fn multiply_add<E: Element, S: Simd>(s: S, w: S::V, x: S::V, acc: S::V) -> S::V {
    if E::IS_PAIRED { s.dot_bf16(w, x, acc) } else { s.fma(w, x, acc) }
}

/// A tensor seen as 32-bit units: one `f32`, or a pair of `Bf16`. It need not be aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Units<'a> {
    start: *const f32,
    len: usize,
    tensor: PhantomData<&'a [f32]>,
}

// SAFETY: the tensor is borrowed and only read.
unsafe impl Send for Units<'_> {}
// SAFETY: the tensor is borrowed and only read.
unsafe impl Sync for Units<'_> {}

impl<'a> Units<'a> {
    /// The units of `x`; if a last value has no partner, it is omitted.
    pub(crate) fn new<E: Element>(x: &'a [E]) -> Self {
        Self { start: x.as_ptr().cast(), len: x.len() / per_unit::<E>(), tensor: PhantomData }
    }

    /// The first unit.
    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *const f32 {
        self.start
    }

    /// The number of units.
    pub(crate) fn len(self) -> usize {
        self.len
    }
}

/// The tensor, with an even number of channels if elements are paired: an odd number of channels gets one more channel of zeros.
pub(crate) fn whole_units<E: Element>(x: &[E], channels: usize) -> Cow<'_, [E]> {
    let padded = channels.next_multiple_of(per_unit::<E>());
    if padded == channels {
        return Cow::Borrowed(x);
    }
    let mut even = vec![E::default(); x.len() / channels * padded];
    for (even, x) in even.chunks_exact_mut(padded).zip(x.chunks_exact(channels)) {
        even[..channels].copy_from_slice(x);
    }
    Cow::Owned(even)
}

/// Values per job.
const CHUNK: usize = 1 << 15;

/// y = x, rounded to the nearest `Bf16`, ties to even.
///
/// # Panics
/// When the lengths differ.
pub fn to_bf16(level: Level, x: &[f32], y: &mut [Bf16]) {
    assert_eq!(x.len(), y.len(), "length of the output");
    let shared = SharedMut::new(y);
    for_each_job(x.len().div_ceil(CHUNK), x.len(), |job| {
        let x = &x[job * CHUNK..x.len().min((job + 1) * CHUNK)];
        // SAFETY: each job has its own chunk.
        let y = unsafe { shared.slice(job * CHUNK, x.len()) };
        level.dispatch(Convert { x, y });
    });
}

/// y = x, exactly.
///
/// # Panics
/// When the lengths differ.
pub fn from_bf16(level: Level, x: &[Bf16], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "length of the output");
    let shared = SharedMut::new(y);
    for_each_job(x.len().div_ceil(CHUNK), x.len(), |job| {
        let x = &x[job * CHUNK..x.len().min((job + 1) * CHUNK)];
        // SAFETY: each job has its own chunk.
        let y = unsafe { shared.slice(job * CHUNK, x.len()) };
        level.dispatch(Convert { x, y });
    });
}

struct Convert<'a, A, B> {
    x: &'a [A],
    y: &'a mut [B],
}

impl<A: Element, B: Element> Kernel for Convert<'_, A, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, y) in self.x.chunks(LANES).zip(self.y.chunks_mut(LANES)) {
            let v = read(s, x);
            write(s, y, v);
        }
    }
}
