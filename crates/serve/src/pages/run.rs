//! `/run`: one run, as it grows.

use super::part::{Part, html};
use crate::{
    app::App,
    below::encoded,
    reply::{Reply, aside, page},
    runs::{Network, Run, State as RunState, duration},
};
use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use pig_report::CHART_STYLE;
use pig_train::watch::{EXPECTED, Watched};
use serde::Deserialize;

/// A share of suspected copies from which the page warns: three times what is expected without copies, as of a few dozen pairs.
const SUSPICIOUS: f64 = 3.0 * EXPECTED;

/// The address of a run.
#[derive(Deserialize)]
pub(crate) struct Of {
    path: String,
}

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    section: &'static str,
    name: String,
    address: String,
    link: String,
    state: String,
    actions: String,
    watched: String,
    curves: String,
    previews: String,
    differences: Vec<[String; 3]>,
    toml: String,
    log: String,
}

#[derive(Template)]
#[template(path = "run_state.html")]
struct StatePart<'a> {
    word: &'static str,
    method: &'a str,
    size: String,
    owner: Option<String>,
    left: Option<String>,
    networks: &'a [Network],
}

/// Apart from the state, which changes every second: what is clicked must not be exchanged meanwhile.
#[derive(Template)]
#[template(path = "run_actions.html")]
struct Actions<'a> {
    address: &'a str,
    link: String,
    can_stop: bool,
    can_resume: bool,
    can_sample: bool,
    job: Option<String>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "run_watched.html")]
struct WatchedPart {
    watched: Option<Watched>,
    /// What it showed of each class, in words.
    classes: Vec<(String, String)>,
    copies: Option<String>,
    suspicious: bool,
    expected: String,
}

#[derive(Template)]
#[template(path = "run_curves.html")]
struct Curves {
    style: &'static str,
    charts: Vec<String>,
}

#[derive(Template)]
#[template(path = "run_previews.html")]
struct Previews {
    previews: Vec<(String, String)>,
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Query(of): Query<Of>) -> Reply<Response> {
    aside(move || {
        let run = Run::read(app.root(), &of.path)?;
        let parts = parts_of(&app, &run)?;
        page(&Page {
            section: "runs",
            name: if run.address.is_empty() { "This folder".to_owned() } else { run.name().to_owned() },
            link: encoded(&run.address),
            state: html(&parts, "state"),
            actions: html(&parts, "actions"),
            watched: html(&parts, "watched"),
            curves: html(&parts, "curves"),
            previews: html(&parts, "previews"),
            differences: run.differences(),
            toml: run.toml().to_owned(),
            log: html(&parts, "log"),
            address: run.address,
        })
    })
    .await
}

/// The parts that change.
pub(crate) fn parts(app: &App, address: &str) -> Reply<Vec<Part>> {
    parts_of(app, &Run::read(app.root(), address)?)
}

fn parts_of(app: &App, run: &Run) -> Reply<Vec<Part>> {
    let charts = run.charts().iter().map(pig_report::Chart::inline_svg).collect();
    let previews = run.previews(app.root()).into_iter().map(|(address, words)| (encoded(&address), words)).collect();
    let copies = run.watched.as_ref().and_then(|watched| watched.suspected_copies);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let of_class = |(name, own): (&String, &Watched)| {
        let contrasts =
            [("generated", own.contrast), ("real", own.contrast_real), ("masks of others", own.contrast_shuffled)];
        let contrasts = contrasts.into_iter().filter_map(|(word, value)| Some(format!("{word} {:+.3}", value?)));
        let copies = own.suspected_copies.map(|share| format!("{} suspected copies", percent(share)));
        let words: Vec<String> = contrasts.chain(copies).collect();
        (name.clone(), if words.is_empty() { "in no pair".to_owned() } else { words.join(", ") })
    };
    Ok(vec![
        state(run)?,
        actions(app, run)?,
        Part::new(
            "watched",
            &WatchedPart {
                watched: run.watched.clone(),
                classes: run.watched.iter().flat_map(|watched| &watched.classes).map(of_class).collect(),
                copies: copies.map(percent),
                suspicious: copies.is_some_and(|share| share > SUSPICIOUS),
                expected: percent(EXPECTED),
            },
        )?,
        Part::new("curves", &Curves { style: CHART_STYLE, charts })?,
        Part::new("previews", &Previews { previews })?,
        Part::text("log", &run.log(app.root())),
    ])
}

fn state(run: &Run) -> Reply<Part> {
    let owner = match &run.state {
        RunState::Training(owner) => Some(owner.to_string()),
        _ => None,
    };
    let left = run.seconds_left().filter(|_| owner.is_some()).map(|seconds| match run.to_begin() {
        0 => format!("about {} left", duration(seconds)),
        more => format!("about {} left for this network; {more} more to begin", duration(seconds)),
    });
    let planned = run.planned_hours().map(|hours| format!("planned: {}", duration(3600.0 * hours)));
    let left = match (left, planned) {
        (Some(left), Some(planned)) => Some(format!("{left} ({planned})")),
        (left, _) => left,
    };
    Part::new(
        "state",
        &StatePart {
            word: run.state.word(),
            method: &run.method,
            size: format!("{} × {}", run.size[0], run.size[1]),
            owner,
            left,
            networks: &run.networks,
        },
    )
}

fn actions(app: &App, run: &Run) -> Reply<Part> {
    let job = app.jobs().that_writes(&run.address);
    let failed = job.as_ref().filter(|job| job.state() == crate::jobs::State::Failed);
    let problem = failed.map(|job| {
        let log = app.jobs().log(&job.id);
        log.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or("It ended with an error.").to_owned()
    });
    let can_stop = matches!(&run.state, RunState::Training(owner) if owner.is_on_this_machine());
    let actions = Actions {
        address: &run.address,
        link: encoded(&run.address),
        can_stop,
        can_resume: run.state == RunState::Stopped && run.generator.is_some(),
        can_sample: run.generator.is_some() && run.networks.iter().all(|network| network.saved > 0),
        job: job.map(|job| job.id),
        problem,
    };
    Part::new("actions", &actions)
}
