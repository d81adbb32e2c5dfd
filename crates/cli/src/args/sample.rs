//! `pig sample`.

use super::samples::{Seeds, Shard, Shares, seeds, shard, shares};
use clap::builder::NonEmptyStringValueParser;
use std::path::PathBuf;

/// `pig sample`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Sample {
    /// The run directory of a finished training, or "starter" for the starter model, which makes phantom images. If not given, the run that
    /// --model-y or --model-x names.
    #[arg(long, value_name = "RUN", required_unless_present_any = ["model_x", "model_y"])]
    pub(crate) run: Option<PathBuf>,
    /// A guider that replaces the guider of the run: a model from `pig weights import`, or a run whose model_x is used.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model_x: Option<PathBuf>,
    /// A conditional model that replaces that of the run: a model from `pig weights import`, or a run whose model_y is used.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model_y: Option<PathBuf>,
    /// The folder to write; finished samples in it are skipped.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Make the samples 0 to N-1.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub(crate) count: Option<u64>,
    /// Make these samples, such as 0-2047 or 5,7,9-12.
    #[arg(long, value_name = "A-B", value_parser = seeds)]
    pub(crate) seeds: Option<Seeds>,
    /// Make part I (counted from 0) of N parts of the samples; "auto" reads the part from a Slurm array or a Kubernetes indexed job.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<Shard>,
    /// The shares of pairs that hold a class, such as mass=40%,cyst=10%; of one lesion, lesion=40%. The N pairs are chosen among more samples,
    /// which chosen.json counts; at most 50 for each pair.
    #[arg(long, value_name = "CLASS=SHARE", value_parser = shares, requires = "count",
          conflicts_with_all = ["shard", "initial_noise", "save_arrays", "save_steps", "given"])]
    pub(crate) classes: Option<Shares>,
    /// Short for --set sample.num_inference_steps=N.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Short for --set sample.batch_size=N.
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,
    /// A key of the section sample, such as sample.eta=0.5, or method=ddim for a run of ddpm; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
    /// Make images for the masks in this folder instead of making masks; sample S uses mask S modulo the number of masks, in the order of
    /// their names. The manifest's column source_mask holds the stem of the mask's file. Label maps must have the run's classes.
    #[arg(long, value_name = "DIR", group = "given")]
    pub(crate) given_mask: Option<PathBuf>,
    /// Make images for the masks of the run's training cases; sample S uses case S modulo the number of cases.
    #[arg(long, group = "given")]
    pub(crate) training_masks: bool,
    /// Make images for the masks that this other run makes with the same seeds, or those of "starter".
    #[arg(long, value_name = "RUN", group = "given")]
    pub(crate) masks_from: Option<PathBuf>,
    /// Make masks for the images in this folder instead of making images; sample S uses image S modulo the number of images, in the order
    /// of their names. The manifest's column source_image holds the stem of the image's file.
    #[arg(long, value_name = "DIR", group = "given")]
    pub(crate) given_image: Option<PathBuf>,
    /// Start from the arrays x_T and y_T of this file, or from y_T alone: float32 [samples, channels, height, width]; sample S starts from
    /// row S. If masks are given, x_T is the noise of Eq. (9).
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) initial_noise: Option<PathBuf>,
    /// Also write arrays/SEED.npz: x_0 and y_0 before any threshold or rounding; and for every timestep t (counted from 1) its alpha_bar,
    /// the inputs of the networks (x_t, y_t) and their estimates (x_0_hat, y_0_hat). All steps of a batch are kept in memory until they are
    /// written.
    #[arg(long)]
    pub(crate) save_arrays: bool,
    /// Also write steps/SEED/N.png while the steps are made: the estimates of mask (left) and image (right) after N evaluations of the
    /// networks; at most 50 of a sample, evenly spread.
    #[arg(long)]
    pub(crate) save_steps: bool,
    /// Also write progress.png: estimates of mask and image at several steps.
    #[arg(long)]
    pub(crate) progress_strips: bool,
    /// The data folder of the run, for the real pairs of the summary; its place at training time if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}
