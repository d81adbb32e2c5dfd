//! Gradient checkpointing changes which values are kept, not the results.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Gradients, Tensor, TensorData},
};
use pig_device::testing;
use pig_diffusion::denoiser::Denoiser;
use pig_nn::{config::UNetConfig, dropout::Dropout, network::Network, parameters, pass::Precision, unet::UNet};

/// Every part of the released layout, with few channels, attention in encoder and decoder, and dropout.
fn config(dropout: f64) -> UNetConfig {
    UNetConfig {
        block_out_channels: vec![16, 32],
        attention_levels: vec![1],
        norm_num_groups: 4,
        dropout,
        ..UNetConfig::default()
    }
}

fn images(seed: f32) -> Tensor<4> {
    let values: Vec<f32> = (0..2 * 8 * 12).map(|i| ((i * i) as f32 * 0.37 + seed).sin()).collect();
    Tensor::from_data(TensorData::new(values, [2, 8, 12, 1]), &testing::device())
}

/// The gradients of all parameters, in the order of the network's fields.
fn collect(network: &UNet, gradients: &mut Gradients) -> Vec<Vec<f32>> {
    struct Collector<'a>(&'a mut Gradients, Vec<Vec<f32>>);
    impl ModuleVisitor for Collector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad_remove(self.0).expect("every parameter must have a gradient");
            self.1.push(gradient.into_data().try_into_vec().unwrap());
        }
    }
    let mut collector = Collector(gradients, Vec::new());
    network.visit(&mut collector);
    collector.1
}

/// The loss and the gradients of one training step in which the network is evaluated `times` times.
fn step(dropout: f64, precision: Precision, times: usize, is_checkpointing: bool) -> (f32, Vec<Vec<f32>>) {
    let config = config(dropout);
    let device = testing::device().autodiff();
    let unet = parameters::initialise(UNet::new(&config, [2, 1], &device).unwrap(), 3);
    let network = Network::training(&unet, &config, Dropout::of_samples(5, &[7, 8]))
        .with_precision(precision)
        .with_gradient_checkpointing(is_checkpointing);
    let loss = (0..times)
        .map(|i| network.predict(&images(i as f32), &images(0.5), &[3, 900]).square().mean())
        .reduce(|sum, loss| sum + loss)
        .unwrap();
    let mut gradients = network.backward(&loss);
    (loss.inner().into_scalar(), collect(&unet, &mut gradients))
}

#[test]
fn gradients_are_those_without() {
    for (dropout, precision, times) in
        [(0.0, Precision::F32, 1), (0.3, Precision::F32, 1), (0.3, Precision::F32, 2), (0.3, Precision::Bf16, 1)]
    {
        let (loss, expected) = step(dropout, precision, times, false);
        let (same, found) = step(dropout, precision, times, true);
        let name = format!("dropout {dropout}, {precision:?}, evaluated {times} times");
        if testing::is_cpu() {
            assert_eq!(loss, same, "{name}");
        }
        let largest = expected.iter().flatten().fold(0.0_f32, |largest, g| largest.max(g.abs()));
        assert!(largest > 1e-3, "{name}: the largest gradient is only {largest}");
        assert_eq!(found.len(), expected.len());
        // In bf16 a gradient that is summed in another order can be rounded to another value.
        let tolerance = if precision == Precision::F32 { testing::tolerance(2e-6) } else { 2e-3 } as f32;
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= tolerance * largest, "{name}, parameter {index}: {a}, expected {b}");
            }
        }
    }
}

#[test]
fn dropout_is_repeated_and_not_drawn_anew() {
    let (_, one) = step(0.5, Precision::F32, 1, true);
    let (_, other) = step(0.0, Precision::F32, 1, true);
    assert_ne!(one, other);
}
