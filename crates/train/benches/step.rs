//! The released layout: one training step with the optimiser (batch 8, 64x64), and one step of Algorithm 2 with both
//! networks (batch 8 at 64x64, batch 1 at 256x256), as training and sampling run them. `bench/run` compares with PyTorch.
//!
//! `cargo bench --bench step`

use burn::{module::Module, tensor::Device};
use pig_data::{AugmentConfig, PreparedSet};
use pig_diffusion::schedule::Schedule;
use pig_nn::{network::Role, parameters, unet::UNet};
use pig_train::{
    Config,
    batch::Batches,
    methods::Objective,
    optimizer::{NamedGradients, Optimizer, accumulate, clip},
    sampler::{Models, Sampler},
};

fn main() {
    divan::main();
}

fn network(config: &Config, role: Role, device: &Device) -> UNet {
    let unet = role.build(config.unet(role), 1, device).expect("the default is valid");
    parameters::initialise(unet, 1)
}

/// Eight pairs of smooth values; only their shape matters.
fn pairs(size: [usize; 2]) -> PreparedSet {
    let (count, pixels) = (8, size[0] * size[1]);
    let images: Vec<f32> = (0..count * pixels).map(|i| (i as f32 * 0.37).sin()).collect();
    PreparedSet {
        size,
        channels: 1,
        ids: (0..count).map(|i| i.to_string()).collect(),
        groups: (0..count).map(|i| i.to_string()).collect(),
        masks: images.iter().map(|v| v.signum()).collect(),
        images,
        vanished: Vec::new(),
        warnings: Vec::new(),
    }
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn training_step_batch_8_64(bencher: divan::Bencher) {
    let (config, device) = (Config::default(), Device::flex());
    let (schedule, set) = (Schedule::new(&config.schedule).expect("the default is valid"), pairs([64, 64]));
    let timesteps = config.timesteps().expect("the default is valid");
    let objective = Objective::new(Role::ModelX, &config, &schedule, &timesteps, None);
    let augment = AugmentConfig::default();
    let batches = Batches { set: &set, augment: &augment, num_train_timesteps: 1024, device: &device };
    let unet = network(&config, Role::ModelX, &device);
    let mut optimizer = Optimizer::new(&config.train, &unet);
    let (mut unet, mut step) = (unet.train(), 0);
    bencher.bench_local(|| {
        let batch = batches.training(&config.train, step * 8);
        let mut gradients = NamedGradients::new();
        let mut computed = objective.loss(&unet, &batch, Some(step as u64)).backward();
        accumulate(&unet, &mut computed, 1.0, &mut gradients);
        clip(&mut gradients, config.train.clip_grad_norm);
        unet = optimizer.step(unet.clone(), &gradients, 1e-4, step);
        step += 1;
    });
}

/// One kept timestep, so that sampling is one step of Algorithm 2.
fn algorithm_2_step(bencher: divan::Bencher, batch: u64, side: usize) {
    let device = Device::flex();
    let mut config = Config::default();
    config.data.size = [side, side];
    config.sample.num_inference_steps = 1;
    let models = Models::Pig {
        model_x: network(&config, Role::ModelX, &device),
        model_y: network(&config, Role::ModelY, &device),
    };
    let sampler = Sampler::new(&config, &models, &device).expect("the default is valid");
    let ids: Vec<u64> = (0..batch).collect();
    bencher.bench_local(|| sampler.pairs(&ids, &mut |_| {}));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn sampling_step_batch_8_64(bencher: divan::Bencher) {
    algorithm_2_step(bencher, 8, 64);
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn sampling_step_batch_1_256(bencher: divan::Bencher) {
    algorithm_2_step(bencher, 1, 256);
}
