//! `/`: the runs and the jobs of the folder.

use super::part::{Part, html};
use crate::{
    app::App,
    below::encoded,
    jobs::{Record, State as JobState},
    reply::{Reply, aside, page},
    runs::{Network, Run, State as RunState, duration},
};
use askama::Template;
use axum::{extract::State, response::Response};
use rayon::prelude::*;

/// The most jobs of the list.
const MOST_JOBS: usize = 8;

#[derive(Template)]
#[template(path = "home.html")]
struct Page {
    section: &'static str,
    folder: String,
    is_cut: bool,
    jobs: String,
    runs: String,
}

#[derive(Template)]
#[template(path = "home_runs.html")]
struct Runs {
    runs: Vec<Card>,
    broken: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct Jobs {
    jobs: Vec<JobRow>,
}

struct Card {
    name: String,
    link: String,
    method: String,
    size: String,
    state: &'static str,
    words: String,
    networks: Vec<Bar>,
    preview: Option<String>,
}

struct Bar {
    name: String,
    percent: usize,
    step: usize,
    steps: usize,
}

struct JobRow {
    id: String,
    title: String,
    state: &'static str,
    words: String,
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Reply<Response> {
    aside(move || {
        let parts = parts(&app)?;
        let folder = app.root().path().display().to_string();
        let is_cut = app.found().is_cut;
        page(&Page { section: "runs", folder, is_cut, jobs: html(&parts, "jobs"), runs: html(&parts, "runs") })
    })
    .await
}

/// The parts that change.
pub(crate) fn parts(app: &App) -> Reply<Vec<Part>> {
    let found = app.found();
    let read: Vec<_> = found.runs.par_iter().map(|address| (address, Run::read(app.root(), address))).collect();
    let (mut runs, mut broken) = (Vec::new(), Vec::new());
    for (address, run) in read {
        match run {
            Ok(run) => runs.push(card(app, &run)),
            Err(refusal) => broken.push((address.clone(), refusal.message().to_owned())),
        }
    }
    let jobs = app.jobs().all().iter().take(MOST_JOBS).map(|job| row(app, job)).collect();
    Ok(vec![Part::new("runs", &Runs { runs, broken })?, Part::new("jobs", &Jobs { jobs })?])
}

fn card(app: &App, run: &Run) -> Card {
    let left = run.seconds_left().filter(|_| matches!(run.state, RunState::Training(_)));
    let words = match (left, run.to_begin()) {
        (Some(seconds), 0) => format!("about {} left", duration(seconds)),
        (Some(seconds), _) => format!("about {} left for this network", duration(seconds)),
        (None, _) => run.address.clone(),
    };
    let bar = |network: &Network| Bar {
        name: network.name.clone(),
        percent: network.percent(),
        step: network.step,
        steps: network.steps,
    };
    Card {
        name: if run.address.is_empty() { "this folder".to_owned() } else { run.name().to_owned() },
        link: encoded(&run.address),
        method: run.method.clone(),
        size: format!("{} × {}", run.size[0], run.size[1]),
        state: run.state.word(),
        words,
        networks: run.networks.iter().map(bar).collect(),
        preview: run.previews(app.root()).first().map(|(address, _)| encoded(address)),
    }
}

fn row(app: &App, job: &Record) -> JobRow {
    let state = job.state();
    let words = match state {
        JobState::Running => crate::table::Progress::last(&app.jobs().log(&job.id)).map_or(String::new(), |progress| {
            format!("{}: {} %, {} left", progress.stage, progress.percent(), progress.left)
        }),
        _ => job.started.clone(),
    };
    JobRow { id: job.id.clone(), title: job.title.clone(), state: state.word(), words }
}
