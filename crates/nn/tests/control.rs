//! Tests the control network: at its start it does not change the base, bit for bit; its parameters have diffusers' names; and it
//! is trained through its base.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use pig_device::testing;
use pig_diffusion::denoiser::Denoiser;
use pig_nn::{
    autoencoder::{Autoencoder, AutoencoderConfig},
    config::{UNetConfig, UNetError},
    control::{ControlConfig, ControlNet, Controlled},
    network::Network,
    parameters::{export, initialise},
    unet::UNet,
};

fn config() -> UNetConfig {
    UNetConfig {
        block_out_channels: vec![16, 32, 32],
        layers_per_block: 1,
        attention_levels: vec![1],
        norm_num_groups: 8,
        ..UNetConfig::default()
    }
}

fn networks(device: &Device) -> (UNet, ControlNet) {
    let base = initialise(UNet::new(&config(), [1, 1], device).unwrap(), 1);
    let control = ControlNet::new(&config(), &ControlConfig::default(), [1, 1], device).unwrap();
    (base.clone(), initialise(control, 2).copy_of(&base).unwrap())
}

fn picture(seed: f32, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..2 * 16 * 16).map(|i| (i as f32 * 0.37 + seed).sin()).collect();
    Tensor::from_data(TensorData::new(values, [2, 16, 16, 1]), device)
}

fn bits(tensor: Tensor<4>) -> Vec<u32> {
    tensor.inner().into_data().try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn at_its_start_the_base_is_unchanged_bit_for_bit() {
    let device = testing::device();
    let (base, control) = networks(&device);
    let (noisy, mask, t) = (picture(0.0, &device), picture(1.0, &device), [3, 700]);
    let expected = Network::new(&base, &config()).without_guide().predict(&noisy, &mask, &t);
    let controlled = Controlled::new(&base, &control, &config());
    assert_eq!(bits(controlled.predict(&noisy, &mask, &t)), bits(expected.clone()));
    // A control network whose output convolutions are not zero does change the base.
    let speaking = initialise(control, 3);
    let changed = Controlled::new(&base, &speaking, &config()).predict(&noisy, &mask, &t);
    assert_ne!(bits(changed), bits(expected));
}

struct Norms<'a> {
    path: Vec<String>,
    gradients: &'a Gradients,
    found: Vec<(String, f32)>,
}

impl ModuleVisitor for Norms<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let norm = param.val().grad(self.gradients).map_or(0.0, |gradient| gradient.abs().max().into_scalar::<f32>());
        self.found.push((self.path.join("."), norm));
    }
}

/// Gradients flow through the frozen base: at the start only to the zero convolutions, and to every parameter once these are no
/// longer zero.
#[test]
fn the_control_is_trained_through_its_frozen_base() {
    let device = testing::device();
    let (base, control) = networks(&device);
    let (noisy, mask, t) = (picture(0.0, &device), picture(1.0, &device), [3, 700]);
    let norms = |control: ControlNet| {
        let control = control.train();
        let loss = Controlled::new(&base, &control, &config()).predict(&noisy, &mask, &t).square().mean();
        let gradients = loss.backward();
        let mut norms = Norms { path: Vec::new(), gradients: &gradients, found: Vec::new() };
        control.visit(&mut norms);
        norms.found
    };
    let zero = |name: &str| name.starts_with("controlnet_down_blocks.") || name.starts_with("controlnet_mid_block.");
    for (name, norm) in norms(control.clone()) {
        assert_eq!(norm > 0.0, zero(&name), "at the start: {name} has {norm}");
    }
    for (name, norm) in norms(initialise(control, 3)) {
        // The bias of the keys changes all scores of a row by the same amount, which does not change the softmax.
        assert!(norm > 0.0 || name.ends_with("to_k.bias"), "later: {name} has no gradient");
    }
}

#[test]
fn parameters_are_named_as_diffusers_names_them() {
    let (base, control) = networks(&testing::device());
    let names = export(&control);
    for (name, shape) in [
        ("controlnet_cond_embedding.conv_in.weight", vec![16, 1, 3, 3]),
        ("controlnet_cond_embedding.blocks.0.weight", vec![16, 16, 3, 3]),
        ("controlnet_cond_embedding.blocks.1.weight", vec![32, 16, 3, 3]),
        ("controlnet_cond_embedding.conv_out.weight", vec![16, 32, 3, 3]),
        ("controlnet_down_blocks.0.weight", vec![16, 16, 1, 1]),
        ("controlnet_down_blocks.5.bias", vec![32]),
        ("controlnet_mid_block.weight", vec![32, 32, 1, 1]),
    ] {
        assert_eq!(names[name].shape, shape, "{name}");
    }
    // The skip connections of levels 16, 32, 32 with one block: first convolution, block, downsampler, block, downsampler, block.
    assert!(!names.contains_key("controlnet_down_blocks.6.weight"));
    let copied = |name: &String| {
        ["conv_in.", "time_embedding.", "down_blocks.", "mid_block."].iter().any(|p| name.starts_with(p))
    };
    let expected: Vec<_> = export(&base).into_iter().filter(|(name, _)| copied(name)).collect();
    let found: Vec<_> = names.into_iter().filter(|(name, _)| copied(name)).collect();
    assert_eq!(found, expected);
}

#[test]
fn networks_without_channels_are_refused() {
    let device = testing::device();
    let refused = |error: UNetError, what: &str| {
        assert!(matches!(error, UNetError::NoChannels { .. }) && error.to_string().starts_with(what), "{error}");
    };
    refused(UNet::new(&config(), [0, 1], &device).unwrap_err(), "a U-Net has 0 input");
    refused(UNet::new(&config(), [1, 0], &device).unwrap_err(), "a U-Net has 1 input and 0 output");
    refused(ControlNet::new(&config(), &ControlConfig::default(), [1, 0], &device).unwrap_err(), "a control network");
    let words = AutoencoderConfig { block_out_channels: vec![32, 32], ..AutoencoderConfig::default() };
    refused(Autoencoder::new(&words, 0, &device).unwrap_err(), "an autoencoder");
    refused(
        Autoencoder::new(&AutoencoderConfig { latent_channels: 0, ..words }, 1, &device).unwrap_err(),
        "an autoencoder",
    );
}
