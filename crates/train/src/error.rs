//! The errors of training and sampling that a user can cause.

use pig_data::DataError;
use pig_report::ReportError;
use std::path::{Path, PathBuf};

/// The result of a function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Each message names the file or key, what was found, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that cannot be read.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A problem with images, masks or splits.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A schedule that cannot be built.
    #[error(transparent)]
    Schedule(#[from] pig_diffusion::schedule::ScheduleError),
    /// More sampling steps than noise levels.
    #[error(transparent)]
    Levels(#[from] pig_diffusion::sampler::LevelsError),
    /// A file that could not be written.
    #[error(transparent)]
    File(#[from] pig_files::FileError),
    /// A network that cannot be built or does not fit the image.
    #[error(transparent)]
    Network(#[from] pig_nn::config::UNetError),
    /// Phantom images that cannot be made.
    #[error(transparent)]
    Phantom(#[from] pig_data::phantom::PhantomError),
    /// Another framework's arrays that cannot be read.
    #[error(transparent)]
    Weights(#[from] pig_weights::Error),
    /// A picture or page that cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Pair agreement that cannot be measured.
    #[error(transparent)]
    Agreement(#[from] pig_metrics::agreement::AgreementError),
    /// Nearest images that cannot be compared.
    #[error(transparent)]
    Nearest(#[from] pig_metrics::nearest::NearestError),
    /// A training that the machine's memory cannot hold.
    #[error(
        "this training needs at least {expected} of memory ({parts}), but the machine has {found} available; expected a training that fits; \
         lower data.size or train.batch_size, or set train.gradient_checkpointing = true"
    )]
    Memory {
        /// The memory that is available.
        found: String,
        /// The memory that is needed at least.
        expected: String,
        /// What it is needed for.
        parts: String,
    },
    /// A rank of a training in several processes that is no longer there.
    #[error(
        "rank {rank} of this training was lost ({source}); pig train --resume goes on from the last checkpoint, with any number of ranks"
    )]
    Rank {
        /// The rank.
        rank: usize,
        /// What the connection said.
        source: std::io::Error,
    },
    /// Ranks of a training that do not do the same.
    #[error(
        "{what} differ among the ranks of this training: rank {} has {}, rank {} has {}; expected the same on all machines: the same program, \
         the same arguments, data of the same content, and GPUs of the same model if GPUs compute",
        ranks[0], found[0], ranks[1], found[1]
    )]
    RanksDiffer {
        /// What differs.
        what: String,
        /// Two ranks that differ.
        ranks: [usize; 2],
        /// What they have.
        found: [String; 2],
    },
    /// A key whose value is out of range, or that cannot be used with another key.
    #[error("{key} = {found}, expected {expected}")]
    Setting {
        /// The configuration key.
        key: String,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A key of another method.
    #[error("{key} is set, but method = {method:?} does not use it; it belongs to {to}; leave it out")]
    Foreign {
        /// The configuration key.
        key: String,
        /// The method.
        method: &'static str,
        /// Where the key belongs.
        to: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: cannot {action}: {}", path.display(), pig_files::explained(source, "check the path and its permissions"))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A disk that became full during a training whose command cannot be repeated, since its run exists.
    #[error("{}: cannot {action}: the disk is full; free some space, then {advice}", path.display())]
    Full {
        /// The file that could not be written.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// How the training goes on.
        advice: String,
    },
    /// A run directory that exists.
    #[error(
        "{}: this run directory exists and is never overwritten; choose another --out, or continue it with --resume {}",
        path.display(), path.display()
    )]
    RunExists {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that is not a run.
    #[error("{}: not a run directory: {missing} is missing; give a directory that `pig train` made", path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
        /// The file that a run has.
        missing: &'static str,
    },
    /// Data that are not where a run had them.
    #[error("{}: {problem}; say where they are: --data DIR", run.display())]
    DataMoved {
        /// The run directory.
        run: PathBuf,
        /// Where they were, if the run says so.
        problem: String,
    },
    /// A folder that a run remembers, and that cannot be used as its data.
    #[error(
        "{}: it says that the data of this run are in {}, but: {source}; if they are elsewhere, give --data DIR",
        path.display(), folder.display()
    )]
    RememberedData {
        /// The file that names the folder.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Nothing to resume or to sample from.
    #[error(
        "{}: no valid checkpoint of {network}{}; nothing was changed; train it first, or start anew with another --out",
        path.display(), reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default()
    )]
    NoCheckpoint {
        /// Where checkpoints of this network lie.
        path: PathBuf,
        /// The network.
        network: &'static str,
        /// Why the checkpoint that exists is not valid.
        reason: Option<String>,
    },
    /// A file that is damaged, or of another kind.
    #[error("{}: {problem}; {advice}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
    /// Weights of another architecture.
    #[error("{}: {source}", path.display())]
    Architecture {
        /// The weights.
        path: PathBuf,
        /// How they differ.
        source: pig_nn::parameters::ParameterError,
    },
    /// A run, a model or a setting that does not fit the others.
    #[error("{what}: found {found}, expected {expected}; {advice}")]
    Mismatch {
        /// What does not fit.
        what: &'static str,
        /// What the run, the model or the setting has.
        found: String,
        /// What is needed.
        expected: String,
        /// What to do.
        advice: &'static str,
    },
    /// A loss that is not a finite number.
    #[error(
        "the loss of {network} became {loss} at step {step}; nothing after the last checkpoint is kept; lower train.learning_rate or set train.clip_grad_norm"
    )]
    Diverged {
        /// The network.
        network: &'static str,
        /// The step.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// Latents from which no network can learn.
    #[error(
        "the latents that {network} gives after step {step} are {found}; expected values that differ from image to image, which the next \
         network learns; check that the images are not all alike, or train {network} anew with another --out, longer or with a lower \
         train.learning_rate"
    )]
    Latents {
        /// The network.
        network: &'static str,
        /// The step.
        step: usize,
        /// What they are.
        found: String,
    },
    /// Too little data for the request.
    #[error("{found}; expected {expected}")]
    TooLittle {
        /// What there is.
        found: String,
        /// What is needed.
        expected: &'static str,
    },
}

impl Error {
    /// For `map_err` on a file operation.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    /// The same error of a mask that is given to a finished run; see [`DataError::for_run`].
    #[must_use]
    pub fn for_run(self) -> Self {
        match self {
            Self::Data(error) => Self::Data(error.for_run()),
            other => other,
        }
    }

    /// The file that could not be written because the disk is full, and what was tried; none for any other error.
    pub(crate) fn of_full_disk(&self) -> Option<(&Path, &'static str)> {
        let (path, action, source) = match self {
            Self::File(error) | Self::Data(DataError::File(error)) => (&error.path, error.action, &error.source),
            Self::Io { path, action, source } | Self::Data(DataError::Io { path, action, source }) => {
                (path, *action, source)
            }
            Self::Report(ReportError::Write { path, source }) => (path, "write", source),
            _ => return None,
        };
        pig_files::is_full(source).then_some((path.as_path(), action))
    }
}
