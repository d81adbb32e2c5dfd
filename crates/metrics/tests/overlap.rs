//! Overlap and boundary distances equal those of MONAI and medpy for ragged random masks (tests/peers/metrics/make.py).

mod common;

use pig_metrics::overlap::{BothEmpty, Counts};
use pig_metrics::surface::{SurfaceCounts, SurfaceDistances};
use serde_json::Value;

/// The accuracy that the project requires.
const TOLERANCE: f64 = 1e-6;

fn mask(case: &Value, key: &str) -> Vec<bool> {
    case[key].as_str().unwrap().bytes().map(|byte| byte == b'#').collect()
}

/// Compares the values that the peer gives, and returns their number.
fn compare(peer: &Value, found: &[(&str, f64)]) -> usize {
    let peer = peer.as_object().unwrap();
    for (name, expected) in peer {
        let (_, found) = found.iter().find(|(ours, _)| ours == name).unwrap();
        let expected = expected.as_f64().unwrap();
        // MONAI computes in f32, which rounds a distance of 20 with an error of 1e-6.
        let bound = TOLERANCE * expected.max(1.0);
        assert!((found - expected).abs() <= bound, "{name}: {found}, expected {expected}");
    }
    peer.len()
}

#[test]
fn equals_monai_and_medpy() {
    let mut compared = 0;
    for case in common::golden("overlap") {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (height, width) = (size("height"), size("width"));
        let (prediction, truth) = (mask(&case, "prediction"), mask(&case, "truth"));
        let spacing = [0, 1].map(|axis| case["spacing"][axis].as_f64().unwrap());
        let overlap = Counts::new(&prediction, &truth).overlap(BothEmpty::Skip).unwrap();
        let distances = SurfaceDistances::new(&prediction, &truth, height, width, spacing);
        let surface_dice = |tolerance| {
            let counts = distances
                .as_ref()
                .map_or_else(|| SurfaceCounts::one_sided(&truth, height, width), |d| d.counts(tolerance));
            counts.within as f64 / counts.total.max(1) as f64
        };
        let shared = [
            ("dice", overlap.dice),
            ("iou", overlap.iou),
            ("precision", overlap.precision),
            ("recall", overlap.recall),
            ("surface_dice_1", surface_dice(1.0)),
            ("surface_dice_2", surface_dice(2.0)),
        ];
        let with = |distance: f64| [&shared[..], &[("hausdorff_95", distance)]].concat();
        let of = |value: fn(&SurfaceDistances) -> f64| distances.as_ref().map_or(f64::NAN, value);
        compared += compare(&case["monai"], &with(of(SurfaceDistances::hausdorff_95)));
        compared += compare(&case["medpy"], &with(of(SurfaceDistances::hausdorff_95_joint)));
    }
    assert_eq!(compared, 16 * 12 + 2 * 4);
}
