//! `pig weights verify`: runs a network on stored inputs and compares the result with the stored outputs of the original network.

use crate::{
    Error, Result,
    imported::{Model, ModelKind},
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_nn::{
    config::UNetConfig,
    control::ControlNet,
    ops,
    pass::Pass,
    unet::{AXES, Features, REGIONS, VolumeInputs},
    volume::Volume,
};
use pig_weights::npz::{self, NpyArray, Npz};
use std::path::{Path, PathBuf};

/// Samples per forward pass.
const BATCH: usize = 8;

/// The difference between outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Largest absolute difference.
    pub absolute: f64,
    /// Largest absolute difference divided by the largest absolute value of the reference.
    pub relative: f64,
    /// Number of values compared.
    pub values: usize,
}

/// Runs `model` on the arrays of the file `reference` and compares its output with the array `y` there.
///
/// - A U-Net takes `x` `[B, C, H, W]`, `t` `[B]` (counted from 0), optionally `cond` `[B, C', H, W]` (channels after those of x) and
///   optionally `class` `[B]`. With a `control`, `cond` is the condition of that network.
/// - A control network alone takes `x`, `t` and `cond`; `y` is what it adds to the middle.
/// - An autoencoder takes `x` alone; `y` is the image decoded from the mean of the latents.
/// - The Inception takes `x` alone, `[B, 3, 299, 299]` after preprocessing; `y` is `[B, 2048]`.
///
/// For a model of volumes, pictures are `[B, C, D, H, W]` everywhere.
pub fn verify(model: &Model, control: Option<&Model>, reference: &Path, device: &Device) -> Result<Difference> {
    let arrays = Reference { path: reference.to_owned(), arrays: npz::read(reference)? };
    let is_inception = model.description.kind == ModelKind::Inception;
    let axes = 2 + model.spatial_dims();
    let (x, y) = (arrays.picture("x", axes)?, arrays.get("y", if is_inception { 2 } else { axes })?);
    let (x, batch) = (&x, x.shape[0]);
    let found = match model.description.kind {
        ModelKind::UNet => run_unet(model, control, &arrays, x, device)?,
        ModelKind::ControlNet => run_controlnet(model, &arrays, x, device)?,
        ModelKind::Autoencoder => {
            let words = model.autoencoder_description()?;
            arrays.require_channels("x", x.shape[1], words.channels)?;
            words.network.validate([x.rows(), x.shape[3]])?;
            let autoencoder = model.autoencoder(device)?;
            let pass = x.pass();
            batches(batch, |from, count| {
                let mean = autoencoder.encode(x.tensor(from, count, device), &pass).mean;
                host(autoencoder.decode(mean, &pass).permute([0, 3, 1, 2]))
            })
        }
        ModelKind::Inception => {
            let size = pig_nn::inception::INCEPTION_SIZE;
            if x.shape[1..] != [3, size, size] {
                return Err(arrays.bad(format!("x has shape {:?}, expected [B, 3, {size}, {size}]", x.shape)));
            }
            let inception = model.inception(device)?;
            batches(batch, |from, count| host(inception.features(x.tensor(from, count, device)).f2048))
        }
    };
    let wanted = y.to_f32();
    if y.shape[0] != batch || wanted.len() != found.len() {
        return Err(arrays.bad(format!(
            "y has shape {:?}, but the model gives {} values for {batch} samples",
            y.shape,
            found.len()
        )));
    }
    Ok(difference(&found, &wanted))
}

/// Stored pictures `[B, C, H, W]`, or volumes `[B, C, D, H, W]` as pictures of D * H rows: the same values in the same order.
struct Pictures {
    shape: [usize; 4],
    values: Vec<f32>,
    volume: Option<Volume>,
}

impl Pictures {
    /// Height of a picture, or of a slice.
    fn rows(&self) -> usize {
        self.shape[2] / self.volume.map_or(1, |volume| volume.depth)
    }

    /// The settings of a forward pass on them.
    fn pass(&self) -> Pass {
        Pass { volume: self.volume, ..Pass::default() }
    }

    /// Samples `from..from + count`, channels last.
    fn tensor(&self, from: usize, count: usize, device: &Device) -> Tensor<4> {
        let [_, channels, height, width] = self.shape;
        let each = channels * height * width;
        let values = self.values[from * each..(from + count) * each].to_vec();
        Tensor::<4>::from_data(TensorData::new(values, [count, channels, height, width]), device).permute([0, 2, 3, 1])
    }

    /// Height and width, or depth, height and width.
    fn size(&self) -> Vec<usize> {
        let depth = self.volume.map(|volume| volume.depth);
        depth.into_iter().chain([self.rows(), self.shape[3]]).collect()
    }
}

struct Reference {
    path: PathBuf,
    arrays: Npz,
}

impl Reference {
    fn bad(&self, problem: String) -> Error {
        Error::BadFile {
            path: self.path.clone(),
            problem,
            advice: "store x [B, C, H, W], t [B], y [B, C, H, W] and, if the model has them, cond and class",
        }
    }

    fn get(&self, name: &str, axes: usize) -> Result<&NpyArray> {
        let array = self.arrays.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.arrays.keys().map(String::as_str).collect();
            self.bad(format!("no array {name}; found {}", names.join(", ")))
        })?;
        if array.shape.len() != axes || array.values.is_empty() {
            return Err(self.bad(format!("{name} has shape {:?}, expected {axes} axes", array.shape)));
        }
        Ok(array)
    }

    /// Pictures, or volumes if there are five axes.
    fn picture(&self, name: &str, axes: usize) -> Result<Pictures> {
        let array = self.get(name, axes)?;
        let (shape, volume) = match array.shape[..] {
            [batch, channels, height, width] => ([batch, channels, height, width], None),
            [batch, channels, depth, height, width] => {
                ([batch, channels, depth * height, width], Some(Volume { depth, width }))
            }
            _ => return Err(self.bad(format!("{name} has shape {:?}, expected {axes} axes", array.shape))),
        };
        Ok(Pictures { shape, values: array.to_f32(), volume })
    }

    /// The inputs of a network of volumes beside the time, one row per sample.
    fn volume_inputs(&self, network: &UNetConfig, batch: usize) -> Result<VolumeInputs> {
        let told = |is_told: bool, name: &str, count: usize| {
            if !is_told {
                return Ok(Vec::new());
            }
            let array = self.get(name, 2)?;
            if array.shape == [batch, count] {
                return Ok(array.to_f32());
            }
            Err(self.bad(format!("{name} has shape {:?}, expected [{batch}, {count}]", array.shape)))
        };
        Ok(VolumeInputs {
            top_region_index: told(network.include_top_region_index_input, "top_region_index", REGIONS)?,
            bottom_region_index: told(network.include_bottom_region_index_input, "bottom_region_index", REGIONS)?,
            spacing: told(network.include_spacing_input, "spacing", AXES)?,
        })
    }

    /// Fails unless every axis of `x` can be halved down to the smallest level.
    fn require_size(&self, x: &Pictures, network: &UNetConfig) -> Result<()> {
        let (size, divisor) = (x.size(), 1 << (network.block_out_channels.len() - 1));
        if size.iter().all(|side: &usize| side.is_multiple_of(divisor)) {
            return Ok(());
        }
        Err(self.bad(format!("x has size {size:?}, expected sides divisible by {divisor}")))
    }

    fn require_channels(&self, name: &str, found: usize, expected: usize) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(self.bad(format!("{name}: {found} channels together, but the model takes {expected}")))
    }

    fn numbers(&self, name: &str, batch: usize) -> Result<Vec<f32>> {
        let values = self.get(name, 1)?.to_f32();
        if values.len() == batch {
            Ok(values)
        } else {
            Err(self.bad(format!("{name} has {} values for {batch} samples", values.len())))
        }
    }

    fn classes(&self, batch: usize, classes: usize) -> Result<Vec<usize>> {
        let numbers = self.numbers("class", batch)?;
        match numbers.iter().find(|&&class| class < 0.0 || class.fract() != 0.0 || class >= classes as f32) {
            Some(wrong) => Err(self.bad(format!("class {wrong}, expected 0 to {}", classes - 1))),
            None => Ok(numbers.iter().map(|&class| class as usize).collect()),
        }
    }
}

fn batches(total: usize, mut run: impl FnMut(usize, usize) -> Vec<f32>) -> Vec<f32> {
    (0..total).step_by(BATCH).flat_map(|from| run(from, BATCH.min(total - from))).collect()
}

fn run_unet(
    model: &Model,
    control: Option<&Model>,
    arrays: &Reference,
    x: &Pictures,
    device: &Device,
) -> Result<Vec<f32>> {
    let (words, batch) = (model.unet_description()?, x.shape[0]);
    let has_condition = control.is_none() && arrays.arrays.contains_key("cond");
    let condition = has_condition.then(|| arrays.picture("cond", 2 + model.spatial_dims())).transpose()?;
    let channels = x.shape[1] + condition.as_ref().map_or(0, |condition| condition.shape[1]);
    arrays.require_channels("x and cond", channels, words.in_channels)?;
    arrays.require_size(x, &words.network)?;
    if condition.as_ref().is_some_and(|c| c.shape[0] != batch || c.size() != x.size()) {
        return Err(arrays.bad("cond differs from x in its size or its number of samples".to_owned()));
    }
    let t = arrays.numbers("t", batch)?;
    let classes = match words.network.num_class_embeds {
        Some(classes) => arrays.classes(batch, classes)?,
        None => vec![0; batch],
    };
    let control = control.map(|control| Controls::new(control, arrays, x, device)).transpose()?;
    let (unet, pass) = (model.unet(device)?, x.pass());
    let inputs = arrays.volume_inputs(&words.network, batch)?;
    Ok(batches(batch, |from, count| {
        let mut input = x.tensor(from, count, device);
        if let Some(condition) = &condition {
            input = ops::concat_channels(input, condition.tensor(from, count, device));
        }
        let part = from..from + count;
        let told = inputs.of(part.clone(), batch);
        let time = unet.embed_volumes(&t[part.clone()], &classes[part], &told);
        let controls = control.as_ref().map(|control| control.features(from, count, device));
        host(unet.forward_embedded(input, &time, controls, &pass).permute([0, 3, 1, 2]))
    }))
}

fn run_controlnet(model: &Model, arrays: &Reference, x: &Pictures, device: &Device) -> Result<Vec<f32>> {
    let control = Controls::new(model, arrays, x, device)?;
    let middle = |from, count| host(control.features(from, count, device).mid.permute([0, 3, 1, 2]));
    Ok(batches(x.shape[0], middle))
}

/// A control network with its stored inputs.
struct Controls<'a> {
    network: ControlNet,
    x: &'a Pictures,
    condition: Pictures,
    t: Vec<f32>,
}

impl<'a> Controls<'a> {
    fn new(model: &Model, arrays: &Reference, x: &'a Pictures, device: &Device) -> Result<Self> {
        let (words, batch) = (model.controlnet_description()?, x.shape[0]);
        let condition = arrays.picture("cond", 2 + model.spatial_dims())?;
        arrays.require_channels("x", x.shape[1], words.in_channels)?;
        arrays.require_channels("cond", condition.shape[1], words.condition_channels)?;
        arrays.require_size(x, &words.base)?;
        let factor = words.condition_factor();
        let expected: Vec<usize> = x.size().into_iter().map(|side| side * factor).collect();
        if condition.shape[0] != batch || condition.size() != expected {
            let (found, samples) = (condition.size(), condition.shape[0]);
            return Err(
                arrays.bad(format!("cond has size {found:?} for {samples} samples, expected {expected:?} for {batch}"))
            );
        }
        Ok(Self { network: model.controlnet(device)?, x, condition, t: arrays.numbers("t", batch)? })
    }

    /// What the network adds to the base, for the samples `from..from + count`.
    fn features(&self, from: usize, count: usize, device: &Device) -> Features {
        let (input, told) = (self.x.tensor(from, count, device), self.condition.tensor(from, count, device));
        self.network.forward(input, told, &self.t[from..from + count], &self.x.pass())
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("networks compute in f32")
}

/// The difference of two outputs. A NaN counts as an infinite difference.
fn difference(found: &[f32], wanted: &[f32]) -> Difference {
    let largest = wanted.iter().fold(0.0_f64, |most, &v| most.max(f64::from(v).abs()));
    let absolute = found.iter().zip(wanted).fold(0.0_f64, |most, (&a, &b)| {
        let apart = (f64::from(a) - f64::from(b)).abs();
        if apart.is_nan() { f64::INFINITY } else { most.max(apart) }
    });
    let relative = if absolute == 0.0 { 0.0 } else { absolute / largest };
    Difference { absolute, relative, values: found.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_and_no_number_is_far() {
        let found = difference(&[1.0, -2.0, 3.5], &[1.0, -2.5, 4.0]);
        assert_eq!((found.absolute, found.relative, found.values), (0.5, 0.125, 3));
        assert_eq!(difference(&[f32::NAN, 1.0], &[0.0, 1.0]).absolute, f64::INFINITY);
        assert_eq!(difference(&[0.0], &[0.0]).relative, 0.0);
    }
}
