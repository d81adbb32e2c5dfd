//! `method = "pig"`: Algorithm 1 for model_x, and model_y under its three conditionings.

use crate::{
    batch::Batch,
    config::{Conditioning, LossWeight},
    methods::{
        condition,
        objective::Context,
        refinements::{gamma_of_masks, image_noise, mean_error, noisy_condition},
    },
};
use burn::tensor::Tensor;
use pig_diffusion::{
    denoiser::{Clipped, Denoiser},
    forward::add_noise,
    guide::threshold,
    loss_weight::{min_snr_weights, weighted_mean},
    noise::Stream,
    pair::algorithm_1,
    single::{conditional_error, sigmoid_guide_weight},
};
use pig_nn::network::{Network, Role};

/// Algorithm 1 on one batch, `[1]`; its error weighed by timestep where `train.min_snr_gamma` and
/// `train.min_snr_members` ask for it.
pub fn model_x_loss(model_x: &Network<'_>, context: Context<'_>, batch: &Batch) -> Tensor<1> {
    let Context { config, schedule, .. } = context;
    let eps_1 = batch.draw(Stream::TrainX, &batch.masks);
    let eps_2 = image_noise(config, batch);
    let Some(gamma) = gamma_of_masks(config) else {
        return algorithm_1(model_x, schedule, (&batch.masks, &batch.images), (&eps_1, &eps_2), &batch.t);
    };
    let y_t = add_noise(schedule, &batch.images, &eps_2, &batch.t);
    let error = conditional_error(model_x, schedule, &batch.masks, &eps_1, &y_t, &batch.t);
    weighted_mean(error, &min_snr_weights(schedule, Denoiser::prediction_type(model_x), gamma, &batch.t))
}

/// The loss of model_y on one batch, `[1]`: its conditional diffusion loss, under the condition that it will be given
/// while sampling.
pub fn model_y_loss(model_y: &Network<'_>, context: Context<'_>, batch: &Batch, training: bool) -> Tensor<1> {
    let Context { config, schedule, .. } = context;
    let eps_2 = image_noise(config, batch);
    let guide = guide(context, batch, &eps_2, training);
    let told = if training { noisy_condition(config, schedule, batch, guide.clone()) } else { guide.clone() };
    let told = condition::dropped(&config.train, batch, told, training);
    let error = conditional_error(model_y, schedule, &batch.images, &eps_2, &told, &batch.t);
    let error = match config.model_y.loss_weight {
        LossWeight::None => error,
        LossWeight::SigmoidGuide => error * sigmoid_guide_weight(&guide),
    };
    mean_error(config, schedule, Denoiser::prediction_type(model_y), error, &batch.t)
}

/// What model_y is conditioned on in training, `[batch, height, width, 1]`.
fn guide(context: Context<'_>, batch: &Batch, eps_2: &Tensor<4>, training: bool) -> Tensor<4> {
    let Context { config, schedule, timesteps, frozen } = context;
    let (x_0, t) = (&batch.masks, &batch.t);
    match config.model_y.conditioning {
        Conditioning::Clean => x_0.clone(),
        Conditioning::Xprev => {
            let s: Vec<usize> = t.iter().map(|&t| timesteps.previous(t)).collect();
            let eps = batch.draw(Stream::TrainPrevious, x_0);
            add_noise(schedule, x_0, &eps, &s)
        }
        Conditioning::Xhat => {
            let Some(model_x) = &frozen.model_x else { return x_0.clone() };
            let x_t = add_noise(schedule, x_0, &batch.draw(Stream::TrainX, x_0), t);
            let y_t = add_noise(schedule, &batch.images, eps_2, t);
            let guider = Network::new(&model_x.network, config.unet(Role::ModelX))
                .with_precision(config.train.precision)
                .on_volumes(config.volume());
            let estimate = if config.sample.clip_sample {
                Clipped(&guider).estimate(schedule, &x_t, &y_t, t)
            } else {
                guider.estimate(schedule, &x_t, &y_t, t)
            };
            let x_hat = if config.sample.guide_threshold { threshold(&estimate.x_0) } else { estimate.x_0 };
            let probability = config.train.clean_condition_prob;
            if !training || probability == 0.0 {
                return x_hat;
            }
            let clean = condition::chosen(config.train.seed, probability, Stream::TrainCondition, batch);
            condition::mixed(x_hat, x_0.clone(), &clean)
        }
    }
}
