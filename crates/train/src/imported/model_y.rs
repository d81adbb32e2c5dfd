//! A model_y as it is sampled: one of pig's own, or one that others trained, with how it is told the mask.

use crate::{
    Config,
    config::FrozenCondition,
    methods::ldm::{LatentCodec, host},
};
use burn::tensor::Tensor;
use pig_diffusion::{denoiser::Denoiser, prediction::PredictionType, schedule::network_time};
use pig_nn::{
    control::{ControlNet, Controlled},
    network::{Network, Role},
    ops::upsample_nearest_2x,
    pass::Pass,
    unet::UNet,
};

/// What -1 and 1 of a mask become where nobody says otherwise.
pub(crate) const OWN_VALUES: [f64; 2] = [-1.0, 1.0];

/// A conditional model of images, or of their latents.
#[derive(Clone, Debug)]
pub struct ModelY {
    unet: UNet,
    control: Option<Control>,
    values: [f64; 2],
    codec: Option<LatentCodec>,
}

/// A control network and the size of what it reads.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// The network.
    pub(crate) network: ControlNet,
    /// Channels of its condition, all told the mask.
    pub(crate) channels: usize,
    /// Number of times by which its condition is twice as large as the noisy input.
    pub(crate) doublings: usize,
}

impl ModelY {
    /// One that was trained here: told the mask by an input channel, in pixels.
    pub fn own(unet: UNet) -> Self {
        Self { unet, control: None, values: OWN_VALUES, codec: None }
    }

    /// One that others trained. `values` are what it was told for background and lesion, `codec` makes its images where it makes
    /// latents.
    pub(crate) fn frozen(unet: UNet, control: Option<Control>, values: [f64; 2], codec: Option<LatentCodec>) -> Self {
        Self { unet, control, values, codec }
    }

    /// To and from latents, where it makes latents.
    pub fn codec(&self) -> Option<&LatentCodec> {
        self.codec.as_ref()
    }

    /// The model as the algorithms ask it: the guide is a mask about -1 to 1 on the model's own grid, however it is told.
    pub fn denoiser<'a>(&'a self, config: &'a Config) -> Box<dyn Denoiser + 'a> {
        let is_own = self.control.is_none() && self.values == OWN_VALUES;
        if is_own && config.model_y.frozen_condition == FrozenCondition::Channels {
            return Box::new(self.network(config));
        }
        Box::new(Told { model: self, config })
    }

    fn network<'a>(&'a self, config: &'a Config) -> Network<'a> {
        Network::new(&self.unet, config.unet(Role::ModelY)).with_precision(config.sample.precision)
    }
}

/// A model that is told the mask in its own way.
struct Told<'a> {
    model: &'a ModelY,
    config: &'a Config,
}

impl Told<'_> {
    /// The guide in the model's own values.
    fn condition(&self, guide: &Tensor<4>) -> Tensor<4> {
        let [background, lesion] = self.model.values;
        guide.clone().mul_scalar((lesion - background) / 2.0).add_scalar(f64::midpoint(lesion, background))
    }

    /// The class of each mask by its share of lesion.
    fn classes(&self, guide: &Tensor<4>) -> Vec<usize> {
        let (model_y, threshold) = (&self.config.model_y, self.config.sample.mask_threshold);
        let batch = guide.dims()[0];
        let values = host(guide.clone());
        let pixels = values.len() / batch.max(1);
        let class = |mask: &[f32]| {
            let share = mask.iter().filter(|&&value| value > threshold).count() as f64 / pixels as f64;
            model_y.frozen_classes[model_y.frozen_class_areas.iter().filter(|&&area| share > area).count()]
        };
        values.chunks_exact(pixels.max(1)).map(class).collect()
    }
}

impl Denoiser for Told<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let (config, unet) = (self.config, &self.model.unet);
        if config.model_y.frozen_condition == FrozenCondition::Class {
            let times: Vec<f32> = t.iter().map(|&t| network_time(t)).collect();
            let time = unet.embed_classes(&times, &self.classes(guide));
            let precision = config.sample.precision.on(&unet.device());
            return unet.forward_embedded(noisy.clone(), &time, None, &Pass { precision, ..Pass::default() });
        }
        let condition = self.condition(guide);
        let Some(control) = &self.model.control else {
            return Denoiser::predict(&self.model.network(config), noisy, &condition, t);
        };
        let large = (0..control.doublings).fold(condition, |condition, _| upsample_nearest_2x(condition));
        let [batch, height, width, _] = large.dims();
        let told = large.expand([batch, height, width, control.channels]);
        let network = Controlled::new(unet, &control.network, config.unet(Role::ModelY));
        network.with_precision(config.sample.precision).predict(noisy, &told, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.config.unet(Role::ModelY).prediction_type
    }
}
