//! `pig weights`.

use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use std::path::PathBuf;

/// `pig weights`.
#[derive(Debug, Subcommand)]
pub(crate) enum Weights {
    /// Import weights from another framework, and write them as a model: model.toml and model.safetensors.
    ///
    /// FILE is a safetensors file, a file of torch.save (.pth, .pt, .bin), a TorchScript archive, the index of a model in several such
    /// files (.safetensors.index.json), or a folder that diffusers wrote. Pickles are read by a parser that executes nothing. Supported are
    /// diffusers' UNet2DModel and UNet2DConditionModel without text, AutoencoderKL and ControlNetModel, the released code's U-Net, MONAI's
    /// DiffusionModelUNet and ControlNet (of pictures or volumes) and AutoencoderKL, the same of MONAI Generative, MAISI's
    /// DiffusionModelUNetMaisi, ControlNetMaisi and AutoencoderKlMaisi, and the FID's Inception.
    ///
    /// Settings that no file contains (groups, heads) may be wrong without any error. Store an input of the model with its output in the
    /// other framework, and compare: pig weights verify.
    #[command(before_long_help = "Example:\n  pig weights import unet/ --out MODEL")]
    Import(Import),
    /// Run a model on stored inputs and compare the outputs with stored ones; the exit code is 1 if they differ.
    #[command(before_long_help = "Example:\n  pig weights verify MODEL --reference stored.npz")]
    Verify(Verify),
    /// Write a model in diffusers' layout: config.json and diffusion_pytorch_model.safetensors.
    ///
    /// U-Nets become UNet2DModel, or UNet2DConditionModel if the middle has one block; autoencoders become AutoencoderKL, and control
    /// networks ControlNetModel. A model that its class cannot represent is refused.
    #[command(before_long_help = "Example:\n  pig weights export RUN --network model_y --out DIFFUSERS")]
    Export(ExportWeights),
    /// Write a run with its averaged weights alone: for sampling and to be shared, not to be trained further.
    ///
    /// Configuration, split, provenance, losses and the model card stay; checkpoints' other weights, previews and the place of the data go.
    /// splits.json names pairs and patients by id: look at it before you share a run.
    #[command(before_long_help = "Example:\n  pig weights prune RUN --out SMALL")]
    Prune(Prune),
    /// Make one volume for a mask with imported networks of three axes, such as MAISI's.
    #[command(before_long_help = "Example:\n\
         \x20 pig weights sample-volume UNET --control CONTROL --autoencoder VAE --inputs mask.npz --out volume.npz")]
    SampleVolume(SampleVolume),
}

/// `pig weights sample-volume`.
#[derive(Debug, clap::Args)]
pub(crate) struct SampleVolume {
    /// The U-Net.
    #[arg(value_name = "MODEL")]
    pub(crate) unet: PathBuf,
    /// The control network of the U-Net; without one, the U-Net takes the mask as additional input channels.
    #[arg(long, value_name = "MODEL")]
    pub(crate) control: Option<PathBuf>,
    /// The autoencoder of the U-Net's latents; without one, the U-Net makes the volume itself.
    #[arg(long, value_name = "MODEL")]
    pub(crate) autoencoder: Option<PathBuf>,
    /// The array mask [D, H, W] (labels are split into several channels by their bits, the lowest first), or [C, D, H, W] as the model
    /// takes it; and the further inputs of the model: top_region_index `[4]`, bottom_region_index `[4]`, spacing `[3]`, class `[1]`. With
    /// the array y_T [C, D', H', W'], sampling starts from this noise.
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) inputs: PathBuf,
    /// The number of the sample, which decides its noise.
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
    /// The file of weights, or a folder that diffusers wrote.
    #[arg(value_name = "FILE")]
    pub(crate) source: PathBuf,
    /// The kind of model that the file must hold.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) kind: KindName,
    /// The state dictionary to use if a checkpoint has several.
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    /// A setting that the file does not contain, such as unet.norm_num_groups=16, unet.attention_head_dim=64 or
    /// schedule.num_train_timesteps=1000; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// `pig weights verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The model, or a run together with --network.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Arrays x [B, C, H, W], t `[B]` counted from 0, y [B, C, H, W], and cond [B, C, H, W] and class `[B]` if the model takes them. For an
    /// autoencoder, y is the image decoded from the mean of x's latents; for a ControlNet, y is what it adds to the middle; for the
    /// Inception, x is [B, 3, 299, 299] and y [B, 2048].
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) reference: PathBuf,
    /// Largest difference, as a share of the largest value of y, that counts as equal.
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4)]
    pub(crate) tolerance: f64,
    /// A ControlNet (or a run of the method controlnet) that steers MODEL; it takes the array cond, at its own input size.
    #[arg(long, value_name = "MODEL")]
    pub(crate) control: Option<PathBuf>,
    /// The network to use from a run that has several, such as model_y.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

/// `pig weights prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// The run directory of a finished training.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The floating-point type of the weights; bf16 takes half of the space and rounds them to 8 significant bits.
    #[arg(long, value_enum, default_value = "bf16")]
    pub(crate) precision: WeightPrecision,
}

/// A floating-point type of stored weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightPrecision {
    /// 32 bits, as trained.
    F32,
    /// 16 bits, with the exponents of 32.
    Bf16,
}

/// `pig weights export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportWeights {
    /// The model, or a run together with --network.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The network to use from a run that has several, such as model_y.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

/// The kind of model that weights belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// Recognised by the names of the arrays.
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
