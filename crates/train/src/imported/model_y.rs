//! A model_y for sampling: one that pig trained, or one that was trained elsewhere, with the way in which it reads the mask.

use crate::{
    Config,
    build::in_place,
    config::FrozenCondition,
    latents::{LatentCodec, host},
    role::Role,
};
use burn::tensor::{Tensor, TensorData};
use pig_diffusion::{
    denoiser::Denoiser,
    prediction::PredictionType,
    schedule::{Schedule, network_time},
};
use pig_nn::{
    control::ControlNet,
    network::Network,
    ops::{self, upsample_nearest_2x},
    pass::Pass,
    unet::{UNet, VolumeInputs},
};

/// The default values of background and lesion, which are -1 and 1 in a mask.
pub(crate) const OWN_VALUES: [f64; 2] = [-1.0, 1.0];

/// A conditional model of images, or of their latents.
#[derive(Clone, Debug)]
pub struct ModelY {
    unet: UNet,
    /// How it reads the mask, if it was trained elsewhere.
    told: Option<Told>,
    codec: Option<LatentCodec>,
}

/// How a model that was trained elsewhere reads the mask.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The control network, if that reads the mask.
    pub(crate) control: Option<Control>,
    /// What the channels of the condition say.
    pub(crate) values: Values,
}

/// For each channel of a condition, its value in the background and in each class of lesion.
#[derive(Clone, Debug)]
pub(crate) struct Values(pub(crate) Vec<Vec<f64>>);

impl Values {
    /// A channel for each class, which has one value in the class and another one everywhere else.
    pub(crate) fn each([background, lesion]: [f64; 2], classes: usize) -> Self {
        let value = |channel: usize, class: usize| if channel == class { lesion } else { background };
        let of = |channel| std::iter::once(background).chain((0..classes).map(move |class| value(channel, class)));
        Self((0..classes).map(|channel| of(channel).collect()).collect())
    }

    /// The bits of the labels of the background and of each class, the lowest first.
    pub(crate) fn bits(labels: &[u32], channels: usize) -> Self {
        Self((0..channels).map(|bit| labels.iter().map(|label| f64::from(label >> bit & 1)).collect()).collect())
    }
}

/// A control network and the size of its condition.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// The network.
    pub(crate) network: ControlNet,
    /// How many times the mask is doubled in size to become the condition.
    pub(crate) doublings: usize,
}

impl ModelY {
    /// A model that was trained here: it reads the mask by an input channel and makes pixels.
    pub fn own(unet: UNet) -> Self {
        Self { unet, told: None, codec: None }
    }

    /// A model that was trained elsewhere. `codec` decodes its images if it makes latents.
    pub(crate) fn frozen(unet: UNet, told: Told, codec: Option<LatentCodec>) -> Self {
        Self { unet, told: Some(told), codec }
    }

    /// Encodes to and decodes from latents, if the model makes latents.
    pub fn codec(&self) -> Option<&LatentCodec> {
        self.codec.as_ref()
    }

    /// The model as the algorithms call it. The guide is always a mask of about -1 to 1 on the model's own grid; the denoiser turns it
    /// into what the model reads. `schedule` is that of the training.
    pub fn denoiser<'a>(&'a self, config: &'a Config, schedule: &Schedule) -> Box<dyn Denoiser + 'a> {
        if let Some(told) = &self.told {
            return Box::new(Foreign { unet: &self.unet, told, config });
        }
        let network = Network::new(&self.unet, config.unet(Role::ModelY)).with_precision(config.sample.precision);
        Box::new(in_place(network, config, Role::ModelY, schedule))
    }
}

/// A model that was trained elsewhere and reads the mask in its own way.
struct Foreign<'a> {
    unet: &'a UNet,
    told: &'a Told,
    config: &'a Config,
}

impl Foreign<'_> {
    /// The guide in the model's own values, `[batch, height, width, values]`: from the value of the background, each class moves it towards
    /// its own value, by nothing where the guide is -1 and by all where it is 1.
    fn condition(&self, guide: &Tensor<4>) -> Tensor<4> {
        let values = &self.told.values.0;
        let along = |value: &dyn Fn(&[f64]) -> f64| -> Tensor<4> {
            let own: Vec<f32> = values.iter().map(|values| value(values) as f32).collect();
            Tensor::from_data(TensorData::new(own, [1, 1, 1, values.len()]), &guide.device())
        };
        let [batch, height, width, classes] = guide.dims();
        let moved = (0..classes).map(|class| {
            let own = guide.clone().narrow(3, class, 1).expand([batch, height, width, values.len()]);
            own * along(&|values| (values[class + 1] - values[0]) / 2.0)
        });
        // What all classes add where the guide is 0; of one class it is the middle of its two values.
        let middle = along(&|values| match values {
            [background, lesion] => f64::midpoint(*lesion, *background),
            [background, classes @ ..] => {
                background + classes.iter().map(|value| (value - background) / 2.0).sum::<f64>()
            }
            [] => 0.0,
        });
        moved.reduce(|sum, more| sum + more).map_or(middle.clone(), |sum| sum + middle)
    }

    /// The class of each sample: by the lesion's share of its mask if there are `class_areas`, else the single class of the
    /// configuration, else 0.
    fn classes(&self, guide: &Tensor<4>) -> Vec<usize> {
        let (frozen, threshold) = (&self.config.model_y.frozen, self.config.sample.mask_threshold);
        let batch = guide.dims()[0];
        if frozen.class_areas.is_empty() {
            return vec![frozen.classes.first().copied().unwrap_or(0); batch];
        }
        let values = host(guide.clone());
        let channels = guide.dims()[3];
        let pixels = values.len() / (batch * channels).max(1);
        let class = |mask: &[f32]| {
            let is_lesion = |pixel: &[f32]| pixel.iter().any(|&value| value > threshold);
            let lesion = mask.chunks_exact(channels).filter(|pixel| is_lesion(pixel)).count();
            let share = lesion as f64 / pixels as f64;
            frozen.classes[frozen.class_areas.iter().filter(|&&area| share > area).count()]
        };
        values.chunks_exact((pixels * channels).max(1)).map(class).collect()
    }

    /// The further inputs of a model of volumes, the same for each sample.
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
