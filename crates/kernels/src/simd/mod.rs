//! Three implementations of sixteen-lane vectors with one trait, and the choice between them at run time.
//!
//! Every level uses vectors of sixteen `f32`: one register with AVX-512, two with AVX2, four with SSE2 or NEON. Kernels are
//! written once, generic over [`Simd`], and are compiled once per level inside a function that enables the target features of
//! the level ([`Level::dispatch`]). The order of operations is the same at every level, so AVX-512 and AVX2 agree to the last
//! bit; the portable level rounds products before it adds them.

use crate::element::{Bf16, Element};
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

/// The number of the highest level that [`Level::best`] returns.
static LIMIT: AtomicU8 = AtomicU8::new(u8::MAX);

/// The number of lanes of a vector, the same at every level.
pub(crate) const LANES: usize = 16;

/// A set of vector instructions that this processor supports.
///
/// Only [`Level::best`] and [`Level::available`] create values, after detection, so a value proves that the instructions
/// exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

/// Whether multiplications may use `bf16` instructions.
type HasBf16 = bool;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(HasBf16),
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Level {
    /// The fastest level of this processor, within the [limit](Self::limit).
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let limit = LIMIT.load(Ordering::Relaxed);
            if limit >= 2 && has_avx512() {
                return Self(Kind::Avx512(limit >= 3 && has_bf16()));
            }
            if limit >= 1 && has_avx2() {
                return Self(Kind::Avx2);
            }
        }
        Self(Kind::Portable)
    }

    /// Lets [`best`](Self::best) return levels up to this [number](Self::number) alone, in the whole process. Machines that compute one
    /// thing together agree on the least of their numbers.
    pub fn limit(number: u8) {
        LIMIT.store(number, Ordering::Relaxed);
    }

    /// A number that grows with the instructions of a level.
    pub fn number(self) -> u8 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(has_bf16) => 2 + u8::from(has_bf16),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 1,
            Kind::Portable => 0,
        }
    }

    /// Every level that this processor can run, fastest first; the portable one is always among them.
    pub fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx512() {
                levels.push(Self(Kind::Avx512(has_bf16())));
            }
            if has_avx2() {
                levels.push(Self(Kind::Avx2));
            }
        }
        levels.push(Self(Kind::Portable));
        levels
    }

    /// A short name for logs: `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }

    /// Runs `kernel` compiled for this level.
    #[inline]
    pub(crate) fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: a `Level` of this kind exists only where `has_avx512` held.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => unsafe { avx512::run(kernel) },
            // SAFETY: a `Level` of this kind exists only where `has_avx2` held.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2::run(kernel) },
            Kind::Portable => kernel.run(portable::Portable),
        }
    }

    /// Whether this level has instructions for products of [`Bf16`](crate::Bf16). Without them the products are emulated:
    /// correct, but slower than `f32`.
    pub fn has_bf16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(has_bf16) => has_bf16,
            _ => false,
        }
    }

    /// As [`dispatch`](Self::dispatch), for kernels that multiply pairs of `bf16`.
    #[inline]
    pub(crate) fn dispatch_bf16<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: `has_avx512` and `has_bf16` held.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(true) => unsafe { avx512::run_bf16(kernel) },
            // SAFETY: `has_avx2` held, or `has_avx512`, which also requires AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(false) | Kind::Avx2 => unsafe { avx2::run(kernel) },
            Kind::Portable => kernel.run(portable::Portable),
        }
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::best()
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
}

#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    is_x86_feature_detected!("avx512bf16")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Work that is compiled once per level. Implementations mark `run` with `#[inline(always)]`, so that it is inlined into the
/// function that enables the target features.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;
    /// Does the work with the vectors of `s`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Vectors of sixteen `f32`. A value of the type proves that the instructions exist.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen `f32`.
    type V: Copy;
    /// Whether the registers can hold tiles of several strips (32 registers of 16 lanes).
    const WIDE: bool;
    /// The number of rows of a register tile that is one strip wide.
    const ROWS: usize;

    /// A vector whose lanes are all `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Reads sixteen values. `p` need not be aligned.
    ///
    /// # Safety
    /// `p` is valid for reading 16 `f32`.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Writes sixteen values.
    ///
    /// # Safety
    /// `p` is valid for writing 16 `f32`.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Reads the first `lanes` values; the other lanes are zero. `p` need not be aligned.
    ///
    /// # Safety
    /// `p` is valid for reading `lanes` values, and `lanes` is at most 16.
    unsafe fn load_partial(self, p: *const f32, lanes: usize) -> Self::V;
    /// Writes the first `lanes` values.
    ///
    /// # Safety
    /// `p` is valid for writing `lanes` values, and `lanes` is at most 16.
    unsafe fn store_partial(self, p: *mut f32, v: Self::V, lanes: usize);
    /// Reads sixteen `bf16`.
    ///
    /// # Safety
    /// `p` is valid for reading 16 `bf16`.
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const Bf16) -> Self::V {
        // SAFETY: the caller guarantees 16 values.
        let x = unsafe { p.cast::<[Bf16; LANES]>().read_unaligned() };
        let x = x.map(<Bf16 as Element>::to_f32);
        // SAFETY: `x` holds 16 values.
        unsafe { self.load(x.as_ptr()) }
    }
    /// Writes sixteen values rounded to the nearest `bf16`, ties to even.
    ///
    /// # Safety
    /// `p` is valid for writing 16 `bf16`.
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut Bf16, v: Self::V) {
        let rounded = self.to_array(v).map(<Bf16 as Element>::from_f32);
        // SAFETY: the caller guarantees 16 values.
        unsafe { p.cast::<[Bf16; LANES]>().write_unaligned(rounded) };
    }
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a b + c, fused if the level has such an instruction
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `acc` plus both products of the `bf16` pair of each lane. It is fast only with the instructions of
    /// [`Level::dispatch_bf16`].
    #[inline(always)]
    fn dot_bf16(self, a: Self::V, b: Self::V, acc: Self::V) -> Self::V {
        let acc = self.fma(self.upper(a), self.upper(b), acc);
        self.fma(self.lower(a), self.lower(b), acc)
    }
    /// The upper `bf16` of each lane as `f32`.
    fn upper(self, a: Self::V) -> Self::V;
    /// The lower `bf16` of each lane as `f32`.
    fn lower(self, a: Self::V) -> Self::V;
    /// The larger value; `b` if either is not a number.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller value; `b` if either is not a number.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The square root.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// 2^n for integer n from -126 to 127.
    fn pow2(self, n: Self::V) -> Self::V;

    /// Lane j of vector i of the result is lane i of vector j.
    #[inline(always)]
    fn transpose(self, v: [Self::V; LANES]) -> [Self::V; LANES] {
        let mut lanes = [[0.0; LANES]; LANES];
        for (row, v) in v.into_iter().enumerate() {
            for (lane, value) in self.to_array(v).into_iter().enumerate() {
                lanes[lane][row] = value;
            }
        }
        let mut turned = v;
        for (turned, lane) in turned.iter_mut().zip(&lanes) {
            *turned = self.read(lane);
        }
        turned
    }

    /// The lanes as an array.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [f32; LANES] {
        let mut a = [0.0; LANES];
        // SAFETY: `a` holds 16 values.
        unsafe { self.store(a.as_mut_ptr(), v) };
        a
    }

    /// Reads the vector at the start of `x`; if the slice has fewer than 16 values, the other lanes are zero.
    #[inline(always)]
    fn read(self, x: &[f32]) -> Self::V {
        if x.len() >= LANES {
            // SAFETY: the slice holds at least 16 values.
            unsafe { self.load(x.as_ptr()) }
        } else {
            // SAFETY: the slice holds `x.len()` values, fewer than 16.
            unsafe { self.load_partial(x.as_ptr(), x.len()) }
        }
    }

    /// Writes the vector, or as much of it as fits, to the start of `y`.
    #[inline(always)]
    fn write(self, y: &mut [f32], v: Self::V) {
        if y.len() >= LANES {
            // SAFETY: the slice holds at least 16 values.
            unsafe { self.store(y.as_mut_ptr(), v) };
        } else {
            // SAFETY: the slice holds `y.len()` values, fewer than 16.
            unsafe { self.store_partial(y.as_mut_ptr(), v, y.len()) };
        }
    }

    /// The sum of the lanes: the upper half is added to the lower half until one lane is left, at every level.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut a = self.to_array(v);
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                a[i] += a[i + width];
            }
            width /= 2;
        }
        a[0]
    }
}

/// Adding and then subtracting this constant rounds an `f32` below 2^22 to the nearest integer.
pub(crate) const ROUND: f32 = 12_582_912.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_exchange_rows_and_lanes() {
        struct Turned([[f32; LANES]; LANES]);
        impl Kernel for Turned {
            type Output = [[f32; LANES]; LANES];
            #[inline(always)]
            fn run<S: Simd>(self, s: S) -> Self::Output {
                s.transpose(self.0.map(|row| s.read(&row))).map(|v| s.to_array(v))
            }
        }
        let value = |row: usize, lane: usize| (row * LANES + lane) as f32;
        let rows = std::array::from_fn(|row| std::array::from_fn(|lane| value(row, lane)));
        let expected: [[f32; LANES]; LANES] = std::array::from_fn(|row| std::array::from_fn(|lane| value(lane, row)));
        for level in Level::available() {
            assert_eq!(level.dispatch(Turned(rows)), expected, "{}", level.name());
        }
    }
}
