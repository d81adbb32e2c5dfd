//! Measures the released layout, from 2 channels to 1, at batch 8 and 64x64: one forward pass, and one training step without
//! the optimiser.
//!
//! `cargo bench --bench unet`

use burn::tensor::{Device, Tensor, TensorData};
use pig_nn::{config::UNetConfig, parameters, pass::Pass, unet::UNet};

fn main() {
    divan::main();
}

const BATCH: usize = 8;
const TIMES: [f32; BATCH] = [0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0];

fn network(device: &Device) -> UNet {
    parameters::initialise(UNet::new(&UNetConfig::default(), [2, 1], device).expect("the default is valid"), 1)
}

fn images(channels: usize, device: &Device) -> Tensor<4> {
    let dims = [BATCH, 64, 64, channels];
    let values: Vec<f32> = (0..dims.iter().product()).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn forward(bencher: divan::Bencher) {
    let device = Device::flex();
    let (network, x) = (network(&device), images(2, &device));
    bencher.bench_local(|| network.forward(x.clone(), &TIMES, &Pass::default()).into_data());
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn training_step(bencher: divan::Bencher) {
    let device = Device::flex().autodiff();
    let constant = device.clone().without_autodiff();
    let (network, x, target) = (network(&device), images(2, &constant), images(1, &constant));
    bencher.bench_local(|| {
        let y = network.forward(x.clone(), &TIMES, &Pass::default());
        let gradients = (y - target.clone()).square().mean().backward();
        network.conv_in.weight.val().grad(&gradients).map(Tensor::into_data)
    });
}
