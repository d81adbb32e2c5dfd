//! `pig weights`.

use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use std::path::PathBuf;

/// `pig weights`.
#[derive(Debug, Subcommand)]
pub(crate) enum Weights {
    /// Read somebody's weights once, and write them as a model: model.toml and model.safetensors.
    ///
    /// FILE is safetensors, a file of torch.save (.pth, .pt, .bin) or a TorchScript archive, or a folder that diffusers wrote.
    /// Pickles are read by a parser that executes nothing. Known are diffusers' UNet2DModel and UNet2DConditionModel without
    /// text, AutoencoderKL and ControlNetModel, the released code's U-Net, MONAI's DiffusionModelUNet and ControlNet (of pictures or
    /// volumes) and AutoencoderKL, MAISI's DiffusionModelUNetMaisi, ControlNetMaisi and AutoencoderKlMaisi, and the FID's Inception.
    Import(Import),
    /// Run a model on stored inputs and compare with the outputs stored beside them; exit 1 where they differ.
    Verify(Verify),
    /// Write a model in diffusers' layout: config.json and diffusion_pytorch_model.safetensors.
    ///
    /// U-Nets become UNet2DModel, or UNet2DConditionModel where the middle has one block; autoencoders AutoencoderKL, and control
    /// networks ControlNetModel, as far as those classes can be what the model is.
    Export(ExportWeights),
    /// Make one volume for a mask with imported networks of volumes, such as MAISI's.
    SampleVolume(SampleVolume),
}

/// `pig weights sample-volume`.
#[derive(Debug, clap::Args)]
pub(crate) struct SampleVolume {
    /// The U-Net.
    #[arg(value_name = "MODEL")]
    pub(crate) unet: PathBuf,
    /// Its control network; without one the mask is the U-Net's further input channels.
    #[arg(long, value_name = "MODEL")]
    pub(crate) control: Option<PathBuf>,
    /// The autoencoder of its latents; without one the U-Net makes the volume itself.
    #[arg(long, value_name = "MODEL")]
    pub(crate) autoencoder: Option<PathBuf>,
    /// Array mask [D, H, W] (labels go into several channels by their bits, the lowest first), or [C, D, H, W] as the model has it;
    /// and what a model is told beside: top_region_index `[4]`, bottom_region_index `[4]`, spacing `[3]`, class `[1]`. y_T [C, D', H', W'] starts
    /// from given noise.
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) inputs: PathBuf,
    /// The sample's number, which names its noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// A key of the section `[sample]`, such as sample.num_inference_steps=50; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
    /// The .npz to write, with an array volume [C, D, H, W] as the networks made it.
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) out: PathBuf,
}

/// `pig weights import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The weights, or diffusers' folder around them.
    #[arg(value_name = "FILE")]
    pub(crate) source: PathBuf,
    /// What the file must hold.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) kind: KindName,
    /// The state dictionary to take where a checkpoint has several.
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    /// What the file does not tell, such as unet.norm_num_groups=16, unet.attention_head_dim=64 or
    /// schedule.num_train_timesteps=1000; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// `pig weights verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The model, or a run with --network.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Arrays x [B, C, H, W], t `[B]` counted from 0, y [B, C, H, W], and cond [B, C, H, W] and class `[B]` where the model has
    /// them. For an autoencoder y is the image of the mean of x's latents; for a ControlNet what it adds to the middle; for
    /// the Inception x is [B, 3, 299, 299] and y [B, 2048].
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) reference: PathBuf,
    /// Largest difference, as a share of the largest value of y, that counts as equal.
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4)]
    pub(crate) tolerance: f64,
    /// A ControlNet (or a run of controlnet) that steers MODEL and is told cond, at the size that it takes.
    #[arg(long, value_name = "MODEL")]
    pub(crate) control: Option<PathBuf>,
    /// The network of a run that has several, such as model_y.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

/// `pig weights export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportWeights {
    /// The model, or a run with --network.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The network of a run that has several, such as model_y.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

/// What weights are the weights of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// Whatever the names tell.
    Auto,
    /// A U-Net.
    #[value(name = "unet")]
    UNet,
    /// An autoencoder with a normal posterior.
    #[value(name = "vae")]
    Autoencoder,
    /// A control network.
    #[value(name = "controlnet")]
    ControlNet,
    /// The FID's Inception-v3.
    Inception,
}
