//! Sampling pairs from loaded networks: the one place where a configuration becomes guides, steps and denoisers.

use crate::{
    Config, Result,
    config::{Conditioning, Method},
    stepper::stepper,
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_diffusion::{
    condition_noise::NoisyCondition,
    denoiser::{Clipped, Denoiser},
    forward::add_noise,
    guide::{Guide, PredictedX0, PreviousX, Thresholded},
    guide_every::GuideEvery,
    joint::sample_joint,
    noise::{NoiseSource, Stream},
    pair::{Turn, algorithm_2},
    schedule::Schedule,
    single::sample_conditional,
    step::{GivenX0, Step},
    timesteps::Timesteps,
};
use pig_nn::{
    network::{Network, Role},
    unet::UNet,
};

/// The networks of a method, with averaged weights, in evaluation mode.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process holds one or two of them")]
pub enum Models {
    /// The paper's two.
    Pig {
        /// The guider.
        model_x: UNet,
        /// The conditional model.
        model_y: UNet,
    },
    /// One for both.
    Joint(UNet),
}

/// Samples pairs.
#[derive(Debug)]
pub struct Sampler<'a> {
    config: &'a Config,
    models: &'a Models,
    /// The levels that the chains walk: the training's own, but for those of Karras et al.
    schedule: Schedule,
    /// The training's.
    trained: Schedule,
    timesteps: Timesteps,
    device: &'a Device,
}

/// Samples on the host: masks (x_0-hat) and images (y_0-hat), before any threshold or rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// One mask a sample, `height * width` values, about -1 to 1.
    pub masks: Vec<Vec<f32>>,
    /// One image a sample, `height * width * channels` values, about -1 to 1.
    pub images: Vec<Vec<f32>>,
}

/// One sample's estimates at one timestep.
#[derive(Clone, Debug)]
pub struct StripEstimate {
    /// The timestep.
    pub t: usize,
    /// Estimated masks and images of the whole batch.
    pub samples: Samples,
}

impl<'a> Sampler<'a> {
    /// A sampler under the `[schedule]` and `[sample]` sections of `config`.
    pub fn new(config: &'a Config, models: &'a Models, device: &'a Device) -> Result<Self> {
        let (schedule, timesteps) = config.levels()?;
        Ok(Self { config, models, schedule, trained: Schedule::new(&config.schedule)?, timesteps, device })
    }

    /// The moves of sampling.
    pub fn timesteps(&self) -> &Timesteps {
        &self.timesteps
    }

    /// Samples the pairs named by `ids`. `watch` is told every turn.
    pub fn pairs(&self, ids: &[u64], watch: &mut dyn FnMut(&Turn<'_>)) -> Samples {
        let noise = self.noise(ids);
        let (x_start, y_start) = (self.start(&noise, Stream::X), self.start(&noise, Stream::Y));
        let (mut step_x, mut step_y) = (self.step(&noise, Stream::X), self.step(&noise, Stream::Y));
        let (schedule, timesteps) = (&self.schedule, &self.timesteps);
        let (x_0, y_0) = match self.models {
            Models::Pig { model_x, model_y } => algorithm_2(
                &self.guider(model_x),
                &self.denoiser(model_y, Role::ModelY),
                schedule,
                timesteps,
                &self.guide(&noise),
                (&mut step_x, &mut step_y),
                (x_start, y_start),
                watch,
            ),
            Models::Joint(unet) => sample_joint(
                &self.network(unet, Role::Joint),
                schedule,
                timesteps,
                (&mut step_x, &mut step_y),
                (x_start, y_start),
                self.config.sample.clip_sample,
                watch,
            ),
        };
        Samples { masks: rows(x_0), images: rows(y_0) }
    }

    /// Samples images for given masks (`height * width` values of -1 or 1), one for each id.
    ///
    /// A model_y that saw clean masks in training takes them directly. One trained on x_0-hat alone is given model_x's
    /// x_0-hat from (x_t of Eq. (9), y_t), as in training; one trained on x_{t-1} is given Eq. (9)'s. `joint` has no
    /// such entrance: [`takes_masks`] tells before any work.
    pub fn images_for(&self, masks: &[&[f32]], ids: &[u64], watch: &mut dyn FnMut(usize)) -> Samples {
        let Models::Pig { model_x, model_y } = self.models else { unreachable!("callers ask takes_masks first") };
        let [height, width] = self.config.data.size;
        let values: Vec<f32> = masks.concat();
        let given = Tensor::from_data(TensorData::new(values, [ids.len(), height, width, 1]), self.device);
        let noise = self.noise(ids);
        let y_start = self.start(&noise, Stream::Y);
        let mut step_y = self.step(&noise, Stream::Y);
        let model_y = self.denoiser(model_y, Role::ModelY);
        let (schedule, timesteps) = (&self.schedule, &self.timesteps);
        let direct = match self.config.model_y.conditioning {
            Conditioning::Clean => true,
            Conditioning::Xhat => self.config.train.clean_condition_prob > 0.0,
            Conditioning::Xprev => false,
        };
        let y_0 = if direct {
            let mut told = |at: pig_diffusion::timesteps::Transition, _: &_| watch(at.t);
            let condition = self.guide_noise(&noise, PredictedX0).guide(&given, &given, &given);
            sample_conditional(&model_y, schedule, timesteps, &condition, &mut step_y, y_start, &mut told)
        } else {
            let eps = self.start(&noise, Stream::X);
            let first = vec![timesteps.first(); ids.len()];
            let x_start = add_noise(schedule, &given, &eps, &first);
            let mut step_x = GivenX0 { schedule, x_0: given.clone(), eps };
            algorithm_2(
                &self.guider(model_x),
                &model_y,
                schedule,
                timesteps,
                &self.guide(&noise),
                (&mut step_x, &mut step_y),
                (x_start, y_start),
                &mut |turn| watch(turn.at.t),
            )
            .1
        };
        Samples { masks: rows(given), images: rows(y_0) }
    }

    fn noise(&self, ids: &[u64]) -> NoiseSource {
        NoiseSource::new(self.config.sample.seed, ids.to_vec(), self.device)
    }

    /// x_T or y_T: one start for each sample, whatever the number of steps.
    fn start(&self, noise: &NoiseSource, stream: Stream) -> Tensor<4> {
        let [height, width] = self.config.data.size;
        let channels = if stream == Stream::Y { self.config.data.channels } else { 1 };
        noise.draw(stream, 0, [height, width, channels])
    }

    fn step(&self, noise: &NoiseSource, stream: Stream) -> Box<dyn Step + '_> {
        stepper(&self.config.sample, &self.schedule, (noise.clone(), stream))
    }

    fn network<'n>(&self, unet: &'n UNet, role: Role) -> Network<'n> {
        Network::new(unet, self.config.unet(role)).with_precision(self.config.sample.precision)
    }

    fn denoiser<'n>(&self, unet: &'n UNet, role: Role) -> Box<dyn Denoiser + 'n> {
        let network = self.network(unet, role);
        if self.config.sample.clip_sample { Box::new(Clipped(network)) } else { Box::new(network) }
    }

    fn guider<'n>(&self, unet: &'n UNet) -> GuideEvery<Box<dyn Denoiser + 'n>> {
        let sample = &self.config.sample;
        GuideEvery::new(self.denoiser(unet, Role::ModelX), sample.guide_every, sample.guide_every_alpha_bar)
    }

    fn guide(&self, noise: &NoiseSource) -> Box<dyn Guide + '_> {
        match (self.config.sample.guide_threshold, self.config.model_y.conditioning) {
            (true, _) => self.guide_noise(noise, Thresholded),
            (false, Conditioning::Xprev) => self.guide_noise(noise, PreviousX),
            (false, Conditioning::Xhat | Conditioning::Clean) => self.guide_noise(noise, PredictedX0),
        }
    }

    /// `guide` with `sample.condition_augmentation`.
    fn guide_noise<'g>(&'g self, noise: &NoiseSource, guide: impl Guide + 'g) -> Box<dyn Guide + 'g> {
        let [height, width] = self.config.data.size;
        match self.config.sample.condition_augmentation {
            0 => Box::new(guide),
            t => {
                let eps = noise.draw(Stream::Condition, 0, [height, width, 1]);
                Box::new(NoisyCondition { guide, schedule: &self.trained, t, eps })
            }
        }
    }
}

/// The estimates of a turn on the host, for progress strips.
pub fn strip_estimate(turn: &Turn<'_>) -> StripEstimate {
    let samples = Samples { masks: rows(turn.x.x_0.clone()), images: rows(turn.y.x_0.clone()) };
    StripEstimate { t: turn.at.t, samples }
}

/// `[batch, ..]` as one vector a sample.
fn rows(tensor: Tensor<4>) -> Vec<Vec<f32>> {
    let [batch, height, width, channels] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().try_into_vec::<f32>().expect("networks compute in f32");
    let each = height * width * channels;
    debug_assert_eq!(values.len(), batch * each);
    values.chunks_exact(each.max(1)).map(<[f32]>::to_vec).collect()
}

/// Whether images can be made for given masks.
pub fn takes_masks(config: &Config) -> bool {
    config.method == Method::Pig
}
