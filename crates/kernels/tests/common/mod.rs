//! Shared code of the kernel tests: noise, comparison with f64, and runs with several thread counts.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses only a part")]

use pig_kernels::Level;

/// Numbers in [-0.5, 0.5), the same for the same seed.
pub fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        })
        .collect()
}

/// Fails unless every value is within `tolerance` of the expected value, relative to the largest expected value.
pub fn assert_close(name: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}: length");
    let largest = expected.iter().fold(1e-30_f64, |m, e| m.max(e.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*g) - e).abs() / largest;
        assert!(error <= tolerance, "{name}: value {i} is {g}, expected {e} (error {error:.2e} of the largest value)");
    }
}

/// Fails unless both are the same to the last bit.
pub fn assert_same_bits(name: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}: length");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{name}: value {i} is {a} in one run and {b} in the other");
    }
}

/// Runs `work` at every level of this processor with 1 to 4 threads. At each level the results must agree to the last bit for
/// all thread counts, and so must those of AVX-512 and AVX2. Returns one result per level.
pub fn everywhere(name: &str, work: impl Fn(Level) -> Vec<Vec<f32>> + Sync) -> Vec<Vec<Vec<f32>>> {
    let mut results: Vec<(Level, Vec<Vec<f32>>)> = Vec::new();
    for level in Level::available() {
        let mut first: Option<Vec<Vec<f32>>> = None;
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let result = pool.install(|| work(level));
            match &first {
                None => first = Some(result),
                Some(first) => {
                    for (i, (a, b)) in first.iter().zip(&result).enumerate() {
                        assert_same_bits(&format!("{name}: output {i}, {} with {threads} threads", level.name()), a, b);
                    }
                }
            }
        }
        results.push((level, first.expect("at least one thread count")));
    }
    let fused: Vec<_> = results.iter().filter(|(level, _)| level.name() != "portable").collect();
    for pair in fused.windows(2) {
        for (i, (a, b)) in pair[0].1.iter().zip(&pair[1].1).enumerate() {
            assert_same_bits(&format!("{name}: output {i}, AVX-512 against AVX2"), a, b);
        }
    }
    results.into_iter().map(|(_, result)| result).collect()
}
