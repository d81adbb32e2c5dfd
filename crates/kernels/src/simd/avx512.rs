//! AVX-512: a vector is one register.

use super::{Kernel, LANES, ROUND, Simd};
use crate::element::Bf16;
use std::arch::x86_64::{
    __m512, __m512bh, __mmask16, _CMP_UNORD_Q, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_add_ps, _mm512_and_si512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32, _mm512_div_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_mov_epi32, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps,
    _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps, _mm512_shuffle_f32x4, _mm512_slli_epi32,
    _mm512_sqrt_ps, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use std::mem::transmute;

/// Proof that AVX-512 F, BW, VL and DQ exist, and BF16 if `BF16` is true; only [`run`] and [`run_bf16`] create it.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const BF16: bool>(());

/// Runs `kernel` with AVX-512.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL, DQ, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<false>(()))
}

/// Runs `kernel` with AVX-512 and its BF16 products.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL, DQ and BF16, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
pub(super) unsafe fn run_bf16<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<true>(()))
}

/// A mask of the first `lanes` lanes.
#[inline(always)]
fn mask(lanes: usize) -> __mmask16 {
    ((1_u32 << lanes) - 1) as __mmask16
}

impl<const BF16: bool> Simd for Avx512<BF16> {
    type V = __m512;
    const WIDE: bool = true;
    const ROWS: usize = 12;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: `self` proves that the instructions exist; the caller guarantees 16 values.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: `self` proves that the instructions exist; the caller guarantees 16 values.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, lanes: usize) -> __m512 {
        // SAFETY: `self` proves that the instructions exist; masked lanes are not touched.
        unsafe { _mm512_maskz_loadu_ps(mask(lanes), p) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: __m512, lanes: usize) {
        // SAFETY: `self` proves that the instructions exist; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(p, mask(lanes), v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const Bf16) -> __m512 {
        // SAFETY: `self` proves that the instructions exist; the caller guarantees 16 values.
        unsafe {
            let x = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(x))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut Bf16, v: __m512) {
        // The rounding instruction would flush the smallest numbers to zero, so this is `Bf16::from_f32` lane by lane.
        // SAFETY: `self` proves that the instructions exist; the caller guarantees 16 values.
        unsafe {
            let bits = _mm512_castps_si512(v);
            let upper = _mm512_srli_epi32::<16>(bits);
            let tie = _mm512_and_si512(upper, _mm512_set1_epi32(1));
            let sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), tie);
            let nan = _mm512_or_si512(upper, _mm512_set1_epi32(0x40));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
            let rounded = _mm512_mask_mov_epi32(_mm512_srli_epi32::<16>(sum), is_nan, nan);
            _mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(rounded));
        }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn dot_bf16(self, a: __m512, b: __m512, acc: __m512) -> __m512 {
        if BF16 {
            // SAFETY: `self` proves that the instructions exist; both types are 512 bits without invalid values.
            unsafe { _mm512_dpbf16_ps(acc, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b)) }
        } else {
            self.fma(self.lower(a), self.lower(b), self.fma(self.upper(a), self.upper(b), acc))
        }
    }
    #[inline(always)]
    fn transpose(self, v: [__m512; LANES]) -> [__m512; LANES] {
        // Within each quarter of a vector, four rows and four lanes are exchanged.
        let a = four(v[0], v[1], v[2], v[3]);
        let b = four(v[4], v[5], v[6], v[7]);
        let c = four(v[8], v[9], v[10], v[11]);
        let d = four(v[12], v[13], v[14], v[15]);
        // Then the quarters are exchanged with the groups of four rows.
        let e = quarters(a[0], b[0], c[0], d[0]);
        let f = quarters(a[1], b[1], c[1], d[1]);
        let g = quarters(a[2], b[2], c[2], d[2]);
        let h = quarters(a[3], b[3], c[3], d[3]);
        [e[0], f[0], g[0], h[0], e[1], f[1], g[1], h[1], e[2], f[2], g[2], h[2], e[3], f[3], g[3], h[3]]
    }
    #[inline(always)]
    fn upper(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_srli_epi32::<16>(_mm512_castps_si512(a)))) }
    }
    #[inline(always)]
    fn lower(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(a))) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn pow2(self, n: __m512) -> __m512 {
        // SAFETY: `self` proves that the instructions exist.
        unsafe {
            let bits = _mm512_castps_si512(_mm512_add_ps(n, _mm512_set1_ps(ROUND)));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32::<23>(bits), _mm512_set1_epi32(0x3F80_0000)))
        }
    }
}

/// Exchanges four vectors with four lanes, within each quarter of a vector.
#[inline(always)]
fn four(a: __m512, b: __m512, c: __m512, d: __m512) -> [__m512; 4] {
    // SAFETY: only methods of `Avx512` call this; its value proves that the instructions exist.
    unsafe {
        let ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        let ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        let cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        let cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}

/// Exchanges four vectors with the four quarters of a vector.
#[inline(always)]
fn quarters(a: __m512, b: __m512, c: __m512, d: __m512) -> [__m512; 4] {
    // SAFETY: only methods of `Avx512` call this; its value proves that the instructions exist.
    unsafe {
        let ab = _mm512_shuffle_f32x4::<0x44>(a, b);
        let ab_high = _mm512_shuffle_f32x4::<0xee>(a, b);
        let cd = _mm512_shuffle_f32x4::<0x44>(c, d);
        let cd_high = _mm512_shuffle_f32x4::<0xee>(c, d);
        [
            _mm512_shuffle_f32x4::<0x88>(ab, cd),
            _mm512_shuffle_f32x4::<0xdd>(ab, cd),
            _mm512_shuffle_f32x4::<0x88>(ab_high, cd_high),
            _mm512_shuffle_f32x4::<0xdd>(ab_high, cd_high),
        ]
    }
}
