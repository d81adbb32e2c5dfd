//! Recognises the names of a file's arrays, and renames the arrays to pig's names, which are those of diffusers.

mod diffusers;
mod inception;
mod monai;
mod names;
mod released;
mod shape;

pub use shape::{AutoencoderShape, ConditionShape, UNetShape};

use crate::array::StateDict;

/// The network that the arrays are the weights of.
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

/// The scheme of the arrays' names.
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
    /// TensorFlow's names of the Inception's layers, as in StyleGAN's TorchScript.
    Tensorflow,
}

impl Layout {
    /// The word for this layout in messages and files.
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
    /// The network that they are the weights of.
    pub kind: Kind,
    /// The scheme of their names in the file.
    pub layout: Layout,
    /// The arrays by pig's names. An unknown name is kept, so that the code that builds the network can list it.
    pub arrays: StateDict,
}

/// Recognises the network and the layout by a few names, and renames the arrays. An unknown network gives an error that lists the
/// known ones; an array without values gives an error that names it.
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
    // Checked only now, so that a file of an unknown network is reported as unknown, even if it has arrays without values.
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

/// Removes the prefixes that all names share if a network was wrapped: by DataParallel, a Lightning module or a script.
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
