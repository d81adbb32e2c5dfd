//! The diffusion chains of a sampling, for every method: noise, schedule, steps and denoisers by the configuration.

use crate::{
    Config, Result,
    arrays::{InitialNoise, Recorder},
    build::in_place,
    latents::{LatentCodec, host},
    role::Role,
    samples::Samples,
    steps::StepPictures,
    weak::WeakNetworks,
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::resample::resize_image;
use pig_diffusion::{
    autoguidance::{Autoguided, Weak},
    condition_noise::NoisyCondition,
    denoiser::{Clipped, Denoiser},
    guidance::Guided,
    guide::Guide,
    noise::{NoiseSource, Stream},
    schedule::Schedule,
    single::sample_conditional,
    step::Step,
    timesteps::{Timesteps, Transition},
};
use pig_nn::{autoencoder::area_mean, network::Network, ops::is_cpu, unet::UNet};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What all chains of a sampling share.
#[derive(Clone, Debug)]
pub struct Chains<'a> {
    pub(crate) config: &'a Config,
    /// The noise levels of sampling: those of training, except with the levels of Karras et al.
    pub(crate) schedule: Schedule,
    /// The noise levels of training.
    pub(crate) trained: Schedule,
    pub(crate) timesteps: Timesteps,
    initial: Option<&'a InitialNoise>,
    recorder: Option<&'a Recorder>,
    pictures: Option<&'a StepPictures>,
    weak: Option<&'a WeakNetworks>,
    stop: Option<Arc<AtomicBool>>,
    device: &'a Device,
}

impl<'a> Chains<'a> {
    /// The chains with the `[schedule]` and `[sample]` sections of `config`.
    pub(crate) fn new(config: &'a Config, device: &'a Device) -> Result<Self> {
        let (schedule, timesteps) = config.levels()?;
        let trained = Schedule::new(&config.schedule)?;
        Ok(Self {
            config,
            schedule,
            trained,
            timesteps,
            initial: None,
            recorder: None,
            pictures: None,
            weak: None,
            stop: None,
            device,
        })
    }

    /// The same chains, which start from the noise of `initial` if it has noise for them.
    #[must_use]
    pub(crate) fn starting_from(mut self, initial: Option<&'a InitialNoise>) -> Self {
        self.initial = initial;
        self
    }

    /// The same chains, recorded by `recorder`.
    #[must_use]
    pub(crate) fn recorded_by(mut self, recorder: Option<&'a Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    /// The same chains, whose steps are shown by `pictures`.
    #[must_use]
    pub(crate) fn shown_by(mut self, pictures: Option<&'a StepPictures>) -> Self {
        self.pictures = pictures;
        self
    }

    /// The same chains, whose networks are moved away from worse versions of themselves.
    pub(crate) fn away_from<'w>(self, weak: &'w WeakNetworks) -> Chains<'w>
    where
        'a: 'w,
    {
        Chains { weak: Some(weak), ..self }
    }

    /// The same chains, which end after the turn in which `stop` is set.
    #[must_use]
    pub(crate) fn until(mut self, stop: Arc<AtomicBool>) -> Self {
        self.timesteps = self.timesteps.until(Arc::clone(&stop));
        self.stop = Some(stop);
        self
    }

    /// What ends the chains, if anything can.
    pub(crate) fn stop(&self) -> Option<&Arc<AtomicBool>> {
        self.stop.as_ref()
    }

    /// Whether the chains have ended early.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Whether the chains are recorded or shown.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorder.is_some() || self.pictures.is_some()
    }

    /// Whether the chains run on the host's processor.
    pub(crate) fn is_on_host(&self) -> bool {
        is_cpu(self.device)
    }

    /// The noise of the samples `ids`.
    pub(crate) fn noise(&self, ids: &[u64]) -> NoiseSource {
        NoiseSource::new(self.config.sample.seed, ids.to_vec(), self.device)
    }

    /// x_T or y_T: one start for each sample, the same for any number of steps.
    pub(crate) fn start(&self, noise: &NoiseSource, stream: Stream) -> Tensor<4> {
        let size = self.start_size(stream);
        let given = self.initial.and_then(|initial| initial.start(stream, noise.samples(), size, self.device));
        given.unwrap_or_else(|| noise.draw(stream, 0, size))
    }

    /// Height, width and channels of x_T or y_T.
    pub(crate) fn start_size(&self, stream: Stream) -> [usize; 3] {
        let ([height, width], channels) = self.config.image_grid();
        [height, width, if stream == Stream::Y { channels } else { self.config.data.mask_channels() }]
    }

    /// The sampler's step for the chain of x or y.
    pub(crate) fn step(&self, noise: &NoiseSource, stream: Stream) -> Box<dyn Step + '_> {
        let step = self.config.sample.sampler_settings().step(&self.schedule, (noise.clone(), stream));
        let step = match self.recorder {
            Some(recorder) => recorder.record(step, stream),
            None => step,
        };
        match self.pictures {
            Some(pictures) => pictures.show(step, stream),
            None => step,
        }
    }

    /// The U-Net of `role` in the precision of sampling, with autoguidance.
    pub(crate) fn network<'n>(&'n self, unet: &'n UNet, role: Role) -> Autoguided<Network<'n>, Network<'n>> {
        let network = Network::new(unet, self.config.unet(role)).with_precision(self.config.sample.precision);
        self.autoguided(in_place(network, self.config, role, &self.trained), role)
    }

    /// The same network without its guide.
    pub(crate) fn unconditional<'n>(&'n self, unet: &'n UNet, role: Role) -> Autoguided<Network<'n>, Network<'n>> {
        let Autoguided { strong, weak } = self.network(unet, role);
        let weak = weak.map(|weak| Weak { network: weak.network.without_guide(), ..weak });
        Autoguided { strong: strong.without_guide(), weak }
    }

    /// `strong`, the network of `role`, with autoguidance if `sample.autoguidance` asks for it.
    pub(crate) fn autoguided<D>(&self, strong: D, role: Role) -> Autoguided<D, Network<'_>> {
        let network = self.weak.and_then(|weak| weak.network(role, &self.trained));
        let weak = network.map(|network| Weak {
            network: network.with_precision(self.config.sample.precision),
            scale: self.config.sample.autoguidance.scale,
            interval: self.config.sample.guided_levels(&self.schedule),
        });
        Autoguided { strong, weak }
    }

    /// `denoiser` with classifier-free guidance of scale `sample.guidance_scale`, and [`clipped`](Self::clipped).
    pub(crate) fn guided<'n>(&self, denoiser: impl Denoiser + 'n) -> Box<dyn Denoiser + 'n> {
        self.clipped(Guided {
            denoiser,
            scale: self.config.sample.guidance_scale,
            interval: self.config.sample.guided_levels(&self.schedule),
        })
    }

    /// `denoiser`, with its estimates clipped to [-1, 1] if `sample.clip_sample` is set.
    pub(crate) fn clipped<'n>(&self, denoiser: impl Denoiser + 'n) -> Box<dyn Denoiser + 'n> {
        if self.config.sample.clip_sample { Box::new(Clipped(denoiser)) } else { Box::new(denoiser) }
    }

    /// `guide` with the noise of `sample.condition_augmentation`.
    pub(crate) fn augmented<'g>(&'g self, noise: &NoiseSource, guide: impl Guide + 'g) -> Box<dyn Guide + 'g> {
        let ([height, width], _) = self.config.image_grid();
        match self.config.sample.condition_augmentation {
            0 => Box::new(guide),
            t => {
                let eps = noise.draw(Stream::Condition, 0, [height, width, self.config.data.mask_channels()]);
                Box::new(NoisyCondition { guide, schedule: &self.trained, t, eps })
            }
        }
    }

    /// Samples one chain (y, or x to make masks) under the same condition at all steps.
    pub(crate) fn conditional(
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

    /// Images for `masks` (`height * width * classes` values of -1 or 1, one for each id). `chain` turns the masks on the image's grid, the noise
    /// and y_T into y_0.
    pub(crate) fn images_for(
        &self,
        masks: &[&[f32]],
        ids: &[u64],
        codec: Option<&LatentCodec>,
        chain: impl FnOnce(&Tensor<4>, &NoiseSource, Tensor<4>) -> Tensor<4>,
    ) -> Samples {
        let ([height, width], classes) = (self.config.data.size, self.config.data.mask_channels());
        let given =
            Tensor::from_data(TensorData::new(masks.concat(), [ids.len(), height, width, classes]), self.device);
        let noise = self.noise(ids);
        let masks = rows(given.clone());
        let given = match codec {
            Some(_) => area_mean(given, self.config.autoencoder.factor(), self.config.volume()),
            None => given,
        };
        let y_0 = chain(&given, &noise, self.start(&noise, Stream::Y));
        Samples { images: self.images_of(y_0, codec), masks }
    }

    /// [`images_for`](Self::images_for) by one chain under the masks.
    pub(crate) fn images_by(
        &self,
        network: &impl Denoiser,
        masks: &[&[f32]],
        ids: &[u64],
        codec: Option<&LatentCodec>,
        watch: &mut dyn FnMut(usize),
    ) -> Samples {
        self.images_for(masks, ids, codec, |given, noise, y_start| {
            self.conditional(network, given, (noise, Stream::Y), y_start, watch)
        })
    }

    /// Masks for `images` (`height * width * channels` values, one for each id). `chain` turns the images (or the means of their latents),
    /// the noise and x_T into x_0.
    pub(crate) fn masks_for(
        &self,
        images: &[&[f32]],
        ids: &[u64],
        codec: Option<&LatentCodec>,
        chain: impl FnOnce(&Tensor<4>, &NoiseSource, Tensor<4>) -> Tensor<4>,
    ) -> Samples {
        let ([height, width], channels) = (self.config.data.size, self.config.data.channels.count());
        let data = TensorData::new(images.concat(), [ids.len(), height, width, channels]);
        let given = Tensor::from_data(data, self.device);
        let images = rows(given.clone());
        let given = match codec {
            Some(codec) => codec.encode_means(given, self.config.sample.precision),
            None => given,
        };
        let noise = self.noise(ids);
        let x_0 = chain(&given, &noise, self.start(&noise, Stream::X));
        Samples { masks: self.masks_of(x_0), images }
    }

    /// Masks and images from the ends of both chains, or from estimates of these ends.
    pub(crate) fn finished(&self, x_0: Tensor<4>, y_0: Tensor<4>, codec: Option<&LatentCodec>) -> Samples {
        Samples { masks: self.masks_of(x_0), images: self.images_of(y_0, codec) }
    }

    /// Images from the end of the y chain; none where the chains have ended early, since decoding takes long.
    pub(crate) fn images_of(&self, y_0: Tensor<4>, codec: Option<&LatentCodec>) -> Vec<Vec<f32>> {
        if self.is_stopped() {
            return Vec::new();
        }
        rows(match codec {
            Some(codec) => codec.decode(y_0, self.config.sample.precision),
            None => y_0,
        })
    }

    /// Masks of the image's size from the end of the x chain; they are interpolated linearly if the chain runs on the latents' grid.
    fn masks_of(&self, x_0: Tensor<4>) -> Vec<Vec<f32>> {
        let ([_, height, width, classes], size) = (x_0.dims(), self.config.data.size);
        if let Some(volume) = self.config.volume() {
            let doublings = (size[1] / width).trailing_zeros();
            return rows((0..doublings).fold(x_0, |x_0, _| volume.upsample_linear(x_0)));
        }
        let resized = |mask: Vec<f32>| resize_image(&mask, [height, width], size, classes);
        rows(x_0).into_iter().map(resized).collect()
    }
}

/// `[batch, ..]` as one vector per sample.
fn rows(tensor: Tensor<4>) -> Vec<Vec<f32>> {
    let [batch, height, width, channels] = tensor.dims();
    let values = host(tensor);
    let each = height * width * channels;
    debug_assert_eq!(values.len(), batch * each);
    values.chunks_exact(each.max(1)).map(<[f32]>::to_vec).collect()
}
