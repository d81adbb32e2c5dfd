//! `/job`: a command that the page started, what it says, and what it made. Of a sampling, mask and image appear step by step.

use super::part::{Part, html};
use crate::{
    app::App,
    below::encoded,
    jobs::{Kind, Record, State as JobState},
    process,
    reply::{Refusal, Reply, aside, go_to, page},
    table::Progress,
};
use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    response::Response,
};
use pig_train::steps::FOLDER;
use serde::Deserialize;

/// The most samples whose steps are shown.
const MOST_SEEDS: usize = 16;
/// The steps of a sample that are shown below each other at last.
const STRIP: usize = 10;

/// The name of a job.
#[derive(Deserialize)]
pub(crate) struct Of {
    id: String,
}

/// What to stop: a job, or the process that trains a run.
#[derive(Deserialize)]
pub(crate) struct Stop {
    #[serde(default)]
    job: String,
    run: Option<String>,
}

#[derive(Template)]
#[template(path = "job.html")]
struct Page {
    section: &'static str,
    id: String,
    title: String,
    state: String,
    actions: String,
    is_sample: bool,
    steps: String,
    result: String,
    log: String,
    command: String,
}

#[derive(Template)]
#[template(path = "job_state.html")]
struct StatePart {
    word: &'static str,
    started: String,
    progress: Option<Progress>,
}

/// Apart from the state, which changes every second: what is clicked must not be exchanged meanwhile.
#[derive(Template)]
#[template(path = "job_actions.html")]
struct Actions {
    is_running: bool,
    id: String,
    next: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "job_steps.html")]
struct Steps {
    seeds: Vec<Sampled>,
    waiting: &'static str,
}

struct Sampled {
    seed: String,
    last: String,
    step: usize,
    steps: usize,
    shown: Vec<String>,
    is_pair: bool,
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Query(of): Query<Of>) -> Reply<Response> {
    aside(move || {
        let job = app.jobs().get(&of.id)?;
        let parts = parts(&app, &of.id)?;
        page(&Page {
            section: if job.kind == Kind::Sample { "sample" } else { "runs" },
            id: job.id.clone(),
            title: job.title.clone(),
            state: html(&parts, "state"),
            actions: html(&parts, "actions"),
            is_sample: job.kind == Kind::Sample,
            steps: html(&parts, "steps"),
            result: html(&parts, "result"),
            log: html(&parts, "log"),
            command: job.command(),
        })
    })
    .await
}

/// The parts that change.
pub(crate) fn parts(app: &App, id: &str) -> Reply<Vec<Part>> {
    let job = app.jobs().get(id)?;
    let (state, log) = (job.state(), app.jobs().log(id));
    let is_running = state == JobState::Running;
    let progress = Progress::last(&log).filter(|_| is_running);
    let mut parts = vec![
        Part::new("state", &StatePart { word: state.word(), started: job.started.clone(), progress })?,
        Part::new("actions", &Actions { is_running, id: id.to_owned(), next: next(app, &job, state) })?,
        Part::text("log", &log),
    ];
    if job.kind == Kind::Sample {
        let shows = job.args.iter().any(|word| word == "--save-steps");
        let waiting = match (is_running, shows) {
            (_, false) => "Steps are shown of a few pairs alone; these are more.",
            (true, true) => "Waiting for the first step…",
            (false, true) => "No step was made.",
        };
        parts.push(Part::new("steps", &Steps { seeds: steps(app, &job), waiting })?);
    }
    Ok(parts)
}

/// Where to go on from a job.
fn next(app: &App, job: &Record, state: JobState) -> Option<(String, &'static str)> {
    let out = job.out.as_deref()?;
    app.root().find(out)?;
    let link = encoded(out);
    match (job.kind, state) {
        (Kind::Plan, JobState::Done | JobState::Ended) => Some((format!("/new?plan={}", job.id), "Read the plan")),
        (Kind::Train, _) => Some((format!("/run?path={link}"), "Watch the run")),
        (Kind::Sample, JobState::Done | JobState::Ended | JobState::Stopped) => {
            let run = encoded(job.of.as_deref().unwrap_or_default());
            Some((format!("/gallery?path={link}&run={run}"), "Look at the pairs"))
        }
        (Kind::Report, JobState::Done | JobState::Ended) => Some((format!("/page?path={link}"), "Read the report")),
        _ => None,
    }
}

/// The steps of the samples that a job makes.
fn steps(app: &App, job: &Record) -> Vec<Sampled> {
    let folder = job.out.as_deref().and_then(|out| app.root().folder(&format!("{out}/{FOLDER}")));
    let Some(folder) = folder else { return Vec::new() };
    let (address, total) = (app.root().address(&folder).unwrap_or_default(), asked_steps(job));
    let is_pair = !job.args.iter().any(|word| word == "--given-mask");
    names(&folder)
        .into_iter()
        .take(MOST_SEEDS)
        .filter_map(|seed| {
            let files = names(&folder.join(&seed));
            let of = |file: &String| encoded(&format!("{address}/{seed}/{file}"));
            let last = files.last()?;
            let step = last.strip_suffix(".png")?.parse().ok()?;
            let count = files.len().min(STRIP);
            let spread = (0..count).map(|at| at * (files.len() - 1) / (count - 1).max(1));
            Some(Sampled {
                last: of(last),
                step,
                steps: total.max(step),
                shown: spread.map(|at| of(&files[at])).collect(),
                is_pair,
                seed,
            })
        })
        .collect()
}

/// The number of steps that a sampling was asked for.
fn asked_steps(job: &Record) -> usize {
    let mut words = job.args.iter();
    words.find(|word| *word == "--steps");
    words.next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The names in a folder without hidden ones, sorted.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Asks a job, or the process that trains a run, to stop.
pub(crate) async fn stop(State(app): State<App>, Form(asked): Form<Stop>) -> Reply<Response> {
    aside(move || {
        let Some(run) = asked.run else {
            let job = app.jobs().stop(&asked.job)?;
            return Ok(go_to(&format!("/job?id={}", job.id)));
        };
        let folder = app.root().folder(&run).ok_or_else(|| Refusal::missing(format!("There is no run {run:?}.")))?;
        match pig_files::holder(&folder).map_err(Refusal::fault)? {
            Some(owner) if owner.is_on_this_machine() => {
                process::Process::of(owner.process).stop().map_err(Refusal::fault)?;
                Ok(go_to(&format!("/run?path={}", encoded(&run))))
            }
            Some(owner) => Err(Refusal::busy(format!("{owner} trains this run; stop it on that machine."))),
            None => Err(Refusal::busy("Nothing trains this run; there is nothing to stop.")),
        }
    })
    .await
}
