//! A model_y as it is sampled: one of pig's own, or one that others trained, with how it is told the mask.

use crate::{
    Config,
    config::FrozenCondition,
    latents::{LatentCodec, host},
    role::Role,
};
use burn::tensor::{Tensor, TensorData};
use pig_diffusion::{denoiser::Denoiser, prediction::PredictionType, schedule::network_time};
use pig_nn::{
    control::ControlNet,
    network::Network,
    ops::{self, upsample_nearest_2x},
    pass::Pass,
    unet::{UNet, VolumeInputs},
};

/// What -1 and 1 of a mask become where nobody says otherwise.
pub(crate) const OWN_VALUES: [f64; 2] = [-1.0, 1.0];

/// A conditional model of images, or of their latents.
#[derive(Clone, Debug)]
pub struct ModelY {
    unet: UNet,
    /// How it is told the mask, where others trained it.
    told: Option<Told>,
    codec: Option<LatentCodec>,
}

/// How a model that others trained is told the mask.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The control network, where it is told by one.
    pub(crate) control: Option<Control>,
    /// Background and lesion in each channel of the condition.
    pub(crate) values: Vec<[f64; 2]>,
}

/// A control network and the size of what it reads.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// The network.
    pub(crate) network: ControlNet,
    /// Number of times by which its condition is twice as large as the noisy input.
    pub(crate) doublings: usize,
}

impl ModelY {
    /// One that was trained here: told the mask by an input channel, in pixels.
    pub fn own(unet: UNet) -> Self {
        Self { unet, told: None, codec: None }
    }

    /// One that others trained. `codec` makes its images where it makes latents.
    pub(crate) fn frozen(unet: UNet, told: Told, codec: Option<LatentCodec>) -> Self {
        Self { unet, told: Some(told), codec }
    }

    /// To and from latents, where it makes latents.
    pub fn codec(&self) -> Option<&LatentCodec> {
        self.codec.as_ref()
    }

    /// The model as the algorithms ask it: the guide is a mask about -1 to 1 on the model's own grid, however it is told.
    pub fn denoiser<'a>(&'a self, config: &'a Config) -> Box<dyn Denoiser + 'a> {
        match &self.told {
            Some(told) => Box::new(Foreign { unet: &self.unet, told, config }),
            None => Box::new(
                Network::new(&self.unet, config.unet(Role::ModelY))
                    .with_precision(config.sample.precision)
                    .on_volumes(config.volume()),
            ),
        }
    }
}

/// A model that others trained, which is told the mask in its own way.
struct Foreign<'a> {
    unet: &'a UNet,
    told: &'a Told,
    config: &'a Config,
}

impl Foreign<'_> {
    /// The guide in the model's own values, `[batch, height, width, values]`.
    fn condition(&self, guide: &Tensor<4>) -> Tensor<4> {
        let values = &self.told.values;
        let along = |value: fn(&[f64; 2]) -> f64| -> Tensor<4> {
            let values: Vec<f32> = values.iter().map(|pair| value(pair) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, 1, self.told.values.len()]), &guide.device())
        };
        let [batch, height, width, _] = guide.dims();
        let guide = guide.clone().expand([batch, height, width, values.len()]);
        guide * along(|[background, lesion]| (lesion - background) / 2.0)
            + along(|&[background, lesion]| f64::midpoint(lesion, background))
    }

    /// The class of each sample: by its mask's share of lesion, the one for all, or the first.
    fn classes(&self, guide: &Tensor<4>) -> Vec<usize> {
        let (frozen, threshold) = (&self.config.model_y.frozen, self.config.sample.mask_threshold);
        let batch = guide.dims()[0];
        if frozen.class_areas.is_empty() {
            return vec![frozen.classes.first().copied().unwrap_or(0); batch];
        }
        let values = host(guide.clone());
        let pixels = values.len() / batch.max(1);
        let class = |mask: &[f32]| {
            let share = mask.iter().filter(|&&value| value > threshold).count() as f64 / pixels as f64;
            frozen.classes[frozen.class_areas.iter().filter(|&&area| share > area).count()]
        };
        values.chunks_exact(pixels.max(1)).map(class).collect()
    }

    /// What a model of volumes is told of each of them.
    fn volume_inputs(&self, batch: usize) -> VolumeInputs {
        let frozen = &self.config.model_y.frozen;
        VolumeInputs {
            top_region_index: frozen.top_region_index.repeat(batch),
            bottom_region_index: frozen.bottom_region_index.repeat(batch),
            spacing: frozen.spacing.repeat(batch),
        }
    }
}

impl Denoiser for Foreign<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let (config, unet) = (self.config, self.unet);
        let precision = config.sample.precision.on(&unet.device());
        let pass = Pass { precision, volume: config.volume(), ..Pass::default() };
        let times: Vec<f32> = t.iter().map(|&t| network_time(t)).collect();
        let time = unet.embed_volumes(&times, &self.classes(guide), &self.volume_inputs(t.len()));
        if config.model_y.frozen.condition == FrozenCondition::Class {
            return unet.forward_embedded(noisy.clone(), &time, None, &pass);
        }
        let condition = self.condition(guide);
        let Some(control) = &self.told.control else {
            return unet.forward_embedded(ops::concat_channels(noisy.clone(), condition), &time, None, &pass);
        };
        let doubled = |condition: Tensor<4>| match pass.volume {
            Some(volume) => volume.upsample_nearest(condition),
            None => upsample_nearest_2x(condition),
        };
        let large = (0..control.doublings).fold(condition, |condition, _| doubled(condition));
        let controls = control.network.forward(noisy.clone(), large, &times, &pass);
        unet.forward_embedded(noisy.clone(), &time, Some(controls), &pass)
    }

    fn prediction_type(&self) -> PredictionType {
        self.config.unet(Role::ModelY).prediction_type
    }
}
