//! Compares the segmentation networks with PyTorch, and their loss with MONAI: the same weights, filled by name, give the same
//! logits, losses and gradients.
//!
//! `tests/peers/README.md` describes the golden files and the rule that computes weights from their names.

mod common;

use burn::tensor::Tensor;
use common::{
    GRADIENT_TOLERANCE, Golden, OUTPUT_TOLERANCE, channels_first, channels_last, filled, gradients_by_name, host,
    within,
};
use pig_device::testing;
use pig_nn::{
    config::UNetError,
    parameters,
    pass::Pass,
    segmentation::{
        Outputs, SegmentationConfig, SegmentationKind, SegmentationNet,
        loss::{DiceSums, supervised},
    },
};
use pig_weights::Array;

fn config(kind: SegmentationKind, norm_num_groups: usize) -> SegmentationConfig {
    SegmentationConfig { kind, block_out_channels: vec![8, 16, 24], norm_num_groups, ..SegmentationConfig::default() }
}

fn tensor(array: &Array, device: &burn::tensor::Device) -> Tensor<4> {
    let shape = array.shape.as_slice().try_into().unwrap();
    Tensor::from_data(channels_last(&array.values, shape), device)
}

/// The name of a parameter in the peer, which does not have the prefix of the variant.
fn peer_name(name: &str) -> String {
    name.split_once('.').unwrap().1.to_owned()
}

fn assert_peer(name: &str, config: &SegmentationConfig, outputs: usize, gradients: usize) {
    let golden = Golden::load(name);
    let device = testing::device().autodiff();
    let network = filled(SegmentationNet::new(config, 2, [16, 24], &device).unwrap(), peer_name);
    let (x, target) = (tensor(golden.get("input.x"), &device), tensor(golden.get("target"), &device));
    let found = network.forward(x.clone(), &Pass::default());
    assert_eq!(found.len(), outputs);
    for (i, output) in found.iter().enumerate() {
        let name = format!("output.{i}");
        within(&channels_first(output.clone()), &golden.get(&name).values, OUTPUT_TOLERANCE, &name);
    }
    let probabilities = host(network.probabilities(x, Outputs::Background, &Pass::default()));
    let logits = &golden.get("output.0").values;
    let wanted: Vec<f32> = logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    within(&probabilities, &wanted, OUTPUT_TOLERANCE, "probabilities");
    let by_image = supervised(&found, &target, DiceSums::Image);
    within(&host(by_image), &golden.get("loss.image").values, OUTPUT_TOLERANCE, "loss by image");
    let loss = supervised(&found, &target, DiceSums::Batch);
    within(&host(loss.clone()), &golden.get("loss.batch").values, OUTPUT_TOLERANCE, "loss by batch");
    let variant = if config.kind == SegmentationKind::Unet { "Unet" } else { "Residual" };
    let by_name = gradients_by_name(&network, &loss.backward());
    let mut compared = 0;
    for (key, array) in &golden.0 {
        let Some(name) = key.strip_prefix("grad.") else { continue };
        within(&by_name[&format!("{variant}.{name}")], &array.values, GRADIENT_TOLERANCE, key);
        compared += 1;
    }
    assert_eq!(compared, gradients);
}

#[test]
fn the_unet_is_the_peer_s() {
    assert_peer("segmentation_unet", &config(SegmentationKind::Unet, 4), 1, 7);
}

#[test]
fn the_unet_without_norm_is_the_peer_s() {
    assert_peer("segmentation_unet_without_norm", &config(SegmentationKind::Unet, 0), 1, 6);
}

#[test]
fn the_residual_network_and_deep_supervision_are_the_peer_s() {
    assert_peer("segmentation_residual", &config(SegmentationKind::Residual, 4), 2, 6);
}

/// The loss of a background and three classes, of which one is not there in an image, is MONAI's with softmax, with its gradients.
#[test]
fn the_loss_of_several_classes_is_the_peer_s() {
    let golden = Golden::load("segmentation_classes");
    let device = testing::device().autodiff();
    let target = tensor(golden.get("target"), &device);
    for (sums, name) in [(DiceSums::Batch, "batch"), (DiceSums::Image, "image")] {
        let logits = tensor(golden.get("logits"), &device).require_grad();
        let loss = supervised(std::slice::from_ref(&logits), &target, sums);
        within(&host(loss.clone()), &golden.get(&format!("loss.{name}")).values, OUTPUT_TOLERANCE, name);
        let gradient = logits.grad(&loss.backward()).unwrap();
        let expected = &golden.get(&format!("grad.{name}")).values;
        within(&channels_first(gradient), expected, GRADIENT_TOLERANCE, name);
    }
}

/// A network of several classes has a logit more than classes, and gives their probabilities without that of the background.
#[test]
fn probabilities_of_classes_are_a_softmax_without_the_background() {
    let device = testing::device();
    for kind in [SegmentationKind::Unet, SegmentationKind::Residual] {
        let network =
            SegmentationNet::of_classes(&config(kind, 4), 2, (3, Outputs::Background), [16, 24], &device).unwrap();
        let network = parameters::initialise(network, 5);
        let x = tensor(Golden::load("segmentation_unet").get("input.x"), &device);
        let logits = network.forward(x.clone(), &Pass::default()).remove(0);
        assert_eq!(logits.dims()[3], 4);
        let wanted: Vec<f32> = host(logits)
            .chunks_exact(4)
            .flat_map(|pixel| {
                let sum: f32 = pixel.iter().map(|value| value.exp()).sum();
                pixel[1..].iter().map(move |value| value.exp() / sum).collect::<Vec<_>>()
            })
            .collect();
        within(
            &host(network.probabilities(x, Outputs::Background, &Pass::default())),
            &wanted,
            OUTPUT_TOLERANCE,
            "probabilities",
        );
    }
}

/// Classes that overlap have a logit each, a sigmoid each, and each the loss that a class alone has.
#[test]
fn classes_that_overlap_are_each_a_class_alone() {
    let device = testing::device();
    let network =
        SegmentationNet::of_classes(&config(SegmentationKind::Unet, 4), 2, (2, Outputs::Each), [16, 24], &device);
    let network = parameters::initialise(network.unwrap(), 5);
    let x = tensor(Golden::load("segmentation_unet").get("input.x"), &device);
    let logits = network.forward(x.clone(), &Pass::default()).remove(0);
    assert_eq!(logits.dims()[3], 2);
    let wanted: Vec<f32> = host(logits.clone()).iter().map(|value| 1.0 / (1.0 + (-value).exp())).collect();
    within(
        &host(network.probabilities(x, Outputs::Each, &Pass::default())),
        &wanted,
        OUTPUT_TOLERANCE,
        "probabilities",
    );
    let target = logits.clone().greater_elem(0.1).float();
    for sums in [DiceSums::Batch, DiceSums::Image] {
        let one = |class: usize| {
            let of = |values: &Tensor<4>| values.clone().narrow(3, class, 1);
            host(supervised(&[of(&logits)], &of(&target), sums))[0]
        };
        let both = host(supervised(std::slice::from_ref(&logits), &target, sums))[0];
        assert!((both - f32::midpoint(one(0), one(1))).abs() < 1e-6, "{both} {} {}", one(0), one(1));
    }
}

/// Figure 1 of the paper: pairs of 3x3 convolutions, 2x2 convolutions in the decoder, and a 1x1 convolution at the end. It has two
/// classes in the paper and one logit here.
#[test]
fn the_paper_s_network_has_the_paper_s_parameters() {
    let config = SegmentationConfig::ronneberger_2015();
    let network = SegmentationNet::new(&config, 1, [512, 512], &testing::device()).unwrap();
    let widths = [64, 128, 256, 512, 1024];
    let pair = |from: usize, to: usize| 9 * from * to + to + 9 * to * to + to;
    let down: usize = std::iter::once(&1).chain(&widths).zip(&widths).map(|(&from, &to)| pair(from, to)).sum();
    let up: usize = widths.windows(2).map(|w| 4 * w[1] * w[0] + w[0] + pair(2 * w[0], w[0])).sum();
    assert_eq!(parameters::count(&network), down + up + 64 + 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |config: &SegmentationConfig, size| SegmentationNet::new(config, 1, size, &testing::device()).map(|_| ());
    let good = config(SegmentationKind::Unet, 4);
    assert!(matches!(new(&good, [16, 18]), Err(UNetError::Size { divisor: 4, .. })));
    assert!(matches!(new(&config(SegmentationKind::Unet, 5), [16, 16]), Err(UNetError::Groups { .. })));
    assert!(matches!(new(&config(SegmentationKind::Residual, 0), [16, 16]), Err(UNetError::Groups { .. })));
    let empty = SegmentationConfig { block_out_channels: vec![], ..good };
    assert!(matches!(new(&empty, [16, 16]), Err(UNetError::Empty { .. })));
}
