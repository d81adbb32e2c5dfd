//! Frechet and kernel distances, precision, recall, density and coverage equal those of torch-fidelity, pytorch-fid and prdc for
//! the same feature arrays (tests/peers/metrics/make.py).

mod common;

use pig_metrics::features::Features;
use pig_metrics::frechet::{FeatureStatistics, frechet_distance};
use pig_metrics::kernel::{Subsets, kernel_distance};
use pig_metrics::manifold::manifold;
use serde_json::Value;

fn close(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < tolerance * expected.abs().max(1.0), "{what}: {found}, expected {expected}");
}

/// With fewer vectors than values, the peers also sum the roots of eigenvalues that are 0 except for rounding.
const FID_TOLERANCE: f64 = 1e-7;
const TOLERANCE: f64 = 1e-9;

#[test]
fn equals_the_peers() {
    let cases = common::golden("features");
    assert_eq!(cases.len(), 3);
    for case in cases {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (count, width) = (size("count"), size("width"));
        let set = |which: &str, scale: f64, shift: f64| {
            let name = format!("{}.{which}", case["name"].as_str().unwrap());
            let values = common::fill(&name, count * width).iter().map(|&v| scale * f64::from(v) + shift).collect();
            Features::new(values, width).unwrap()
        };
        let (a, b) = (set("a", 1.0, 0.0), set("b", 0.9, 0.15));
        let [of_a, of_b] = [&a, &b].map(|set| FeatureStatistics::new(set).unwrap());
        let fid = frechet_distance(&of_a, &of_b).unwrap();
        close(fid, &case["fid_torch_fidelity"], FID_TOLERANCE, "FID of torch-fidelity");
        close(fid, &case["fid_pytorch_fid"], FID_TOLERANCE, "FID of pytorch-fid");
        close(kernel_distance(&a, &b, Subsets::All).unwrap().mean, &case["kid_torch_fidelity"], TOLERANCE, "KID");
        for (key, real, generated) in [("prdc", &a, &b), ("prdc_reversed", &b, &a)] {
            let found = manifold(real, generated, 5).unwrap();
            close(found.precision, &case[key]["precision"], TOLERANCE, "precision");
            close(found.recall, &case[key]["recall"], TOLERANCE, "recall");
            close(found.density, &case[key]["density"], TOLERANCE, "density");
            close(found.coverage, &case[key]["coverage"], TOLERANCE, "coverage");
        }
    }
}
