//! Sampling pairs from loaded networks: the one place where a configuration becomes guides, steps and denoisers.

use crate::{
    Config, Result,
    arrays::{InitialNoise, Recorder},
    config::Conditioning,
    imported::model_y::ModelY,
    latents::{LatentCodec, host},
    models::Models,
    samples::{Given, Samples, StripEstimate},
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::resample::resize_image;
use pig_diffusion::{
    condition_noise::NoisyCondition,
    denoiser::{Clipped, Denoiser},
    forward::add_noise,
    guidance::Guided,
    guide::{Guide, PredictedX0, PreviousX, Thresholded},
    guide_every::GuideEvery,
    independent::{ImageGivenMask, MaskGivenImage, NoisedGuide},
    joint::sample_joint,
    noise::{NoiseSource, Stream},
    pair::{Turn, algorithm_2},
    resample::sample_resampled,
    schedule::Schedule,
    single::sample_conditional,
    step::{GivenX0, Step},
    timesteps::{Timesteps, Transition},
};
use pig_nn::{
    autoencoder::area_mean,
    control::Controlled,
    network::{Network, Role},
    unet::UNet,
};

/// What holds where the callers ask [`Config::takes`] first.
const NO_ENTRANCE: &str = "the method does not make this";

/// Samples pairs, or what the method makes of them.
#[derive(Clone, Debug)]
pub struct Sampler<'a> {
    config: &'a Config,
    models: &'a Models,
    /// The levels that the chains walk: the training's own, but for those of Karras et al.
    schedule: Schedule,
    /// The training's.
    trained: Schedule,
    timesteps: Timesteps,
    initial: Option<&'a InitialNoise>,
    recorder: Option<&'a Recorder>,
    device: &'a Device,
}

impl<'a> Sampler<'a> {
    /// A sampler under the `[schedule]` and `[sample]` sections of `config`.
    pub fn new(config: &'a Config, models: &'a Models, device: &'a Device) -> Result<Self> {
        let (schedule, timesteps) = config.levels()?;
        let trained = Schedule::new(&config.schedule)?;
        Ok(Self { config, models, schedule, trained, timesteps, initial: None, recorder: None, device })
    }

    /// The same sampler, whose chains start from given noise where `initial` has it.
    #[must_use]
    pub fn starting_from(mut self, initial: Option<&'a InitialNoise>) -> Self {
        self.initial = initial;
        self
    }

    /// The same sampler, whose chains `recorder` writes down.
    #[must_use]
    pub fn recorded_by(mut self, recorder: Option<&'a Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    /// The schedule whose levels the chains walk.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The moves of sampling.
    pub fn timesteps(&self) -> &Timesteps {
        &self.timesteps
    }

    /// Samples what the method makes from what is given. `watch` is told the timestep of every turn.
    ///
    /// Methods that do not take what is given have no entrance here; [`Config::takes`] tells before any work.
    pub fn sample(&self, given: Given<'_>, ids: &[u64], watch: &mut dyn FnMut(usize)) -> Samples {
        match (given, self.models) {
            (Given::Nothing, Models::Unconditional(unet)) => self.images(unet, ids, watch),
            (Given::Nothing, _) => self.pairs(ids, &mut |turn| watch(turn.at.t)),
            (Given::Masks(masks), _) => self.images_for(masks, ids, watch),
            (Given::Images(images), _) => self.masks_for(images, ids, watch),
        }
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
                &self.guided(model_y.denoiser(self.config)),
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
            _ => unreachable!("{NO_ENTRANCE}"),
        };
        self.finished(x_0, y_0)
    }

    /// Samples images without masks.
    fn images(&self, unet: &UNet, ids: &[u64], watch: &mut dyn FnMut(usize)) -> Samples {
        let noise = self.noise(ids);
        let y_start = self.start(&noise, Stream::Y);
        let network = self.clipped(self.network(unet, Role::Unconditional).without_guide());
        let nothing = y_start.zeros_like();
        let y_0 = self.conditional(&network, &nothing, (&noise, Stream::Y), y_start, watch);
        Samples { masks: Vec::new(), images: rows(y_0) }
    }

    /// Samples images for given masks (`height * width` values of -1 or 1), one for each id.
    ///
    /// A model_y that saw clean masks in training takes them directly. One trained on x_0-hat alone is given model_x's
    /// x_0-hat from (x_t of Eq. (9), y_t), as in training; one trained on x_{t-1} is given Eq. (9)'s.
    pub fn images_for(&self, masks: &[&[f32]], ids: &[u64], watch: &mut dyn FnMut(usize)) -> Samples {
        let [height, width] = self.config.data.size;
        let values: Vec<f32> = masks.concat();
        let given = Tensor::from_data(TensorData::new(values, [ids.len(), height, width, 1]), self.device);
        let noise = self.noise(ids);
        let y_start = self.start(&noise, Stream::Y);
        let masks = Samples { masks: rows(given.clone()), images: Vec::new() };
        let given = match self.codec() {
            Some(_) => area_mean(given, self.config.autoencoder.factor(), self.config.volume()),
            None => given,
        };
        let y_0 = match self.models {
            Models::Latent { unet, .. } => {
                let network = self.image_denoiser(unet, Role::Latent);
                self.conditional(&network, &given, (&noise, Stream::Y), y_start, watch)
            }
            Models::Pig { model_x, model_y } => self.pig_images(model_x, model_y, &given, &noise, y_start, watch),
            Models::SegGuided(unet) => {
                let network = self.image_denoiser(unet, Role::SegGuided);
                self.conditional(&network, &given, (&noise, Stream::Y), y_start, watch)
            }
            Models::Control { base, control } => {
                let network = Controlled::new(base, control, self.config.unet(Role::Control));
                let network = self.guided(network.with_precision(self.config.sample.precision));
                self.conditional(&network, &given, (&noise, Stream::Y), y_start, watch)
            }
            Models::Joint(unet) => {
                let network = self.clipped(ImageGivenMask(self.network(unet, Role::Joint)));
                self.conditional(&network, &given, (&noise, Stream::Y), y_start, watch)
            }
            Models::Unconditional(_) => unreachable!("{NO_ENTRANCE}"),
        };
        Samples { images: self.images_of(y_0), ..masks }
    }

    /// Samples masks for given images, one for each id. model_x of `pig` sees the image noised by Eq. (10) to the level of each
    /// step, as in its training, and each move is made `sample.jump_n_sample` times; `joint` with independent noise levels sees it clean.
    pub fn masks_for(&self, images: &[&[f32]], ids: &[u64], watch: &mut dyn FnMut(usize)) -> Samples {
        let ([height, width], channels) = (self.config.data.size, self.config.data.channels);
        let data = TensorData::new(images.concat(), [ids.len(), height, width, channels]);
        let given = Tensor::from_data(data, self.device);
        let images = rows(given.clone());
        let given = match self.codec() {
            Some(codec) => codec.encode_means(given, self.config.sample.precision),
            None => given,
        };
        let noise = self.noise(ids);
        let x_start = self.start(&noise, Stream::X);
        let x_0 = match self.models {
            Models::Pig { model_x, .. } => {
                let denoiser = self.network(model_x, Role::ModelX);
                let eps = self.start(&noise, Stream::Y);
                let network = self.clipped(NoisedGuide { denoiser, schedule: &self.schedule, eps });
                sample_resampled(
                    &network,
                    &self.schedule,
                    &self.timesteps,
                    &given,
                    &mut self.step(&noise, Stream::X),
                    (self.config.sample.jump_n_sample, &noise),
                    x_start,
                    &mut |at, _| watch(at.t),
                )
            }
            Models::Joint(unet) => {
                let network = self.clipped(MaskGivenImage(self.network(unet, Role::Joint)));
                self.conditional(&network, &given, (&noise, Stream::X), x_start, watch)
            }
            _ => unreachable!("{NO_ENTRANCE}"),
        };
        Samples { masks: self.masks_of(x_0), images }
    }

    /// To and from latents, where images are made of them.
    fn codec(&self) -> Option<&'a LatentCodec> {
        match self.models {
            Models::Latent { codec, .. } => Some(codec),
            Models::Pig { model_y, .. } => model_y.codec(),
            _ => None,
        }
    }

    /// Masks and images of the two chains' ends, or of estimates of them.
    fn finished(&self, x_0: Tensor<4>, y_0: Tensor<4>) -> Samples {
        Samples { masks: self.masks_of(x_0), images: self.images_of(y_0) }
    }

    /// Images of what the y chain makes.
    fn images_of(&self, y_0: Tensor<4>) -> Vec<Vec<f32>> {
        rows(match self.codec() {
            Some(codec) => codec.decode(y_0, self.config.sample.precision),
            None => y_0,
        })
    }

    /// Masks of the image's size of what the x chain makes: interpolated linearly where it lies on a latent's grid.
    fn masks_of(&self, x_0: Tensor<4>) -> Vec<Vec<f32>> {
        let ([_, height, width, _], size) = (x_0.dims(), self.config.data.size);
        if let Some(volume) = self.config.volume() {
            let doublings = (size[1] / width).trailing_zeros();
            return rows((0..doublings).fold(x_0, |x_0, _| volume.upsample_linear(x_0)));
        }
        let resized = |mask: Vec<f32>| resize_image(&mask, [height, width], size, 1);
        rows(x_0).into_iter().map(resized).collect()
    }

    /// The estimates of a turn on the host, for progress strips.
    pub fn strip_estimate(&self, turn: &Turn<'_>) -> StripEstimate {
        StripEstimate { t: turn.at.t, samples: self.finished(turn.x.x_0.clone(), turn.y.x_0.clone()) }
    }

    fn pig_images(
        &self,
        model_x: &UNet,
        model_y: &ModelY,
        given: &Tensor<4>,
        noise: &NoiseSource,
        y_start: Tensor<4>,
        watch: &mut dyn FnMut(usize),
    ) -> Tensor<4> {
        let model_y = self.guided(model_y.denoiser(self.config));
        let direct = match self.config.model_y.conditioning {
            Conditioning::Clean => true,
            Conditioning::Xhat => self.config.train.clean_condition_prob > 0.0,
            Conditioning::Xprev => false,
        };
        if direct {
            let condition = self.guide_noise(noise, PredictedX0).guide(given, given, given);
            return self.conditional(&model_y, &condition, (noise, Stream::Y), y_start, watch);
        }
        let eps = self.start(noise, Stream::X);
        let first = vec![self.timesteps.first(); noise.batch()];
        let x_start = add_noise(&self.schedule, given, &eps, &first);
        let mut step_x = GivenX0 { schedule: &self.schedule, x_0: given.clone(), eps };
        algorithm_2(
            &self.guider(model_x),
            &model_y,
            &self.schedule,
            &self.timesteps,
            &self.guide(noise),
            (&mut step_x, &mut self.step(noise, Stream::Y)),
            (x_start, y_start),
            &mut |turn| watch(turn.at.t),
        )
        .1
    }

    /// Samples one chain (y, or x where masks are made) under one condition for all steps.
    fn conditional(
        &self,
        network: &impl Denoiser,
        condition: &Tensor<4>,
        (noise, stream): (&NoiseSource, Stream),
        start: Tensor<4>,
        watch: &mut dyn FnMut(usize),
    ) -> Tensor<4> {
        let mut step = self.step(noise, stream);
        let mut told = |at: Transition, _: &_| watch(at.t);
        sample_conditional(network, &self.schedule, &self.timesteps, condition, &mut step, start, &mut told)
    }

    fn noise(&self, ids: &[u64]) -> NoiseSource {
        NoiseSource::new(self.config.sample.seed, ids.to_vec(), self.device)
    }

    /// x_T or y_T: one start for each sample, whatever the number of steps.
    fn start(&self, noise: &NoiseSource, stream: Stream) -> Tensor<4> {
        let size = self.start_size(stream);
        let given = self.initial.and_then(|initial| initial.start(stream, noise.samples(), size, self.device));
        given.unwrap_or_else(|| noise.draw(stream, 0, size))
    }

    /// Height, width and channels of x_T or y_T.
    pub(crate) fn start_size(&self, stream: Stream) -> [usize; 3] {
        let ([height, width], channels) = self.config.grid(Role::ModelY);
        [height, width, if stream == Stream::Y { channels } else { 1 }]
    }

    fn step(&self, noise: &NoiseSource, stream: Stream) -> Box<dyn Step + '_> {
        let step = self.config.sample.sampler_settings().step(&self.schedule, (noise.clone(), stream));
        match self.recorder {
            Some(recorder) => recorder.record(step, stream),
            None => step,
        }
    }

    fn network<'n>(&self, unet: &'n UNet, role: Role) -> Network<'n> {
        Network::new(unet, self.config.unet(role))
            .with_precision(self.config.sample.precision)
            .on_volumes(self.config.volume())
    }

    fn denoiser<'n>(&self, unet: &'n UNet, role: Role) -> Box<dyn Denoiser + 'n> {
        self.clipped(self.network(unet, role))
    }

    /// A network that makes images for masks, under classifier-free guidance where it is asked for.
    fn image_denoiser<'n>(&self, unet: &'n UNet, role: Role) -> Box<dyn Denoiser + 'n> {
        self.guided(self.network(unet, role))
    }

    fn guided<'n>(&self, denoiser: impl Denoiser + 'n) -> Box<dyn Denoiser + 'n> {
        self.clipped(Guided { denoiser, scale: self.config.sample.guidance_scale })
    }

    fn clipped<'n>(&self, denoiser: impl Denoiser + 'n) -> Box<dyn Denoiser + 'n> {
        if self.config.sample.clip_sample { Box::new(Clipped(denoiser)) } else { Box::new(denoiser) }
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
        let ([height, width], _) = self.config.grid(Role::ModelY);
        match self.config.sample.condition_augmentation {
            0 => Box::new(guide),
            t => {
                let eps = noise.draw(Stream::Condition, 0, [height, width, 1]);
                Box::new(NoisyCondition { guide, schedule: &self.trained, t, eps })
            }
        }
    }
}

/// `[batch, ..]` as one vector a sample.
fn rows(tensor: Tensor<4>) -> Vec<Vec<f32>> {
    let [batch, height, width, channels] = tensor.dims();
    let values = host(tensor);
    let each = height * width * channels;
    debug_assert_eq!(values.len(), batch * each);
    values.chunks_exact(each.max(1)).map(<[f32]>::to_vec).collect()
}
