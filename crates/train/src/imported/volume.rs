//! Samples a volume for a mask with an imported network of volumes: MAISI's, or MONAI's with three axes.

use crate::{
    Config, Error, Result,
    config::{Layers, SampleConfig},
    imported::{AutoencoderDescription, Model, UNetDescription},
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_diffusion::{
    denoiser::{Clipped, Denoiser},
    noise::{NoiseSource, Stream},
    prediction::PredictionType,
    schedule::network_time,
    single::sample_conditional,
};
use pig_nn::{
    control::ControlNet,
    ops,
    pass::Pass,
    unet::{AXES, REGIONS, UNet, VolumeInputs},
    volume::Volume,
};
use pig_weights::npz::{self, NpyArray, Npz};
use std::path::{Path, PathBuf};

/// A request to `pig weights sample-volume`.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The U-Net.
    pub unet: PathBuf,
    /// The control network that reads the mask; without one the U-Net reads the mask by further input channels.
    pub control: Option<PathBuf>,
    /// The autoencoder that decodes the U-Net's latents; without one the U-Net makes volumes itself.
    pub autoencoder: Option<PathBuf>,
    /// A file with the arrays `mask` (`[D, H, W]`, or `[C, D, H, W]` in the model's own encoding), those of `top_region_index` `[4]`,
    /// `bottom_region_index` `[4]`, `spacing` `[3]` and `class` `[1]` that the U-Net has as inputs, and optionally `y_T`
    /// `[C, D', H', W']`, the noise to start from.
    pub inputs: PathBuf,
    /// The sample's number, which keys its noise.
    pub seed: u64,
    /// Settings of the `[sample]` section.
    pub sets: Vec<String>,
}

/// A sampled volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Channels, depth, height and width.
    pub shape: [usize; 4],
    /// Its values in that order, before any clipping or rounding.
    pub values: Vec<f32>,
}

/// The networks of a request.
struct Networks {
    words: UNetDescription,
    unet: UNet,
    control: Option<(ControlNet, usize)>,
    /// The size of the control's condition divided by that of the U-Net's input, along each axis.
    control_factor: usize,
    autoencoder: Option<(Model, AutoencoderDescription)>,
}

impl Networks {
    fn open(request: &Request, device: &Device) -> Result<Self> {
        let of_volumes = |path: &Path, spatial_dims: usize| {
            if spatial_dims == AXES {
                return Ok(());
            }
            Err(Error::BadFile {
                path: path.to_owned(),
                problem: format!("a network of {spatial_dims} axes, expected {AXES}"),
                advice: "networks of pictures are sampled with `pig sample`",
            })
        };
        let model = Model::open(&request.unet, None)?;
        let words = model.unet_description()?.clone();
        of_volumes(&request.unet, words.network.spatial_dims)?;
        let (mut control, mut control_factor) = (None, 1);
        if let Some(path) = &request.control {
            let model = Model::open(path, None)?;
            let own = model.controlnet_description()?;
            of_volumes(path, own.base.spatial_dims)?;
            let describe = |channels: usize, skips: Vec<usize>| format!("{channels} and {skips:?}");
            let found = describe(own.in_channels, own.base.skip_channels());
            let expected = describe(words.in_channels, words.network.skip_channels());
            if found != expected {
                return Err(Error::Mismatch {
                    what: "channels of the control network's base and of its encoder's outputs",
                    found,
                    expected,
                    advice: "give the control network that was trained with the U-Net",
                });
            }
            control_factor = own.condition_factor();
            control = Some((model.controlnet(device)?, own.condition_channels));
        }
        let autoencoder = match &request.autoencoder {
            None => None,
            Some(path) => {
                let model = Model::open(path, None)?;
                let own = model.autoencoder_description()?.clone();
                of_volumes(path, own.network.spatial_dims)?;
                if own.network.latent_channels != words.out_channels {
                    return Err(Error::Mismatch {
                        what: "channels of the latents",
                        found: words.out_channels.to_string(),
                        expected: own.network.latent_channels.to_string(),
                        advice: "give the autoencoder whose latents the U-Net was trained on",
                    });
                }
                Some((model, own))
            }
        };
        if control.is_none() && words.in_channels <= words.out_channels {
            return Err(Error::BadFile {
                path: request.unet.clone(),
                problem: format!(
                    "{} input and {} output channels, expected further input channels for a mask",
                    words.in_channels, words.out_channels
                ),
                advice: "this U-Net does not read a mask itself: give its control network",
            });
        }
        Ok(Self { unet: model.unet(device)?, words, control, control_factor, autoencoder })
    }

    /// Channels of the mask that the U-Net reads itself.
    fn mask_channels(&self) -> usize {
        self.words.in_channels.saturating_sub(self.words.out_channels)
    }
}

/// Samples one volume for the mask of a file. A mask `[C, D, H, W]` is used as it is, and so is a mask `[D, H, W]` for a model that
/// reads one channel. For a model that reads several channels, a mask `[D, H, W]` must hold whole numbers; each channel gets one of
/// their bits, the lowest first, as with MAISI's labels.
pub fn sample(request: &Request, device: &Device, watch: &mut dyn FnMut(usize)) -> Result<Sampled> {
    let networks = Networks::open(request, device)?;
    let config = sample_config(&networks.words, &request.sets)?;
    let inputs = Inputs::read(&request.inputs)?;
    let [depth, height, width] = inputs.mask_size;
    let factor = networks.autoencoder.as_ref().map_or(1, |(_, own)| own.network.factor());
    let grid = inputs.grid(factor, 1 << (networks.words.network.block_out_channels.len() - 1))?;
    let volume = Volume { depth: grid[0], width: grid[2] };
    let condition = match &networks.control {
        Some((_, channels)) => {
            let size = grid.map(|side| side * networks.control_factor);
            inputs.mask(size, *channels, device)?
        }
        None => inputs.mask(grid, networks.mask_channels(), device)?,
    };
    let told = inputs.volume_inputs(&networks.words)?;
    let class = inputs.class(networks.words.network.num_class_embeds)?;
    let network = VolumeDenoiser { networks: &networks, told, class, volume };
    let noise = NoiseSource::new(config.sample.seed, vec![request.seed], device);
    let channels = networks.words.out_channels;
    let start = match inputs.start([channels, grid[0], grid[1], grid[2]], device)? {
        Some(start) => start,
        None => noise.draw(Stream::Y, 0, [grid[0] * grid[1], grid[2], channels]),
    };
    let (schedule, timesteps) = config.levels()?;
    let mut step = config.sample.sampler_settings().step(&schedule, (noise, Stream::Y));
    let network: Box<dyn Denoiser + '_> =
        if config.sample.clip_sample { Box::new(Clipped(network)) } else { Box::new(network) };
    let y_0 =
        sample_conditional(&network, &schedule, &timesteps, &condition, &mut step, start, &mut |at, _| watch(at.t));
    let made = match &networks.autoencoder {
        None => y_0,
        Some((model, own)) => {
            let pass = Pass { volume: Some(volume), ..Pass::default() };
            model.autoencoder(device)?.decode(y_0.div_scalar(own.scaling_factor), &pass)
        }
    };
    let channels = made.dims()[3];
    let values = made.permute([0, 3, 1, 2]).into_data().try_into_vec::<f32>().expect("networks compute in f32");
    Ok(Sampled { shape: [channels, depth, height, width], values })
}

/// Writes a volume as `volume` `[C, D, H, W]` of an `.npz`, marked as synthetic.
pub fn write(sampled: &Sampled, out: &Path) -> Result<()> {
    let volume = NpyArray::f32(&sampled.shape, sampled.values.clone());
    let synthetic = NpyArray { shape: vec![1], values: npz::Values::U8(vec![1]) };
    let bytes = npz::encode([("synthetic", &synthetic), ("volume", &volume)]);
    Ok(pig_files::write(out, &bytes)?)
}

/// The configuration with the model's own schedule and with `sets`, which may change only the `[sample]` section.
fn sample_config(words: &UNetDescription, sets: &[String]) -> Result<Config> {
    let mut plain = Config { schedule: words.schedule.clone(), ..Config::default() };
    plain.sample.num_inference_steps = plain.sample.num_inference_steps.min(words.schedule.num_train_timesteps);
    let config = Layers { file: None, sets: sets.to_vec() }.over_config(&plain)?;
    let own = |sample: SampleConfig| Config { sample, ..plain.clone() };
    if own(config.sample.clone()) != config {
        return Err(Error::Mismatch {
            what: "settings outside [sample]",
            found: sets.join(" "),
            expected: "none, since the model's weights depend on them".to_owned(),
            advice: "give --set for keys of [sample] only",
        });
    }
    config.check()?;
    Ok(config)
}

/// The U-Net with all its inputs.
struct VolumeDenoiser<'a> {
    networks: &'a Networks,
    told: VolumeInputs,
    class: usize,
    volume: Volume,
}

impl Denoiser for VolumeDenoiser<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let Networks { unet, control, .. } = self.networks;
        let pass = Pass { volume: Some(self.volume), ..Pass::default() };
        let times: Vec<f32> = t.iter().map(|&t| network_time(t)).collect();
        let time = unet.embed_volumes(&times, &vec![self.class; t.len()], &self.told);
        let (input, controls) = match control {
            Some((control, _)) => (noisy.clone(), Some(control.forward(noisy.clone(), guide.clone(), &times, &pass))),
            None => (ops::concat_channels(noisy.clone(), guide.clone()), None),
        };
        unet.forward_embedded(input, &time, controls, &pass)
    }

    fn prediction_type(&self) -> PredictionType {
        self.networks.words.network.prediction_type
    }
}

/// The arrays of a request.
struct Inputs {
    path: PathBuf,
    arrays: Npz,
    /// Depth, height and width of the mask, and of the volume.
    mask_size: [usize; 3],
}

impl Inputs {
    fn read(path: &Path) -> Result<Self> {
        let inputs = Self { path: path.to_owned(), arrays: npz::read(path)?, mask_size: [0; 3] };
        let mask_size = match inputs.array("mask")?.shape[..] {
            [depth, height, width] | [_, depth, height, width] if depth * height * width > 0 => [depth, height, width],
            ref shape => {
                return Err(inputs.bad(format!("mask has shape {shape:?}, expected [D, H, W] or [C, D, H, W]")));
            }
        };
        Ok(Self { mask_size, ..inputs })
    }

    fn bad(&self, problem: String) -> Error {
        let advice = "store mask and the U-Net's other inputs: top_region_index [4], bottom_region_index [4], spacing [3], class [1]";
        Error::BadFile { path: self.path.clone(), problem, advice }
    }

    fn array(&self, name: &str) -> Result<&NpyArray> {
        self.arrays.get(name).ok_or_else(|| self.bad(format!("no array {name}")))
    }

    /// The size of what the U-Net denoises. The U-Net must be able to halve it down to its smallest level.
    fn grid(&self, factor: usize, divisor: usize) -> Result<[usize; 3]> {
        let [depth, height, width] = self.mask_size;
        if self.mask_size.iter().all(|side| side.is_multiple_of(factor * divisor)) {
            return Ok(self.mask_size.map(|side| side / factor));
        }
        let divisor = factor * divisor;
        Err(self.bad(format!("mask has size {depth} x {height} x {width}, expected sides divisible by {divisor}")))
    }

    /// The mask at `size` in `channels` channels, `[1, depth * height, width, channels]`.
    fn mask(&self, size: [usize; 3], channels: usize, device: &Device) -> Result<Tensor<4>> {
        let mask = self.array("mask")?;
        let values = mask.to_f32();
        let encoded = match mask.shape[..] {
            [found, ..] if mask.shape.len() == 4 => {
                if found != channels {
                    return Err(self.bad(format!("mask has {found} channels, but the model reads {channels}")));
                }
                values
            }
            _ if channels == 1 => values,
            _ => self.bits(&values, channels)?,
        };
        let resized = resized(&encoded, channels, self.mask_size, size).ok_or_else(|| {
            let [depth, height, width] = size;
            self.bad(format!("mask has size {:?}, but the model reads {depth} x {height} x {width}", self.mask_size))
        })?;
        Ok(folded(resized, [channels, size[0], size[1], size[2]], device))
    }

    /// The bits of each label as channels, the lowest first.
    fn bits(&self, labels: &[f32], channels: usize) -> Result<Vec<f32>> {
        let most = 2_f32.powi(channels as i32) - 1.0;
        if let Some(label) = labels.iter().find(|&&label| label.fract() != 0.0 || !(0.0..=most).contains(&label)) {
            return Err(
                self.bad(format!("mask holds {label}, expected labels from 0 to {most} for {channels} channels"))
            );
        }
        let bit = |channel: usize| labels.iter().map(move |&label| ((label as u64 >> channel) & 1) as f32);
        Ok((0..channels).flat_map(bit).collect())
    }

    fn volume_inputs(&self, words: &UNetDescription) -> Result<VolumeInputs> {
        let network = &words.network;
        let told = |is_told: bool, name: &str, count: usize| {
            if !is_told {
                return Ok(Vec::new());
            }
            let values = self.array(name)?.to_f32();
            if values.len() == count {
                return Ok(values);
            }
            Err(self.bad(format!("{name} has {} values, expected {count}", values.len())))
        };
        Ok(VolumeInputs {
            top_region_index: told(network.include_top_region_index_input, "top_region_index", REGIONS)?,
            bottom_region_index: told(network.include_bottom_region_index_input, "bottom_region_index", REGIONS)?,
            spacing: told(network.include_spacing_input, "spacing", AXES)?,
        })
    }

    fn class(&self, classes: Option<usize>) -> Result<usize> {
        let Some(classes) = classes else { return Ok(0) };
        match self.array("class")?.to_f32()[..] {
            [class] if class >= 0.0 && class.fract() == 0.0 && (class as usize) < classes => Ok(class as usize),
            ref found => Err(self.bad(format!("class is {found:?}, expected one of 0 to {}", classes - 1))),
        }
    }

    /// The noise to start from, if the file has it.
    fn start(&self, shape: [usize; 4], device: &Device) -> Result<Option<Tensor<4>>> {
        let Some(noise) = self.arrays.get("y_T") else { return Ok(None) };
        if noise.shape != shape {
            return Err(self.bad(format!("y_T has shape {:?}, expected {shape:?}", noise.shape)));
        }
        Ok(Some(folded(noise.to_f32(), shape, device)))
    }
}

/// `[C, D, H, W]` as `[1, D * H, W, C]`.
fn folded(values: Vec<f32>, [channels, depth, height, width]: [usize; 4], device: &Device) -> Tensor<4> {
    let data = TensorData::new(values, [1, channels, depth * height, width]);
    Tensor::<4>::from_data(data, device).permute([0, 2, 3, 1])
}

/// `[C, D, H, W]` at another size: means of blocks, or each voxel several times. `None` if neither size is a multiple of the other.
fn resized(values: &[f32], channels: usize, from: [usize; 3], to: [usize; 3]) -> Option<Vec<f32>> {
    if from == to {
        return Some(values.to_vec());
    }
    let shrinks = (0..3).all(|axis| from[axis].is_multiple_of(to[axis]));
    if !shrinks && !(0..3).all(|axis| to[axis].is_multiple_of(from[axis])) {
        return None;
    }
    let (mut sums, voxels) = (vec![0.0_f32; channels * to.iter().product::<usize>()], from.iter().product::<usize>());
    let place =
        |index: usize, size: [usize; 3]| [index / (size[1] * size[2]), index / size[2] % size[1], index % size[2]];
    let index = |place: [usize; 3], size: [usize; 3]| (place[0] * size[1] + place[1]) * size[2] + place[2];
    let all = to.iter().product::<usize>();
    for channel in 0..channels {
        if shrinks {
            let share = all as f32 / voxels as f32;
            for (i, value) in values[channel * voxels..(channel + 1) * voxels].iter().enumerate() {
                let at = place(i, from);
                let target = [0, 1, 2].map(|axis| at[axis] * to[axis] / from[axis]);
                sums[channel * all + index(target, to)] += value * share;
            }
        } else {
            for i in 0..all {
                let at = place(i, to);
                let source = [0, 1, 2].map(|axis| at[axis] * from[axis] / to[axis]);
                sums[channel * all + i] = values[channel * voxels + index(source, from)];
            }
        }
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_resized_by_whole_factors() {
        let values: Vec<f32> = (0..16).map(|i| i as f32).collect();
        // [1, 2, 2, 4] is halved in the last axis alone, and doubled again.
        let half = resized(&values, 1, [2, 2, 4], [2, 2, 2]).unwrap();
        assert_eq!(half, [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5]);
        let twice = resized(&half, 1, [2, 2, 2], [2, 2, 4]).unwrap();
        assert_eq!(twice[..4], [0.5, 0.5, 2.5, 2.5]);
        assert_eq!(resized(&values, 1, [2, 2, 4], [1, 1, 1]), Some(vec![7.5]));
        assert_eq!(resized(&values, 1, [2, 2, 4], [2, 2, 3]), None);
        assert_eq!(resized(&values, 2, [2, 2, 2], [1, 1, 1]), Some(vec![3.5, 11.5]));
    }
}
