//! Whose names a file's arrays have, and the same arrays under pig's names, which are diffusers'.

mod diffusers;
mod inception;
mod monai;
mod names;
mod released;
mod shape;

pub use shape::{AutoencoderShape, ConditionShape, UNetShape};

use crate::array::StateDict;

/// What the arrays are the weights of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A U-Net that predicts noise, v or x_0.
    UNet,
    /// An autoencoder with a Gaussian latent.
    Autoencoder,
    /// A trainable copy of a U-Net's encoder with zero convolutions.
    ControlNet,
    /// The Inception-v3 of the FID.
    Inception,
}

/// Who named the arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// diffusers' `UNet2DModel`, `UNet2DConditionModel`, `AutoencoderKL` or `ControlNetModel`.
    Diffusers,
    /// The code that was released with the paper.
    Released,
    /// MONAI's `DiffusionModelUNet`, `AutoencoderKL` or `ControlNet`, MONAI Generative's, or MAISI's U-Net and ControlNet.
    Monai,
    /// MAISI's `AutoencoderKlMaisi`.
    Maisi,
    /// torchvision's Inception, as pytorch-fid distributes it.
    Torchvision,
    /// TensorFlow's names of the Inception's layers, as StyleGAN's TorchScript has them.
    Tensorflow,
}

impl Layout {
    /// The word for messages and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Diffusers => "diffusers",
            Self::Released => "released",
            Self::Monai => "monai",
            Self::Maisi => "maisi",
            Self::Torchvision => "torchvision",
            Self::Tensorflow => "tensorflow",
        }
    }
}

/// Arrays under pig's names.
#[derive(Clone, Debug)]
pub struct Named {
    /// What they are the weights of.
    pub kind: Kind,
    /// Who named them.
    pub layout: Layout,
    /// The arrays by pig's names. A name that is not known keeps its own, so that whoever builds the network can list it.
    pub arrays: StateDict,
}

/// Tells by a few names whose arrays these are, and renames them. None of the known ones is an error that says what is known, and
/// an array without values one that names it.
pub fn rename(arrays: StateDict) -> Result<Named, String> {
    let arrays = without_wrapper(arrays);
    let has = |name: &str| arrays.contains_key(name);
    let folded = has("Conv2d_1a_3x3.weight");
    let (kind, layout) = if folded || has("Conv2d_1a_3x3.conv.weight") {
        (Kind::Inception, Layout::Torchvision)
    } else if has("layers.mixed_10.tower_2_conv.weight") {
        (Kind::Inception, Layout::Tensorflow)
    } else if has("temb.dense.0.weight") {
        (Kind::UNet, Layout::Released)
    } else if has("controlnet_mid_block.conv.weight") {
        (Kind::ControlNet, Layout::Monai)
    } else if has("middle_block.resnet_1.norm1.weight") && has("time_embed.0.weight") {
        (Kind::UNet, Layout::Monai)
    } else if has("encoder.blocks.0.conv.weight") && has("post_quant_conv.conv.weight") {
        (Kind::Autoencoder, Layout::Monai)
    } else if has("encoder.blocks.0.conv.conv.weight") && has("post_quant_conv.conv.weight") {
        (Kind::Autoencoder, Layout::Maisi)
    } else if has("controlnet_mid_block.weight") {
        (Kind::ControlNet, Layout::Diffusers)
    } else if has("time_embedding.linear_1.weight") && has("conv_out.weight") {
        (Kind::UNet, Layout::Diffusers)
    } else if has("encoder.conv_in.weight") && has("decoder.conv_in.weight") {
        (Kind::Autoencoder, Layout::Diffusers)
    } else {
        let some: Vec<&str> = arrays.keys().map(String::as_str).take(5).collect();
        return Err(format!(
            "arrays of an unknown network ({}, ..), expected a U-Net, autoencoder or ControlNet of diffusers or MONAI, the released \
             code's U-Net, or the FID's Inception",
            some.join(", ")
        ));
    };
    // Files of unknown networks may hold arrays without values, and are told to be unknown.
    arrays.iter().try_for_each(|(name, array)| names::refuse_empty(name, array))?;
    let arrays = match (kind, layout) {
        (Kind::Inception, _) if folded => arrays,
        (Kind::Inception, Layout::Torchvision) => inception::from_torchvision(&arrays)?,
        (Kind::Inception, _) => inception::from_tensorflow(&arrays)?,
        (_, Layout::Released) => released::rename(arrays),
        (Kind::Autoencoder, Layout::Monai | Layout::Maisi) => monai::rename_autoencoder(arrays)?,
        (_, Layout::Monai) => monai::rename_unet(arrays),
        _ => diffusers::rename(arrays),
    };
    Ok(Named { kind, layout, arrays })
}

/// Without the prefix that all names share where a network was wrapped: DataParallel's, a Lightning module's or a script's.
fn without_wrapper(arrays: StateDict) -> StateDict {
    const WRAPPERS: [&str; 5] = ["module.", "model.", "net.", "unet.", "_orig_mod."];
    let wrapper = WRAPPERS.iter().find(|wrapper| arrays.keys().all(|name| name.starts_with(**wrapper)));
    match wrapper {
        Some(wrapper) if !arrays.is_empty() => {
            let stripped = arrays.into_iter().map(|(name, array)| (name[wrapper.len()..].to_owned(), array)).collect();
            without_wrapper(stripped)
        }
        _ => arrays,
    }
}
