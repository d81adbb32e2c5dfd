//! Permutation tests and Wasserstein distances equal those of scipy, MS-SSIM equals that of pytorch-msssim, and shape features equal
//! those of pyradiomics and scikit-image (tests/peers/metrics/make.py).

mod common;

use pig_metrics::components::Connectivity;
use pig_metrics::permutation::{PermutationTest, Permutations, independent_permutation, paired_permutation};
use pig_metrics::radiomics::{Discretisation, names, radiomics};
use pig_metrics::realism::{LesionProperties, wasserstein};
use pig_metrics::ssim::ms_ssim;
use serde_json::Value;

fn close(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < tolerance * expected.abs().max(1.0), "{what}: {found}, expected {expected}");
}

fn size(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

#[test]
fn permutations_and_wasserstein_distances_equal_scipy() {
    let cases = common::golden("statistics");
    assert_eq!(cases.len(), 3);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let shift = case["shift"].as_f64().unwrap();
        let sample = |which: &str, count, shift: f64| -> Vec<f64> {
            common::fill(&format!("{name}.{which}"), count).iter().map(|&value| f64::from(value) + shift).collect()
        };
        let (a, b) = (sample("a", size(&case, "m"), shift), sample("b", size(&case, "n"), 0.0));
        close(wasserstein(&a, &b).unwrap(), &case["wasserstein"], 1e-12, "wasserstein");
        let compare = |found: PermutationTest, kind: &str| {
            assert!(found.exact);
            close(found.difference, &case[kind]["difference"], 1e-12, kind);
            close(found.p_value, &case[kind]["p_value"], 1e-12, kind);
        };
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        compare(paired_permutation(&differences, None, Permutations::default()).unwrap(), "paired");
        compare(independent_permutation(&a, &b, Permutations::default()).unwrap(), "independent");
    }
}

/// Values in [0, 1): f32 values in [-1, 1) that are scaled in f64.
fn uniform(name: &str, count: usize) -> Vec<f64> {
    common::fill(name, count).iter().map(|&value| f64::midpoint(f64::from(value), 1.0)).collect()
}

fn waves(name: &str, height: usize, width: usize) -> Vec<f32> {
    let u = uniform(name, 4);
    let noise = uniform(&format!("{name}.noise"), height * width);
    let value = |at: usize| {
        let (row, column) = ((at / width) as f64, (at % width) as f64);
        let vertical = (row * (0.02 + 0.1 * u[0]) + 6.0 * u[1]).sin();
        0.5 + 0.25 * vertical * (column * (0.02 + 0.1 * u[2]) + 6.0 * u[3]).cos() + 0.2 * (noise[at] - 0.5)
    };
    (0..height * width).map(|at| value(at) as f32).collect()
}

#[test]
fn ms_ssim_equals_pytorch_msssim() {
    let cases = common::golden("ssim");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let (height, width) = (size(&case, "height"), size(&case, "width"));
        let image = |which: &str| waves(&format!("{}.{which}", case["name"].as_str().unwrap()), height, width);
        let (a, other) = (image("a"), image("b"));
        let mixed: Vec<f32> = a.iter().zip(&other).map(|(a, b)| 0.6 * a + 0.4 * b).collect();
        for scales in [3, 5] {
            let expected = &case["ms_ssim"][scales.to_string()];
            close(ms_ssim(&a, &mixed, height, width, scales), expected, 1e-7, "MS-SSIM");
        }
    }
}

#[test]
fn shape_equals_pyradiomics_and_scikit_image() {
    let cases = common::golden("shape");
    assert_eq!(cases.len(), 6);
    let names = names();
    for case in cases {
        let (height, width) = (size(&case, "height"), size(&case, "width"));
        let mask: Vec<bool> = case["mask"].as_str().unwrap().bytes().map(|byte| byte == b'#').collect();
        let found = radiomics(&vec![0.5; mask.len()], &mask, height, width, &Discretisation::default()).unwrap();
        let mut compared = 0;
        for (name, value) in names.iter().zip(found) {
            if let Some(name) = name.strip_prefix("shape:") {
                close(value, &case[name], 1e-9, name);
                compared += 1;
            }
        }
        assert_eq!(compared, 8);
        let mut lesions = LesionProperties::default();
        lesions.add(&mask, height, width, Connectivity::Eight);
        close(lesions.eccentricity[0], &case["eccentricity"], 1e-9, "eccentricity");
        close(lesions.row[0] * height as f64 - 0.5, &case["centroid"][0], 1e-9, "row");
        close(lesions.column[0] * width as f64 - 0.5, &case["centroid"][1], 1e-9, "column");
    }
}
