//! The pieces of cross-validations as jobs of Slurm: one script that submits an array for each kind of piece.

use crate::{
    crossval::{
        jobs::{Job, Progress},
        piece::PieceKind,
    },
    shell::quoted,
};
use std::{collections::BTreeMap, fmt::Write};

/// What is asked for in the place of an estimated time, since machines differ and a job that is stopped at its limit waits again.
const TIMES_ESTIMATE: f64 = 2.0;

/// Added to every time, in seconds: the start of the program, and the reading and preparing of the data.
const START: f64 = 600.0;

/// Times are whole numbers of so many seconds.
const TIME_STEP: f64 = 300.0;

/// What is asked for in the place of a measured memory: a training that has just begun holds less than it will.
const TIMES_MEMORY: f64 = 1.5;

/// Memory is asked for in whole numbers of so many megabytes.
const MEMORY_STEP: f64 = 1024.0;

/// Seconds before the limit of its time at which a job is told to save and to go back into the queue.
const NOTICE: u32 = 120;

/// The program with its arguments, without those that select pieces, and what each job needs beside them.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The folder in which the command runs.
    pub folder: String,
    /// Threads of each job.
    pub threads: usize,
    /// Largest resident memory in bytes while pieces were measured, if it is known. Jobs are given more, where more was counted.
    pub memory: Option<u64>,
}

/// A kind of array, in the order in which they are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Generators,
    RealSegmenters,
    Curation,
    Segmenters,
    Agreement,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Generators, Self::RealSegmenters, Self::Curation, Self::Segmenters, Self::Agreement];

    fn of(job: &Job) -> Self {
        match job.kind {
            PieceKind::Generator(_) => Self::Generators,
            PieceKind::Curation(_) => Self::Curation,
            PieceKind::Agreement { .. } => Self::Agreement,
            PieceKind::Segmenter { variant, .. } if variant.arm().is_none() => Self::RealSegmenters,
            PieceKind::Segmenter { .. } => Self::Segmenters,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Generators => "generators",
            Self::RealSegmenters => "real_segmenters",
            Self::Curation => "curation",
            Self::Segmenters => "segmenters",
            Self::Agreement => "agreement",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Generators => "Generators with their pairs.",
            Self::RealSegmenters => "Segmenters of real pairs alone.",
            Self::Curation => "Generated pairs, measured by the segmenters of real pairs to choose among them.",
            Self::Segmenters => "Segmenters of generated pairs, alone or beside real ones.",
            Self::Agreement => "Pair agreement, measured by the segmenters of real pairs.",
        }
    }

    /// What must be finished before.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::Generators | Self::RealSegmenters => &[],
            Self::Segmenters => &[Self::Generators, Self::Curation],
            Self::Curation | Self::Agreement => &[Self::Generators, Self::RealSegmenters],
        }
    }
}

/// The arguments that select one job's pieces, with its time in seconds if that is known.
type Tasks = BTreeMap<String, Option<f64>>;

/// A shell script that submits everything that is left to do: an array of jobs for each kind of piece, which begins when those that it
/// needs have ended well, and a last job that computes the table. `jobs` are the pieces of one or more cross-validations of one command.
pub fn sbatch(submission: &Submission, jobs: &[Job]) -> String {
    let mut stages: BTreeMap<Stage, Tasks> = BTreeMap::new();
    for job in jobs.iter().filter(|job| job.progress != Progress::Done) {
        let stage = Stage::of(job);
        let mut words = format!("--fold {} --arm {}", job.fold, quoted(&job.arm));
        // The seeds of an arm's agreement share the pairs that they measure.
        if let (Some(seed), false) = (job.seed, stage == Stage::Agreement) {
            let _ = write!(words, " --seed {seed}");
        }
        let seconds = job.time.map(|time| time.seconds);
        let task = stages.entry(stage).or_default().entry(words).or_insert(Some(0.0));
        *task = task.zip(seconds).map(|(sum, own)| sum + own);
    }
    let counted = jobs.iter().filter_map(|job| job.memory);
    let submission = &Submission { memory: counted.chain(submission.memory).max(), ..submission.clone() };
    let mut script = head(submission);
    for stage in Stage::ALL {
        if let Some(tasks) = stages.get(&stage) {
            let before: Vec<&str> =
                stage.needs().iter().filter(|needed| stages.contains_key(needed)).map(|stage| stage.word()).collect();
            array(&mut script, submission, stage, tasks, &before);
        }
    }
    let all: Vec<&str> = stages.keys().map(|stage| stage.word()).collect();
    table(&mut script, submission, &all);
    script
}

fn head(submission: &Submission) -> String {
    let command: Vec<String> = submission.command.iter().map(|word| quoted(word)).collect();
    format!(
        "#!/bin/bash
# Submits what is left to do to Slurm: an array for each kind of piece, and a last job that computes the table.
# Run it where sbatch is. The folder, the data and the program must be there on every node. SBATCH_ACCOUNT,
# SBATCH_PARTITION and the like are variables of sbatch. Times are {TIMES_ESTIMATE} times those of the machine that wrote this.
set -euo pipefail

# What every job does with its pieces. Near the limit of its time it saves, and goes back into the queue.
read -r -d '' work <<'WORK' || true
cd {}
again=
trap 'again=yes; kill -TERM \"$program\"' USR1
{} \"${{pieces[@]}}\" &
program=$!
wait \"$program\"; code=$?
if [ -n \"$again\" ]; then
  wait \"$program\"; code=$?
  if [ \"$code\" = 130 ]; then scontrol requeue \"$SLURM_JOB_ID\"; fi
fi
exit \"$code\"
WORK
",
        quoted(&submission.folder),
        command.join(" "),
    )
}

fn array(script: &mut String, submission: &Submission, stage: Stage, tasks: &Tasks, before: &[&str]) {
    let mut cases = String::from("case $SLURM_ARRAY_TASK_ID in\n");
    for (number, words) in tasks.keys().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(cases, "  {number}) pieces=({words}) ;;");
    }
    cases.push_str("esac");
    // One limit for all: that of the longest.
    let times: Option<Vec<f64>> = tasks.values().copied().collect();
    let longest = times.map(|times| times.into_iter().fold(0.0, f64::max));
    let options = format!("--array=0-{} {}", tasks.len() - 1, needs(submission, longest));
    submit(script, stage.about(), stage.word(), &options, before, &cases);
}

/// The last job computes nothing but the table, since all pieces are done.
fn table(script: &mut String, submission: &Submission, before: &[&str]) {
    submit(script, "The table of all pieces.", "table", &needs(submission, Some(0.0)), before, "pieces=()");
    let names: Vec<String> = before.iter().chain(&["table"]).map(|name| format!("{name} ${name}")).collect();
    let _ = writeln!(script, "echo \"submitted: {}\"", names.join(", "));
}

/// Submits a job that chooses its pieces with `choice`, and remembers its number in a variable of the stage's name.
fn submit(script: &mut String, about: &str, word: &str, options: &str, before: &[&str], choice: &str) {
    let dependency = dependency(before);
    let _ = write!(
        script,
        "
# {about}
{word}=$({{ cat <<'JOB'; echo \"$work\"; }} | sbatch --parsable --job-name=pig-{word} {options}{dependency}
#!/bin/bash
{choice}
JOB
)
"
    );
}

fn dependency(before: &[&str]) -> String {
    if before.is_empty() {
        return String::new();
    }
    let jobs: Vec<String> = before.iter().map(|name| format!("${name}")).collect();
    // A job whose predecessor failed would wait for ever.
    format!(" --dependency=afterok:{} --kill-on-invalid-dep=yes", jobs.join(":"))
}

/// The resources of a job. Without a known time, the limit is that of the partition.
fn needs(submission: &Submission, seconds: Option<f64>) -> String {
    let mut words = format!("--cpus-per-task={} --requeue --signal=B:USR1@{NOTICE}", submission.threads);
    if let Some(bytes) = submission.memory {
        let megabytes = (TIMES_MEMORY * bytes as f64 / (1024.0 * 1024.0) / MEMORY_STEP).ceil() * MEMORY_STEP;
        let _ = write!(words, " --mem={megabytes:.0}M");
    }
    if let Some(seconds) = seconds {
        let whole = ((TIMES_ESTIMATE * seconds + START) / TIME_STEP).ceil() * TIME_STEP;
        let _ = write!(words, " --time={:.0}", whole / 60.0);
    }
    words
}
