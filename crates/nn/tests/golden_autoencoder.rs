//! Compares the autoencoder with diffusers: the same weights, filled by name, give the same moments, images and gradients.
//!
//! `tests/peers/README.md` describes the golden file and the rule that computes weights from their names.

mod common;

use burn::tensor::Tensor;
use common::{
    GRADIENT_TOLERANCE, Golden, OUTPUT_TOLERANCE, channels_first, channels_last, fill, filled, floats,
    gradients_by_name, host, safetensors_arrays, stored_npz, within,
};
use pig_device::testing;
use pig_nn::{
    autoencoder::{Autoencoder, AutoencoderConfig, area_mean},
    parameters::import,
    pass::Pass,
    volume::Volume,
};

fn shape(array: &pig_weights::Array) -> [usize; 4] {
    array.shape.as_slice().try_into().unwrap()
}

#[test]
fn moments_images_and_gradients_are_the_peer_s() {
    let golden = Golden::load("autoencoder_diffusers");
    let config = AutoencoderConfig {
        block_out_channels: vec![16, 32],
        layers_per_block: 1,
        latent_channels: 3,
        norm_num_groups: 8,
        ..AutoencoderConfig::default()
    };
    let device = testing::device().autodiff();
    let network = filled(Autoencoder::new(&config, 1, &device).unwrap(), str::to_owned);
    let input = golden.get("input.x");
    let x = Tensor::<4>::from_data(channels_last(&input.values, shape(input)), &device);
    let posterior = network.encode(x, &Pass::default());
    let decoded = network.decode(posterior.mean.clone(), &Pass::default());
    for (name, tensor) in [("mean", &posterior.mean), ("logvar", &posterior.logvar), ("decoded", &decoded)] {
        within(&channels_first(tensor.clone()), &golden.get(name).values, OUTPUT_TOLERANCE, name);
    }
    let wanted = golden.get("decoded");
    let probe = channels_last(&fill("probe", &wanted.shape, 1.0, 0.0), shape(wanted));
    let kl = posterior.kl();
    within(&host(kl.clone()), &golden.get("kl").values, OUTPUT_TOLERANCE, "divergence");
    let loss = (decoded * Tensor::from_data(probe, &device)).mean() + kl.mul_scalar(0.01);
    within(&host(loss.clone()), &golden.get("loss").values, OUTPUT_TOLERANCE, "loss");
    let found = gradients_by_name(&network, &loss.backward());
    let mut compared = 0;
    for (key, array) in &golden.0 {
        let Some(name) = key.strip_prefix("grad.") else { continue };
        within(&found[name], &array.values, GRADIENT_TOLERANCE, key);
        compared += 1;
    }
    assert_eq!(compared, 6);
}

/// A checkpoint of diffusers and diffusers' output for it, from the shared folder outside the repository.
#[test]
fn a_diffusers_checkpoint_gives_its_own_output() {
    let Some(folder) = pig_testing::shared("peers/diffusers/vae_small") else { return };
    let reference = std::fs::read(folder.join("reference.npz")).unwrap();
    let config = AutoencoderConfig {
        block_out_channels: vec![16, 32, 32],
        layers_per_block: 1,
        latent_channels: 3,
        norm_num_groups: 8,
        ..AutoencoderConfig::default()
    };
    let device = testing::device();
    let arrays = safetensors_arrays(&folder.join("diffusion_pytorch_model.safetensors"));
    let network = import(Autoencoder::new(&config, 1, &device).unwrap(), &arrays).unwrap();
    let files = stored_npz(&reference);
    let (header, input) = &files["x.npy"];
    assert!(header.contains("'<f4'") && header.contains("(2, 1, 64, 64)"), "{header}");
    let x = Tensor::<4>::from_data(channels_last(&floats(input), [2, 1, 64, 64]), &device);
    let posterior = network.encode(x, &Pass::default());
    within(&channels_first(posterior.mean.clone()), &floats(&files["mean.npy"].1), OUTPUT_TOLERANCE, "vae_small, mean");
    within(&channels_first(posterior.logvar), &floats(&files["logvar.npy"].1), OUTPUT_TOLERANCE, "vae_small, logvar");
    let decoded = network.decode(posterior.mean, &Pass::default());
    within(&channels_first(decoded), &floats(&files["dec.npy"].1), OUTPUT_TOLERANCE, "vae_small, decoded");
}

#[test]
fn area_means_keep_shares() {
    let values: Vec<f32> = (0..16).map(|i| if i % 4 < 2 && i / 4 == 0 { 1.0 } else { -1.0 }).collect();
    let mask = Tensor::<4>::from_data(burn::tensor::TensorData::new(values, [1, 4, 4, 1]), &testing::device());
    assert_eq!(host(area_mean(mask.clone(), 2, None)), [0.0, -1.0, -1.0, -1.0]);
    // The same values as a volume of two slices with two rows: means over cubes of two by two by two voxels.
    let volume = Some(Volume { depth: 2, width: 4 });
    assert_eq!(host(area_mean(mask, 2, volume)), [-0.5, -1.0]);
}
