//! `method = "pig"`: Algorithm 1 for model_x, and model_y under its three conditionings.

use crate::{
    Config, Error, Result,
    batch::Batch,
    build::{in_place, latent_flops, unet_flops},
    chains::Chains,
    checkpoint::State,
    config::{Conditioning, LossWeight},
    imported::{frozen::FrozenModelY, model_y::ModelY},
    latents::LatentCodec,
    load::{check_frozen, load_unet},
    methods::{
        condition, ldm,
        objective::Context,
        refinements::{gamma_of_masks, image_noise, mean_error, noisy_condition},
        unet::Learner,
    },
    networks::{LoadedNetworks, Networks},
    role::Role,
    samples::Samples,
};
use burn::tensor::{Device, Tensor};
use pig_diffusion::{
    autoguidance::Autoguided,
    denoiser::{Clipped, Denoiser},
    forward::add_noise,
    guide::{Guide, PredictedX0, PreviousX, Thresholded, threshold},
    guide_every::GuideEvery,
    independent::NoisedGuide,
    loss_weight::{min_snr_weights, weighted_mean},
    noise::{NoiseSource, Stream},
    pair::{Turn, algorithm_1, algorithm_2},
    resample::sample_resampled,
    single::{conditional_error, sigmoid_guide_weight},
    step::GivenX0,
};
use pig_nn::{network::Network, unet::UNet};
use std::path::Path;

/// What model_x learns: Algorithm 1, with its error weighted by timestep if `train.min_snr_gamma` and `train.min_snr_members` say so.
/// With a frozen model_y of latents, the images are latents and the masks are on the latents' grid.
#[derive(Clone, Copy, Debug)]
pub struct Guider;

impl Learner for Guider {
    fn role(&self) -> Role {
        Role::ModelX
    }

    fn loss(&self, model_x: &Network<'_>, context: Context<'_>, batch: &Batch, _is_training: bool) -> Tensor<1> {
        let Context { config, schedule, teachers, .. } = context;
        let on_latents = teachers.autoencoder.as_ref().map(|codec| ldm::on_latents(&codec.network, config, batch));
        let batch = on_latents.as_ref().unwrap_or(batch);
        let eps_1 = batch.draw(Stream::TrainX, &batch.masks);
        let eps_2 = image_noise(config, batch);
        let Some(gamma) = gamma_of_masks(config) else {
            return algorithm_1(model_x, schedule, (&batch.masks, &batch.images), (&eps_1, &eps_2), &batch.t);
        };
        let y_t = add_noise(schedule, &batch.images, &eps_2, &batch.t);
        let error = conditional_error(model_x, schedule, &batch.masks, &eps_1, &y_t, &batch.t);
        weighted_mean(error, &min_snr_weights(schedule, Denoiser::prediction_type(model_x), gamma, &batch.t))
    }

    fn frozen_flops(&self, config: &Config) -> f64 {
        if config.has_latents() { latent_flops(config)[0] } else { 0.0 }
    }

    fn frozen_sha256<'a>(&self, context: Context<'a>) -> Option<&'a str> {
        context.teachers.autoencoder.as_ref().map(|teacher| teacher.sha256.as_str())
    }

    /// `None`: to sample a mask, model_x needs the image that model_y makes.
    fn networks(&self, _context: Context<'_>, _unet: UNet) -> Option<Box<dyn Networks>> {
        None
    }
}

/// What model_y learns: its conditional diffusion loss, under the condition that it will have in sampling.
#[derive(Clone, Copy, Debug)]
pub struct Conditional;

impl Learner for Conditional {
    fn role(&self) -> Role {
        Role::ModelY
    }

    fn loss(&self, model_y: &Network<'_>, context: Context<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        let Context { config, schedule, .. } = context;
        let eps_2 = image_noise(config, batch);
        let guide = condition_of(context, batch, &eps_2, is_training);
        let told = if is_training { noisy_condition(config, schedule, batch, guide.clone()) } else { guide.clone() };
        let told = condition::dropped(&config.train, batch, told, is_training);
        let error = conditional_error(model_y, schedule, &batch.images, &eps_2, &told, &batch.t);
        let error = match config.model_y.loss_weight {
            LossWeight::None => error,
            LossWeight::SigmoidGuide => {
                // Of several classes, the one that the guide shows most.
                let weight = sigmoid_guide_weight(&guide.clone().max_dim(3));
                // An image without a mask has no guide.
                error * condition::mixed(weight.clone(), weight.ones_like(), &batch.unlabelled)
            }
        };
        mean_error(config, schedule, Denoiser::prediction_type(model_y), error, &batch.t)
    }

    fn frozen_flops(&self, config: &Config) -> f64 {
        if sees_model_x(config) { unet_flops(config, Role::ModelX) } else { 0.0 }
    }

    fn frozen_sha256<'a>(&self, context: Context<'a>) -> Option<&'a str> {
        let model_x = context.teachers.unet(Role::ModelX).filter(|_| sees_model_x(context.config));
        model_x.map(|teacher| teacher.sha256.as_str())
    }

    fn kept_timesteps(&self, context: Context<'_>) -> Option<Vec<usize>> {
        let is_bound = context.config.model_y.conditioning == Conditioning::Xprev;
        is_bound.then(|| context.timesteps.iter().map(|at| at.t).collect())
    }

    fn networks(&self, context: Context<'_>, unet: UNet) -> Option<Box<dyn Networks>> {
        let model_x = context.teachers.unet(Role::ModelX)?.network.clone();
        Some(Box::new(Pig { model_x, model_y: ModelY::own(unet) }))
    }
}

/// Whether model_y is trained on model_x's estimates.
fn sees_model_x(config: &Config) -> bool {
    config.model_y.conditioning == Conditioning::Xhat
}

/// What model_y is conditioned on in training, `[batch, height, width, classes]`.
fn condition_of(context: Context<'_>, batch: &Batch, eps_2: &Tensor<4>, training: bool) -> Tensor<4> {
    let Context { config, schedule, timesteps, teachers } = context;
    let (x_0, t) = (&batch.masks, &batch.t);
    match config.model_y.conditioning {
        Conditioning::Clean => x_0.clone(),
        Conditioning::Xprev => {
            let s: Vec<usize> = t.iter().map(|&t| timesteps.previous(t)).collect();
            let eps = batch.draw(Stream::TrainPrevious, x_0);
            add_noise(schedule, x_0, &eps, &s)
        }
        Conditioning::Xhat => {
            let Some(model_x) = teachers.unet(Role::ModelX) else { return x_0.clone() };
            let x_t = add_noise(schedule, x_0, &batch.draw(Stream::TrainX, x_0), t);
            let y_t = add_noise(schedule, &batch.images, eps_2, t);
            let guider = Network::new(&model_x.network, config.unet(Role::ModelX))
                .with_precision(config.train.precision)
                .told(&batch.told);
            let guider = in_place(guider, config, Role::ModelX, schedule);
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

/// The two networks, ready for sampling.
#[derive(Debug)]
pub struct Pig {
    /// The guider.
    pub model_x: UNet,
    /// The conditional model.
    pub model_y: ModelY,
}

impl Networks for Pig {
    fn pairs(&self, chains: &Chains<'_>, ids: &[u64], watch: &mut dyn FnMut(&Turn<'_>)) -> Option<Samples> {
        let noise = chains.noise(ids);
        let (x_start, y_start) = (chains.start(&noise, Stream::X), chains.start(&noise, Stream::Y));
        let (mut step_x, mut step_y) = (chains.step(&noise, Stream::X), chains.step(&noise, Stream::Y));
        let (x_0, y_0) = algorithm_2(
            &self.guider(chains),
            &chains.guided(self.image_network(chains)),
            &chains.schedule,
            &chains.timesteps,
            &guide(chains, &noise),
            (&mut step_x, &mut step_y),
            (x_start, y_start),
            watch,
        );
        Some(chains.finished(x_0, y_0, self.codec()))
    }

    /// A model_y that saw clean masks in training gets them directly. One that was trained on x_0-hat alone gets model_x's x_0-hat from
    /// (x_t of Eq. (9), y_t), as in training. One that was trained on x_{t-1} gets the x_{t-1} of Eq. (9).
    fn images_for(
        &self,
        chains: &Chains<'_>,
        masks: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        let model_y = chains.guided(self.image_network(chains));
        let direct = chains.config.knows_clean_masks();
        Some(chains.images_for(masks, ids, self.codec(), |given, noise, y_start| {
            if direct {
                let condition = chains.augmented(noise, PredictedX0).guide(given, given, given);
                return chains.conditional(&model_y, &condition, (noise, Stream::Y), y_start, watch);
            }
            let eps = chains.start(noise, Stream::X);
            let first = vec![chains.timesteps.first(); noise.batch()];
            let x_start = add_noise(&chains.schedule, given, &eps, &first);
            let mut step_x = GivenX0 { schedule: &chains.schedule, x_0: given.clone(), eps };
            algorithm_2(
                &self.guider(chains),
                &model_y,
                &chains.schedule,
                &chains.timesteps,
                &guide(chains, noise),
                (&mut step_x, &mut chains.step(noise, Stream::Y)),
                (x_start, y_start),
                &mut |turn| watch(turn.at.t),
            )
            .1
        }))
    }

    /// model_x sees the image with noise of Eq. (10) at the level of each step, as in its training. Each transition is made
    /// `sample.jump_n_sample` times.
    fn masks_for(
        &self,
        chains: &Chains<'_>,
        images: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        Some(chains.masks_for(images, ids, self.codec(), |given, noise, x_start| {
            let denoiser = chains.network(&self.model_x, Role::ModelX);
            let eps = chains.start(noise, Stream::Y);
            let network = chains.clipped(NoisedGuide { denoiser, schedule: &chains.schedule, eps });
            sample_resampled(
                &network,
                &chains.schedule,
                &chains.timesteps,
                given,
                &mut chains.step(noise, Stream::X),
                (chains.config.sample.jump_n_sample, noise),
                x_start,
                &mut |at, _| watch(at.t),
            )
        }))
    }

    fn codec(&self) -> Option<&LatentCodec> {
        self.model_y.codec()
    }
}

impl Pig {
    /// model_y, with autoguidance if it is asked for.
    fn image_network<'n>(&'n self, chains: &'n Chains<'_>) -> Autoguided<Box<dyn Denoiser + 'n>, Network<'n>> {
        chains.autoguided(self.model_y.denoiser(chains.config, &chains.trained), Role::ModelY)
    }

    /// model_x as the algorithm evaluates it: at every step, or less often by `sample.guide_every`.
    fn guider<'n>(&'n self, chains: &'n Chains<'_>) -> GuideEvery<Box<dyn Denoiser + 'n>> {
        let sample = &chains.config.sample;
        let denoiser = chains.clipped(chains.network(&self.model_x, Role::ModelX));
        GuideEvery::new(denoiser, sample.guide_every, sample.guide_every_alpha_bar)
    }
}

/// What model_y is conditioned on in sampling.
fn guide<'g>(chains: &'g Chains<'_>, noise: &NoiseSource) -> Box<dyn Guide + 'g> {
    match (chains.config.sample.guide_threshold, chains.config.model_y.conditioning) {
        (true, _) => chains.augmented(noise, Thresholded),
        (false, Conditioning::Xprev) => chains.augmented(noise, PreviousX),
        (false, Conditioning::Xhat | Conditioning::Clean) => chains.augmented(noise, PredictedX0),
    }
}

/// The networks of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    let (model_x, state_x) = load_unet(run, config, Role::ModelX, device)?;
    let (model_y, sha256_y) = if config.is_frozen(Role::ModelY) {
        let frozen = FrozenModelY::of_run(run)?;
        frozen.check_guider(&state_x)?;
        (frozen.model_y(config, device)?, frozen.sha256())
    } else {
        let (model_y, state_y) = load_unet(run, config, Role::ModelY, device)?;
        check_frozen(Role::ModelY, &state_x, &state_y)?;
        check_stride(config, &state_y)?;
        (ModelY::own(model_y), state_y.ema_sha256().to_owned())
    };
    let hashes = vec![state_x.ema_sha256().to_owned(), sha256_y];
    Ok(LoadedNetworks { networks: Box::new(Pig { model_x, model_y }), hashes, latents: None })
}

/// A model_y conditioned on x_{t-1} must be sampled with the stride of its training.
fn check_stride(config: &Config, state_y: &State) -> Result<()> {
    let kept: Vec<usize> = config.timesteps()?.iter().map(|at| at.t).collect();
    if config.model_y.conditioning == Conditioning::Xprev && state_y.kept_timesteps.as_ref() != Some(&kept) {
        let trained = state_y.kept_timesteps.as_ref().map_or(0, Vec::len);
        return Err(Error::Mismatch {
            what: "the kept timesteps of a model_y conditioned on x_{t-1}",
            found: format!("{} steps, {:?}", kept.len(), config.sample.timestep_spacing),
            expected: format!("the {trained} steps of its training"),
            advice: "sample with the num_inference_steps and timestep_spacing of training",
        });
    }
    Ok(())
}
