//! The golden files of tests/peers/metrics, and the rule that computes their inputs from names.

#![allow(dead_code, reason = "each test binary uses only a part")]

use serde_json::Value;

/// The cases of tests/peers/metrics/NAME.json.
pub(crate) fn golden(name: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/peers/metrics/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The weight rule of tests/peers/README.md with scale 1 and shift 0: f32 values in [-1, 1).
pub(crate) fn fill(name: &str, count: usize) -> Vec<f32> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (0..count as u64)
        .map(|index| {
            let mut z = hash.wrapping_add(index).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (2.0 * ((z >> 11) as f64 * 2.0_f64.powi(-53)) - 1.0) as f32
        })
        .collect()
}
