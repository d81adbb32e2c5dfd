//! The command line: commands and flags. Flags name the machine, inputs, outputs and the samples to make; everything that changes a result
//! is a configuration key.

use clap::{Parser, Subcommand, builder::NonEmptyStringValueParser};
use pig_device::Request;
use std::{ffi::OsString, path::PathBuf};

mod boost;
mod cache;
mod compare;
mod crossval;
mod curate;
mod data_keys;
mod experiment;
mod export;
mod factor;
mod fid;
mod manuals;
mod part;
mod plan;
mod prepare;
mod sample;
mod samples;
mod segment;
mod serve;
mod weights;

pub(crate) use boost::Boost;
pub(crate) use cache::{Cache, Clear};
pub(crate) use compare::Compare;
pub(crate) use crossval::{Crossval, Pieces};
pub(crate) use curate::{AreasName, Curate, OrderName};
pub(crate) use experiment::{Experiment, Report, Table1};
pub(crate) use export::{Export, FormatName, SegmentationName, SegmentationTypeName};
use factor::factor;
pub(crate) use fid::{Calc, Copies, FeatureName, Fid, InceptionArgs, Reference};
pub(crate) use manuals::{Completions, Man};
pub(crate) use plan::Plan;
pub(crate) use prepare::{Inspect, Prepare, Reading};
pub(crate) use sample::Sample;
pub(crate) use segment::{BothEmptyName, Evaluate, Segment, SegmentPredict, SegmentTrain};
pub(crate) use serve::Serve;
pub(crate) use weights::{KindName, SampleVolume, WeightPrecision, Weights};

/// Paired image generation: learns from images with lesion masks and makes new annotated pairs.
///
/// Zhang et al., "Paired Image Generation with Diffusion-Guided Diffusion Models", MICCAI 2025.
#[derive(Debug, Parser)]
#[command(name = "pig", version, max_term_width = 110)]
pub(crate) struct Args {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Flags for the machine and the terminal.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// Flags that change no result.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The machine and the terminal")]
pub(crate) struct Machine {
    /// The device that computes: auto, cpu, or one of cuda, vulkan, wgpu and metal if pig was built with it, alone or with a number such as
    /// cuda:1; `pig doctor` lists the available devices.
    #[arg(long, global = true, default_value = "auto", value_parser = clap::value_parser!(Request))]
    pub(crate) device: Request,
    /// Number of threads; all cores if not given.
    #[arg(long, global = true, value_parser = workers)]
    pub(crate) workers: Option<usize>,
    /// Print the result as JSON on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only warnings and errors on stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// The folder in which prepared pairs are kept; if not given, PIG_CACHE_DIR, or else pig/ in the user's folder for caches
    /// (XDG_CACHE_HOME, ~/.cache; LOCALAPPDATA on Windows).
    #[arg(long, global = true, value_name = "DIR", value_parser = clap::value_parser!(PathBuf))]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep prepared pairs in memory alone, and prepare them again at every start.
    #[arg(long, global = true, conflicts_with = "cache_dir")]
    pub(crate) no_cache: bool,
}

impl Machine {
    /// The folder in which prepared pairs are kept; none if they are not to be kept, or if there is no place for them.
    pub(crate) fn cache(&self) -> Option<PathBuf> {
        if self.no_cache { None } else { self.cache_folder() }
    }

    /// The folder in which prepared pairs are kept if they are; none if neither a flag nor the system names one.
    pub(crate) fn cache_folder(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(|| cache_folder(&|name| std::env::var_os(name)))
    }
}

/// The folder for the cache that environment variables name. A user's folder counts if it is absolute, as the XDG Base Directory
/// Specification wants it.
fn cache_folder(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_user = |name: &str| folder(name).filter(|path| path.is_absolute());
    folder("PIG_CACHE_DIR")
        .or_else(|| of_user("XDG_CACHE_HOME").map(|path| path.join("pig")))
        .or_else(|| of_user("LOCALAPPDATA").filter(|_| cfg!(windows)).map(|path| path.join("pig").join("cache")))
        .or_else(|| of_user("HOME").map(|path| path.join(".cache").join("pig")))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole method on built-in phantom images: train, sample, and write one page. Needs no network and no files.
    #[command(before_long_help = "Example:\n  pig demo --minutes 20")]
    Demo(Demo),
    /// Make pairs for training from DICOM, NIfTI, pictures and public data sets.
    #[command(before_long_help = "Examples:\n\
         \x20 pig prepare SOURCE DATA --new-key my.key\n\
         \x20 pig prepare SOURCE DATA --key my.key --set prepare.size=256")]
    Prepare(Prepare),
    /// Inspect a folder before preparing it or training on it: counts, sizes, lesions, duplicates, problems.
    #[command(before_long_help = "Example:\n  pig inspect SOURCE --page look.html")]
    Inspect(Inspect),
    /// Look at a folder of images with masks, measure this machine, and write a configuration whose every setting has its reason.
    #[command(before_long_help = "Example:\n  pig plan DATA --hours 8 --out plan.toml")]
    Plan(Plan),
    /// Train on a folder of images with masks.
    #[command(before_long_help = "Examples:\n\
         \x20 pig train --config plan.toml --data DATA --out RUN\n\
         \x20 pig train --resume RUN")]
    Train(Train),
    /// Make new pairs with a trained run.
    #[command(before_long_help = "Examples:\n\
         \x20 pig sample --run RUN --count 2048 --out PAIRS\n\
         \x20 pig sample --run RUN --given-mask MASKS --out PAIRS")]
    Sample(Sample),
    /// Compare sets of images: Frechet and kernel distances, precision and recall, copies of training images.
    #[command(subcommand)]
    Fid(Fid),
    /// Train a segmenter, predict masks, measure predicted masks.
    #[command(subcommand)]
    Segment(Segment),
    /// Find out in one command whether generated pairs help a segmenter on your data, and get the best training folder.
    #[command(before_long_help = "Examples:\n\
         \x20 pig boost DATA --hours 12 --out BOOST --dry-run\n\
         \x20 pig boost DATA --hours 12 --out BOOST")]
    Boost(Boost),
    /// Choose generated pairs by what segmenters of real pairs say of them.
    #[command(before_long_help = "Example:\n  pig curate PAIRS --run SEGMENTER --keep 0.5 --out CURATED")]
    Curate(Curate),
    /// Compare segmenters with and without generated pairs in folds by patient.
    #[command(before_long_help = "Examples:\n\
         \x20 pig crossval --config crossval.toml --data DATA --out OUT --jobs\n\
         \x20 pig crossval --config crossval.toml --data DATA --out OUT")]
    Crossval(Crossval),
    /// Compare two tables of the same cases: mean difference with its interval, and a permutation test.
    #[command(before_long_help = "Example:\n  pig compare first.csv second.csv --column dice")]
    Compare(Compare),
    /// Make the paper's tables and its Fig. 3, and further measurements that a reviewer would ask for, on your own data.
    #[command(subcommand)]
    Experiment(Experiment),
    /// Write one offline page about a run, a cross-validation or an experiment.
    #[command(before_long_help = "Example:\n  pig report RUN")]
    Report(Report),
    /// Write pairs in the formats of other tools.
    #[command(before_long_help = "Example:\n\
         \x20 pig export PAIRS --format nnunet --real DATA --share 0.5 --splits RUN/splits.json --out Dataset101_Lesions")]
    Export(Export),
    /// Import models from other frameworks, check them, and export models to them.
    #[command(subcommand)]
    Weights(Weights),
    /// Show runs, pairs and reports of a folder in a browser, and train, sample, curate and export there.
    #[command(before_long_help = "Example:\n  pig serve FOLDER --port 8000")]
    Serve(Serve),
    /// Show or check a configuration.
    #[command(subcommand)]
    Config(Config),
    /// List or remove the prepared pairs that pig keeps, so that the next training on the same data begins at once.
    #[command(subcommand)]
    Cache(Cache),
    /// Check this machine: device, threads, codecs, speed.
    #[command(before_long_help = "Example:\n  pig doctor")]
    Doctor,
    /// Print a script that lets a shell complete commands and flags.
    #[command(before_long_help = "Example:\n  pig completions bash")]
    Completions(Completions),
    /// Write a man page for every command.
    #[command(before_long_help = "Example:\n  pig man --out man1")]
    Man(Man),
    /// Print this reference as Markdown.
    #[command(hide = true)]
    Reference,
    /// Panic, as a fault of pig would, so that the exit code can be tested.
    #[command(hide = true)]
    Panic,
}

/// `pig demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The folder to write; an interrupted demo in it is continued.
    #[arg(long, default_value = "pig-demo")]
    pub(crate) out: PathBuf,
    /// Number of phantom patients, with two images each.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(4..))]
    pub(crate) patients: u32,
    /// Give half of the patients a cluster of microcalcifications, a second class of lesion beside masses.
    #[arg(long)]
    pub(crate) calcifications: bool,
    /// Number of pairs to make.
    #[arg(long, default_value_t = 64)]
    pub(crate) count: u64,
    /// The minutes that the demo may take: it measures the machine, and trains as many steps as fit.
    #[arg(long, default_value_t = 6.0, value_parser = factor)]
    pub(crate) minutes: f64,
    /// A configuration key that overrides the demo's own, such as model_y.layers_per_block=2; may be repeated. With train.steps or
    /// train.model_x_steps, --minutes decides nothing.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// `pig train`.
#[derive(Debug, clap::Args)]
pub(crate) struct Train {
    /// The configuration, a TOML file; the defaults if not given.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of images and masks.
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    pub(crate) data: Option<PathBuf>,
    /// A folder of images without masks, from which the image network learns, too, without a mask as its condition. Images of validating and
    /// testing patients are refused.
    #[arg(long, value_name = "DIR")]
    pub(crate) unlabelled: Option<PathBuf>,
    /// A further folder of pairs to train on, which are never used for validation: images with pseudo-masks of `pig segment predict`, another
    /// set, or generated pairs; may be repeated. Their masks have two values. Images of validating and testing patients are refused.
    #[arg(long, value_name = "PAIRS", conflicts_with = "resume")]
    pub(crate) add: Vec<PathBuf>,
    /// The run directory to create.
    #[arg(long, value_name = "RUN", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) out: Option<PathBuf>,
    /// Continue this run from its last checkpoint.
    #[arg(long, value_name = "RUN")]
    pub(crate) resume: Option<PathBuf>,
    /// Train a finished run longer, to N optimiser steps (train.steps); networks with a number of steps of their own grow by the same factor.
    #[arg(long, value_name = "N", requires = "resume", conflicts_with_all = ["config", "out", "sets", "steps_scale", "dry_run"])]
    pub(crate) steps: Option<usize>,
    /// A configuration key, such as train.steps=1000; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
    /// Multiply every key of `[train]` that counts optimiser steps, such as train.steps and train.model_x_steps, by this factor: 0.01 for a
    /// quick look.
    #[arg(long, value_name = "FACTOR", conflicts_with = "resume", value_parser = factor)]
    pub(crate) steps_scale: Option<f64>,
    /// Train with the settings that `pig plan --hours H` decides; --set overrides single ones.
    #[arg(long, value_name = "H", conflicts_with_all = ["config", "resume", "steps_scale"], value_parser = factor)]
    pub(crate) plan_hours: Option<f64>,
    /// Check everything, measure a few steps, and print what the training would cost; write nothing.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
}

/// `pig config`.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every key with its value: the defaults, or the values of a file and of settings that override them.
    #[command(before_long_help = "Example:\n  pig config show --config configs/hq.toml")]
    Show(ConfigArgs),
    /// Check whether a configuration can be used.
    #[command(before_long_help = "Example:\n  pig config check --config plan.toml --set train.steps=1000")]
    Check(ConfigArgs),
    /// Compare the costs of trainings, counted as training images times forward operations, summed over a method's networks.
    #[command(before_long_help = "Example:\n  pig config budget first.toml second.toml")]
    Budget(BudgetArgs),
}

/// Configurations whose budgets are compared.
#[derive(Debug, clap::Args)]
pub(crate) struct BudgetArgs {
    /// TOML files; the exit code is 1 if a budget differs from that of the first file by more than 10 %.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) configs: Vec<PathBuf>,
    /// A configuration key for all of them, such as data.size=32; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// Layers of a configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// The configuration, a TOML file; the defaults if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A configuration key, such as train.steps=1000; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a number of threads, 1 or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    /// The commands without commands below them, with their examples.
    fn examples(command: &clap::Command, found: &mut Vec<(String, String)>) {
        let mut below = command.get_subcommands().filter(|sub| !sub.is_hide_set()).peekable();
        if below.peek().is_none() {
            let example = command.get_before_long_help().map(ToString::to_string).unwrap_or_default();
            found.push((command.get_name().to_owned(), example));
        }
        below.for_each(|sub| examples(sub, found));
    }

    #[test]
    fn the_help_of_every_command_begins_with_examples_that_can_be_used() {
        let mut found = Vec::new();
        examples(&Args::command(), &mut found);
        assert!(found.len() > 25, "{found:?}");
        for (name, example) in found {
            let lines: Vec<&str> = example.lines().filter_map(|line| line.strip_prefix("  pig ")).collect();
            assert!(!lines.is_empty(), "{name} has no example");
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                assert!(words.contains(&name.as_str()), "{name}: {line}");
                if let Err(error) = Args::try_parse_from(["pig"].iter().chain(&words)) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let of = |set: &[(&str, &str)]| {
            let set: Vec<(String, OsString)> = set.iter().map(|(n, v)| ((*n).to_owned(), (*v).into())).collect();
            cache_folder(&move |name| set.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()))
        };
        let home = ("HOME", "/h");
        assert_eq!(of(&[home, ("XDG_CACHE_HOME", "/x"), ("PIG_CACHE_DIR", "p")]), Some("p".into()));
        assert_eq!(of(&[home, ("XDG_CACHE_HOME", "/x"), ("PIG_CACHE_DIR", "")]), Some("/x/pig".into()));
        assert_eq!(of(&[home, ("XDG_CACHE_HOME", "relative")]), Some("/h/.cache/pig".into()));
        assert_eq!(of(&[]), None);
    }
}
