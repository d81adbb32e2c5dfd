//! Compares the U-Net with PyTorch and diffusers: the same weights, filled by name, give the same output and gradients.
//!
//! `tests/peers/README.md` describes the golden files and the rule that computes weights from their names. The golden files were
//! computed in f64 from f32 weights, so every difference comes from our computation. Gradients are computed with Burn's autodiff, on
//! the device that `PIG_TEST_DEVICE` names.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{
    GRADIENT_TOLERANCE, Golden, OUTPUT_TOLERANCE, fill, filled, floats, gradients_by_name, host, safetensors_arrays,
    stored_npz, within,
};
use pig_device::testing;
use pig_diffusion::{denoiser::Denoiser, schedule::from_network_time};
use pig_nn::{
    config::UNetConfig,
    network::Network,
    parameters::{count, export, import, name_hash},
    pass::Pass,
    unet::UNet,
};
use pig_weights::{Array, StateDict};
use std::collections::BTreeMap;

/// Channels of the guider of gray images: noisy mask and image in, mask out.
const GUIDER: [usize; 2] = [2, 1];

/// diffusers' defaults at a small size.
fn small() -> UNetConfig {
    UNetConfig {
        block_out_channels: vec![32, 64],
        attention_levels: vec![1],
        attention_head_dim: Some(8),
        norm_num_groups: 8,
        ..diffusers_defaults()
    }
}

/// The default settings of `UNet2DModel`.
fn diffusers_defaults() -> UNetConfig {
    UNetConfig {
        norm_eps: 1e-5,
        downsample_padding: 1,
        flip_sin_to_cos: true,
        freq_shift: 0.0,
        ..UNetConfig::default()
    }
}

/// The name of a parameter in diffusers, which is the same as ours.
fn same(name: &str) -> String {
    name.to_owned()
}

/// The name of a parameter in the released layout. Its decoder counts levels from the full size, ours from the smallest. Its
/// attention has 1x1 convolutions, ours has linear layers; the values have the same order.
fn released(name: &str) -> String {
    const RENAMED: [(&str, &str); 17] = [
        ("time_embedding.linear_1.", "temb.dense.0."),
        ("time_embedding.linear_2.", "temb.dense.1."),
        ("conv_norm_out.", "norm_out."),
        ("mid_block.resnets.0.", "mid.block_1."),
        ("mid_block.resnets.1.", "mid.block_2."),
        ("mid_block.attentions.0.", "mid.attn_1."),
        ("down_blocks.", "down."),
        (".resnets.", ".block."),
        (".attentions.", ".attn."),
        (".downsamplers.0.", ".downsample."),
        (".upsamplers.0.", ".upsample."),
        (".conv_shortcut.", ".nin_shortcut."),
        (".time_emb_proj.", ".temb_proj."),
        (".group_norm.", ".norm."),
        (".to_out.0.", ".proj_out."),
        (".to_", "."),
        ("up_blocks.", "up."),
    ];
    let renamed = RENAMED.iter().fold(name.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
    match renamed.strip_prefix("up.").and_then(|rest| rest.split_once('.')) {
        Some((level, rest)) => format!("up.{}.{rest}", 5 - level.parse::<usize>().unwrap()),
        None => renamed,
    }
}

/// One channel of a `[batch, channels, height, width]` array, as `[batch, height, width, 1]`.
fn plane(array: &Array, channel: usize) -> TensorData {
    let [batch, channels, height, width] = array.shape[..] else { panic!("{:?} must have four axes", array.shape) };
    let size = height * width;
    let values: Vec<f32> = (0..batch)
        .flat_map(|sample| array.values[(sample * channels + channel) * size..][..size].iter().copied())
        .collect();
    TensorData::new(values, [batch, height, width, 1])
}

/// Runs the network as model_x, with the input [noisy, guide] of a golden file, and compares its output and, if the golden file has
/// them, its gradients with the golden file.
fn check(name: &str, config: &UNetConfig, peer_name: fn(&str) -> String) {
    let golden = Golden::load(name);
    let with_gradients = golden.0.contains_key("loss");
    let device = if with_gradients { testing::device().autodiff() } else { testing::device() };
    let unet = filled(UNet::new(config, GUIDER, &device).unwrap(), peer_name);
    let input = golden.get("input.x");
    let part = |channel| {
        let tensor = Tensor::<4>::from_data(plane(input, channel), &device);
        if with_gradients { tensor.require_grad() } else { tensor }
    };
    let (noisy, guide) = (part(0), part(1));
    let t: Vec<usize> = golden.get("t").values.iter().map(|&t| from_network_time(t as usize)).collect();
    let output = Network::new(&unet, config).predict(&noisy, &guide, &t);
    let wanted = golden.get("output");
    // With one channel, [batch, height, width, 1] and [batch, 1, height, width] have the same order.
    within(&host(output.clone()), &wanted.values, OUTPUT_TOLERANCE, &format!("{name}, output"));
    if !with_gradients {
        return;
    }

    let probe = fill("probe", &wanted.shape, 1.0, 0.0);
    let probe = Tensor::<4>::from_data(TensorData::new(probe, output.dims()), &device);
    let loss = (output * probe).mean();
    within(&host(loss.clone()), &golden.get("loss").values, GRADIENT_TOLERANCE, &format!("{name}, loss"));
    let gradients = loss.backward();
    let found = gradients_by_name(&unet, &gradients);
    let by_peer: BTreeMap<String, &Vec<f32>> = found.iter().map(|(own, g)| (peer_name(own), g)).collect();
    let mut compared = 0;
    for (key, array) in golden.0.iter().filter(|(key, _)| key.starts_with("grad.") && *key != "grad.input.x") {
        let found = by_peer[key.trim_start_matches("grad.")];
        within(found, &array.values, GRADIENT_TOLERANCE, &format!("{name}, {key}"));
        compared += 1;
    }
    assert_eq!(compared, 5);
    for (channel, tensor) in [&noisy, &guide].into_iter().enumerate() {
        let wanted: Vec<f32> = plane(golden.get("grad.input.x"), channel).try_to_vec().unwrap();
        let found = host(tensor.grad(&gradients).unwrap());
        within(&found, &wanted, GRADIENT_TOLERANCE, &format!("{name}, gradient of channel {channel}"));
    }
}

#[test]
fn released_layout_is_the_peer_s() {
    check("unet_released_64", &UNetConfig::default(), released);
}

#[test]
fn released_layout_takes_pictures_that_are_not_square() {
    check("unet_released_96x32", &UNetConfig::default(), released);
}

#[test]
fn diffusers_defaults_are_the_peer_s() {
    check("unet_diffusers_small", &small(), same);
}

#[test]
fn released_layout_is_diffusers_with_its_settings() {
    let config = UNetConfig { attention_head_dim: Some(128), ..UNetConfig::default() };
    check("unet_diffusers_released", &config, same);
}

#[test]
fn released_layout_has_7_125_409_parameters() {
    let device = Device::flex();
    let unet = UNet::new(&UNetConfig::default(), GUIDER, &device).unwrap();
    assert_eq!(count(&unet), 7_125_409);
    let names = export(&unet);
    assert_eq!(names.values().map(|array| array.values.len()).sum::<usize>(), 7_125_409);
    let renamed: std::collections::BTreeSet<String> = names.keys().map(|name| released(name)).collect();
    assert_eq!(renamed.len(), names.len(), "two parameters must not have the same released name");
    for name in ["temb.dense.1.bias", "up.5.attn.2.proj_out.weight", "up.5.block.0.nin_shortcut.weight"] {
        assert!(renamed.contains(name), "{name}");
    }
    for name in ["down.4.downsample.conv.bias", "mid.attn_1.norm.weight", "up.1.upsample.conv.weight"] {
        assert!(renamed.contains(name), "{name}");
    }
}

/// The state dictionary of the released code, with the names of DataParallel and 1x1 convolutions in attention, is renamed to our
/// names with the same values. `released_layout_is_the_peer_s` tests that these values give the released output.
#[test]
fn released_names_become_ours() {
    let device = Device::flex();
    let wanted = export(&filled(UNet::new(&UNetConfig::default(), GUIDER, &device).unwrap(), released));
    let theirs = wanted.iter().map(|(name, array)| {
        let name = released(name);
        let is_pixel = name.contains("attn") && !name.contains("norm") && name.ends_with("weight");
        let shape = if is_pixel { [&array.shape[..], &[1, 1]].concat() } else { array.shape.clone() };
        (format!("module.{name}"), Array { shape, values: array.values.clone() })
    });
    let named = pig_weights::layouts::rename(theirs.collect()).unwrap();
    assert_eq!(named.layout.word(), "released");
    let shape = pig_weights::layouts::UNetShape::of(&named.arrays).unwrap();
    assert_eq!(named.arrays, wanted);
    let config = UNetConfig::default();
    assert_eq!(
        (shape.block_out_channels, shape.layers_per_block),
        (config.block_out_channels, config.layers_per_block)
    );
    assert_eq!((shape.attention_levels, shape.in_channels, shape.out_channels), (vec![5], 2, 1));
}

/// The examples of the weight rule in the README of the peers.
#[test]
fn weights_follow_the_peer_s_rule() {
    assert_eq!(name_hash("input.x"), 0x8108_462d_5960_cef5);
    for (name, first) in [
        ("input.x", [0.297_783_852, -0.515_318_096, 0.083_636_090_2]),
        ("conv_in.weight", [0.142_500_147, -0.763_235_569, 0.834_313_571]),
    ] {
        let found = fill(name, &[3], 1.0, 0.0);
        assert!(found.iter().zip(first).all(|(&a, b)| (f64::from(a) - b).abs() < 1e-9), "{name}: {found:?}");
    }
}

/// A checkpoint of diffusers and diffusers' output for it, from the shared folder outside the repository.
#[test]
fn a_diffusers_checkpoint_gives_its_own_output() {
    let Some(folder) = pig_testing::shared("peers/diffusers/unet_attn_32_c1") else { return };
    let reference = std::fs::read(folder.join("reference.npz")).unwrap();
    let config = UNetConfig {
        block_out_channels: vec![32, 64, 64],
        attention_levels: vec![1],
        attention_head_dim: Some(8),
        norm_num_groups: 8,
        ..diffusers_defaults()
    };
    let device = testing::device();
    let arrays: StateDict = safetensors_arrays(&folder.join("unet/diffusion_pytorch_model.safetensors"));
    let unet = import(UNet::new(&config, [1, 1], &device).unwrap(), &arrays).unwrap();
    let files = stored_npz(&reference);
    let (header, input) = &files["x.npy"];
    assert!(header.contains("'<f4'") && header.contains("(2, 1, 32, 32)"), "{header}");
    assert!(files["t.npy"].0.contains("'<i8'"));
    let times: Vec<f32> =
        files["t.npy"].1.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(floats(input), [2, 32, 32, 1]), &device);
    let output = unet.forward(x, &times, &Pass::default());
    within(&host(output), &floats(&files["y.npy"].1), OUTPUT_TOLERANCE, "unet_attn_32_c1, output");
}
