//! `pig weights verify`: a network on inputs that somebody stored with their own network's outputs.

use super::{Model, ModelKind};
use crate::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use pig_nn::{ops, pass::Pass};
use pig_weights::npz::{self, NpyArray, Npz};
use std::path::{Path, PathBuf};

/// Samples of one forward pass.
const BATCH: usize = 8;

/// How far outputs are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Largest absolute difference.
    pub absolute: f64,
    /// The same over the largest absolute value of the reference.
    pub relative: f64,
    /// Number of values compared.
    pub values: usize,
}

/// Runs `model` on the reference's `x` `[B, C, H, W]`, `t` `[B]` (counted from 0), optional `cond` `[B, C', H, W]` (channels
/// behind x's) and optional `class` `[B]`, and compares with its `y`. A control network takes `x`, `t` and `cond`, and `y` is what it
/// adds to the middle. An autoencoder takes `x` alone, and `y` is the image of the latents' mean. The Inception takes `x`
/// alone, `[B, 3, 299, 299]` after preprocessing, and `y` is `[B, 2048]`.
pub fn verify(model: &Model, reference: &Path, device: &Device) -> Result<Difference> {
    let arrays = Reference { path: reference.to_owned(), arrays: npz::read(reference)? };
    let is_inception = model.description.kind == ModelKind::Inception;
    let (x, y) = (arrays.get("x", 4)?, arrays.get("y", if is_inception { 2 } else { 4 })?);
    let batch = x.shape[0];
    let found = match model.description.kind {
        ModelKind::UNet => run_unet(model, &arrays, x, device)?,
        ModelKind::ControlNet => run_controlnet(model, &arrays, x, device)?,
        ModelKind::Autoencoder => {
            let words = model.autoencoder_description()?;
            arrays.require_channels("x", x.shape[1], words.channels)?;
            words.network.validate([x.shape[2], x.shape[3]])?;
            let autoencoder = model.autoencoder(device)?;
            batches(batch, |from, count| {
                let pass = Pass::default();
                let mean = autoencoder.encode(tensor(x, from, count, device), &pass).mean;
                host(autoencoder.decode(mean, &pass).permute([0, 3, 1, 2]))
            })
        }
        ModelKind::Inception => {
            let size = pig_nn::inception::INCEPTION_SIZE;
            if x.shape[1..] != [3, size, size] {
                return Err(arrays.bad(format!("x has shape {:?}, expected [B, 3, {size}, {size}]", x.shape)));
            }
            let inception = model.inception(device)?;
            batches(batch, |from, count| host(inception.features(tensor(x, from, count, device)).f2048))
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

struct Reference {
    path: PathBuf,
    arrays: Npz,
}

impl Reference {
    fn bad(&self, problem: String) -> Error {
        Error::BadFile {
            path: self.path.clone(),
            problem,
            advice: "store x [B, C, H, W], t [B], y [B, C, H, W] and, where the model has them, cond and class",
        }
    }

    fn get(&self, name: &str, axes: usize) -> Result<&NpyArray> {
        let array = self.arrays.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.arrays.keys().map(String::as_str).collect();
            self.bad(format!("no array {name}, but {}", names.join(", ")))
        })?;
        if array.shape.len() != axes || array.values.is_empty() {
            return Err(self.bad(format!("{name} has shape {:?}, expected {axes} axes", array.shape)));
        }
        Ok(array)
    }

    fn require_channels(&self, name: &str, found: usize, expected: usize) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(self.bad(format!("{name} have {found} channels together, but the model takes {expected}")))
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

/// Samples `from..from + count` of a `[B, C, H, W]` array, channels last.
fn tensor(array: &NpyArray, from: usize, count: usize, device: &Device) -> Tensor<4> {
    let [_, channels, height, width] = array.shape[..] else { unreachable!("callers ask for four axes") };
    let each = channels * height * width;
    let values = array.to_f32()[from * each..(from + count) * each].to_vec();
    Tensor::<4>::from_data(TensorData::new(values, [count, channels, height, width]), device).permute([0, 2, 3, 1])
}

fn batches(total: usize, mut run: impl FnMut(usize, usize) -> Vec<f32>) -> Vec<f32> {
    (0..total).step_by(BATCH).flat_map(|from| run(from, BATCH.min(total - from))).collect()
}

fn run_unet(model: &Model, arrays: &Reference, x: &NpyArray, device: &Device) -> Result<Vec<f32>> {
    let (words, batch) = (model.unet_description()?, x.shape[0]);
    let condition = arrays.arrays.contains_key("cond").then(|| arrays.get("cond", 4)).transpose()?;
    arrays.require_channels("x and cond", x.shape[1] + condition.map_or(0, |c| c.shape[1]), words.in_channels)?;
    words.network.check_size([x.shape[2], x.shape[3]])?;
    if condition.is_some_and(|c| c.shape[0] != batch || c.shape[2..] != x.shape[2..]) {
        return Err(arrays.bad("cond has another size than x".to_owned()));
    }
    let t = arrays.numbers("t", batch)?;
    let classes = match words.network.num_class_embeds {
        Some(classes) => arrays.classes(batch, classes)?,
        None => vec![0; batch],
    };
    let unet = model.unet(device)?;
    Ok(batches(batch, |from, count| {
        let mut input = tensor(x, from, count, device);
        if let Some(condition) = condition {
            input = ops::concat_channels(input, tensor(condition, from, count, device));
        }
        let part = from..from + count;
        let time = unet.embed_classes(&t[part.clone()], &classes[part]);
        host(unet.forward_embedded(input, &time, None, &Pass::default()).permute([0, 3, 1, 2]))
    }))
}

fn run_controlnet(model: &Model, arrays: &Reference, x: &NpyArray, device: &Device) -> Result<Vec<f32>> {
    let (words, batch) = (model.controlnet_description()?, x.shape[0]);
    let condition = arrays.get("cond", 4)?;
    arrays.require_channels("x", x.shape[1], words.in_channels)?;
    arrays.require_channels("cond", condition.shape[1], words.condition_channels)?;
    words.base.check_size([x.shape[2], x.shape[3]])?;
    let changes = words.control.conditioning_embedding_out_channels.len() as u32 - 1;
    let factor = words.condition_stride.pow(changes);
    let expected = [batch, words.condition_channels, x.shape[2] * factor, x.shape[3] * factor];
    if condition.shape != expected {
        return Err(arrays.bad(format!("cond has shape {:?}, expected {expected:?}", condition.shape)));
    }
    let t = arrays.numbers("t", batch)?;
    let control = model.controlnet(device)?;
    Ok(batches(batch, |from, count| {
        let (input, told) = (tensor(x, from, count, device), tensor(condition, from, count, device));
        host(control.forward(input, told, &t[from..from + count], &Pass::default()).mid.permute([0, 3, 1, 2]))
    }))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("networks compute in f32")
}

/// Differences, where a value that is no number counts as infinitely far.
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
