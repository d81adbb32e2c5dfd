//! AVX2 and FMA: a vector is two registers of eight lanes.

use super::{Kernel, LANES, ROUND, Simd};
use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_epi32, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setr_epi32, _mm256_slli_epi32, _mm256_sqrt_ps, _mm256_srli_epi32, _mm256_storeu_ps,
    _mm256_sub_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};

/// Proof that AVX2 and FMA exist; only [`run`] creates it.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Runs `kernel` with AVX2 and FMA.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

type V = [__m256; 2];

/// Masks of the first `lanes` of sixteen lanes, eight at a time.
#[inline(always)]
fn masks(lanes: usize) -> [__m256i; 2] {
    // SAFETY: only methods of `Avx2` call this; its value proves that the instructions exist.
    unsafe {
        let n = _mm256_set1_epi32(lanes as i32);
        let low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
        [_mm256_cmpgt_epi32(n, low), _mm256_cmpgt_epi32(n, high)]
    }
}

impl Simd for Avx2 {
    type V = V;
    const WIDE: bool = false;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: `self` proves that the instructions exist; the caller guarantees 16 values.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: `self` proves that the instructions exist; the caller guarantees 16 values.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, lanes: usize) -> V {
        let m = masks(lanes);
        // SAFETY: `self` proves that the instructions exist; masked lanes are not touched.
        unsafe { [_mm256_maskload_ps(p, m[0]), _mm256_maskload_ps(p.wrapping_add(8), m[1])] }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: V, lanes: usize) {
        let m = masks(lanes);
        // SAFETY: `self` proves that the instructions exist; masked lanes are not touched.
        unsafe {
            _mm256_maskstore_ps(p, m[0], v[0]);
            _mm256_maskstore_ps(p.wrapping_add(8), m[1], v[1]);
        }
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn transpose(self, v: [V; LANES]) -> [V; LANES] {
        let mut turned = v;
        for half in 0..2 {
            let a =
                eight(v[0][half], v[1][half], v[2][half], v[3][half], v[4][half], v[5][half], v[6][half], v[7][half]);
            let b = eight(
                v[8][half],
                v[9][half],
                v[10][half],
                v[11][half],
                v[12][half],
                v[13][half],
                v[14][half],
                v[15][half],
            );
            for lane in 0..8 {
                turned[8 * half + lane] = [a[lane], b[lane]];
            }
        }
        turned
    }
    #[inline(always)]
    fn upper(self, a: V) -> V {
        [upper(a[0]), upper(a[1])]
    }
    #[inline(always)]
    fn lower(self, a: V) -> V {
        [lower(a[0]), lower(a[1])]
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])] }
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        [pow2(n[0]), pow2(n[1])]
    }
}

/// Exchanges eight vectors with their lanes.
#[expect(clippy::too_many_arguments, reason = "an array would be in memory and not in registers")]
#[inline(always)]
fn eight(a: __m256, b: __m256, c: __m256, d: __m256, e: __m256, f: __m256, g: __m256, h: __m256) -> [__m256; 8] {
    // Within each half of a vector, four rows and four lanes are exchanged, then the halves with the groups of rows.
    let (a, b) = (four(a, b, c, d), four(e, f, g, h));
    // SAFETY: only methods of `Avx2` call this; its value proves that the instructions exist.
    unsafe {
        [
            _mm256_permute2f128_ps::<0x20>(a[0], b[0]),
            _mm256_permute2f128_ps::<0x20>(a[1], b[1]),
            _mm256_permute2f128_ps::<0x20>(a[2], b[2]),
            _mm256_permute2f128_ps::<0x20>(a[3], b[3]),
            _mm256_permute2f128_ps::<0x31>(a[0], b[0]),
            _mm256_permute2f128_ps::<0x31>(a[1], b[1]),
            _mm256_permute2f128_ps::<0x31>(a[2], b[2]),
            _mm256_permute2f128_ps::<0x31>(a[3], b[3]),
        ]
    }
}

/// Exchanges four vectors with four lanes, within each half of a vector.
#[inline(always)]
fn four(a: __m256, b: __m256, c: __m256, d: __m256) -> [__m256; 4] {
    // SAFETY: only methods of `Avx2` call this; its value proves that the instructions exist.
    unsafe {
        let ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        let ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        let cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        let cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)),
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}

/// 2^n for integer n, eight lanes.
#[inline(always)]
fn pow2(n: __m256) -> __m256 {
    // SAFETY: only methods of `Avx2` call this; its value proves that the instructions exist.
    unsafe {
        let bits = _mm256_castps_si256(_mm256_add_ps(n, _mm256_set1_ps(ROUND)));
        _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32::<23>(bits), _mm256_set1_epi32(0x3F80_0000)))
    }
}

/// The upper `bf16` of each lane as `f32`.
#[inline(always)]
fn upper(a: __m256) -> __m256 {
    // SAFETY: only methods of `Avx2` call this; its value proves that the instructions exist.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_srli_epi32::<16>(_mm256_castps_si256(a)))) }
}

/// The lower `bf16` of each lane as `f32`.
#[inline(always)]
fn lower(a: __m256) -> __m256 {
    // SAFETY: only methods of `Avx2` call this; its value proves that the instructions exist.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(a))) }
}
