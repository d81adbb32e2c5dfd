//! Keyed random numbers and Gaussian fields with a power-law spectrum.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustfft::FftPlannerScalar;
use rustfft::num_complex::Complex32;

use super::slice::View;

/// The exponent of the glandular pattern: power falls as `1 / f^3`.
///
/// Burgess, Jacobson and Judy, "Human observer detection experiments with mammograms and power-law noise",
/// Medical Physics 28, 419-437 (2001): the power spectra of normal mammograms follow `P(f) = K / f^b` with b near 3.
pub const GLANDULAR_EXPONENT: f32 = 3.0;

/// What a stream of random numbers is for; every stream of a patient is independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// The properties that both views share: breast size, density, the mass.
    Anatomy,
    /// The texture and the lines of one view.
    Projection(View),
    /// The cluster of microcalcifications that both views share.
    Cluster,
    /// Its specks in one view.
    ClusterProjection(View),
}

/// A generator keyed by (seed, patient, stream), so that no slice depends on the slices made before it.
pub(super) fn keyed_rng(seed: u64, patient: usize, stream: Stream) -> ChaCha8Rng {
    let number: u64 = match stream {
        Stream::Anatomy => 0,
        Stream::Projection(View::Cc) => 1,
        Stream::Projection(View::Mlo) => 2,
        Stream::Cluster => 3,
        Stream::ClusterProjection(View::Cc) => 4,
        Stream::ClusterProjection(View::Mlo) => 5,
    };
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(patient as u64).to_le_bytes());
    key[16..24].copy_from_slice(&number.to_le_bytes());
    key[24..].copy_from_slice(b"phantom1");
    ChaCha8Rng::from_seed(key)
}

/// Two independent standard normal numbers (Box and Muller's transform).
pub(super) fn normal_pair(rng: &mut impl Rng) -> (f32, f32) {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
    (radius * cos, radius * sin)
}

/// A periodic scalar field on a `width` x `height` grid, row by row.
#[derive(Debug, Clone)]
pub struct Field {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Values, row by row, of mean 0 and variance 1.
    pub values: Vec<f32>,
}

impl Field {
    /// The value at column `x`, row `y`: linear between grid points, periodic beyond the edges.
    pub fn sample(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let column = |k: i64| (left as i64 + k).rem_euclid(self.width as i64) as usize;
        let row = |k: i64| (top as i64 + k).rem_euclid(self.height as i64) as usize;
        let at = |r: usize, c: usize| self.values[r * self.width + c];
        let (c0, c1, r0, r1) = (column(0), column(1), row(0), row(1));
        let upper = at(r0, c0) * (1.0 - fx) + at(r0, c1) * fx;
        let lower = at(r1, c0) * (1.0 - fx) + at(r1, c1) * fx;
        upper * (1.0 - fy) + lower * fy
    }

    fn standardised(width: usize, height: usize, mut values: Vec<f32>) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| v as f64).sum::<f64>() / count;
        let variance = values.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / count;
        let scale = 1.0 / variance.sqrt();
        for value in &mut values {
            *value = ((*value as f64 - mean) * scale) as f32;
        }
        Self { width, height, values }
    }
}

/// Two independent Gaussian fields whose power falls as `1 / f^exponent`, of mean 0 and variance 1 each.
///
/// Frequencies are measured in cycles per pixel in both directions, so the pattern is isotropic on any grid.
/// The fields are synthesised in the frequency domain from white noise; the real and the imaginary part are the two fields.
pub fn power_law_fields(width: usize, height: usize, exponent: f32, rng: &mut impl Rng) -> [Field; 2] {
    let squared = |n: usize| (0..n).map(|k| (k.min(n - k) as f32 / n as f32).powi(2)).collect::<Vec<_>>();
    let (rows, columns) = (squared(height), squared(width));
    let mut spectrum = Vec::with_capacity(width * height);
    for fy in &rows {
        for fx in &columns {
            let (re, im) = normal_pair(rng);
            let amplitude = if fx + fy > 0.0 { (fx + fy).powf(-0.25 * exponent) } else { 0.0 };
            spectrum.push(Complex32::new(re * amplitude, im * amplitude));
        }
    }
    transform(&mut spectrum, width, height);
    [
        Field::standardised(width, height, spectrum.iter().map(|z| z.re).collect()),
        Field::standardised(width, height, spectrum.iter().map(|z| z.im).collect()),
    ]
}

/// Unnormalised two-dimensional Fourier transform in place.
///
/// The scalar planner is used because the vector planners round differently on different processors.
fn transform(data: &mut [Complex32], width: usize, height: usize) {
    let mut planner = FftPlannerScalar::new();
    planner.plan_fft_forward(width).process(data);
    let along_columns = planner.plan_fft_forward(height);
    let mut transposed = vec![Complex32::default(); data.len()];
    for (row, line) in data.chunks_exact(width).enumerate() {
        for (column, &value) in line.iter().enumerate() {
            transposed[column * height + row] = value;
        }
    }
    along_columns.process(&mut transposed);
    for (column, line) in transposed.chunks_exact(height).enumerate() {
        for (row, &value) in line.iter().enumerate() {
            data[row * width + column] = value;
        }
    }
}
