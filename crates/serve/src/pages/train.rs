//! `/new`: a training on a folder: its plan, its start, and how a run goes on.

use crate::{
    app::App,
    below::encoded,
    jobs::{Kind, Request, free_name},
    reply::{Refusal, Reply, aside, go_to, page},
};
use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use std::sync::PoisonError;

/// What to choose at first.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// A folder.
    #[serde(default)]
    data: String,
    /// A job that made a plan.
    plan: Option<String>,
}

/// A plan to make.
#[derive(Deserialize)]
pub(crate) struct PlanForm {
    data: String,
    hours: f64,
}

/// A training to start.
#[derive(Deserialize)]
pub(crate) struct TrainForm {
    data: String,
    config: String,
    name: String,
    #[serde(default)]
    sets: String,
}

/// A run that is to go on.
#[derive(Deserialize)]
pub(crate) struct ResumeForm {
    run: String,
}

#[derive(Template)]
#[template(path = "new.html")]
struct Page {
    section: &'static str,
    folder: String,
    data: Vec<String>,
    configs: Vec<String>,
    chosen: String,
    plan: Option<Plan>,
}

struct Plan {
    text: String,
    config: String,
    data: String,
    name: String,
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Reply<Response> {
    aside(move || {
        let found = app.found();
        let plan = asked.plan.as_deref().map(|job| plan_of(&app, job)).transpose()?;
        page(&Page {
            section: "runs",
            folder: app.root().path().display().to_string(),
            data: found.data.clone(),
            configs: found.configs.clone(),
            chosen: asked.data,
            plan,
        })
    })
    .await
}

/// The plan that a job wrote.
fn plan_of(app: &App, job: &str) -> Reply<Plan> {
    let job = app.jobs().get(job)?;
    let (Some(config), Some(data)) = (job.out, job.of) else { return Err(Refusal::missing("This job made no plan.")) };
    let path = app.root().find(&config).ok_or_else(|| Refusal::missing("The plan is not there any more."))?;
    let text = pig_files::read_to_string(path).map_err(Refusal::fault)?;
    let name = config.rsplit('/').next().unwrap_or_default().trim_end_matches(".toml").to_owned();
    Ok(Plan { text, config, data, name })
}

/// The folder of an address, for a command.
fn folder(app: &App, address: &str) -> Reply<String> {
    let found = app.root().folder(address);
    let folder =
        found.ok_or_else(|| Refusal::wrong(format!("There is no folder {address:?} below the served folder.")))?;
    Ok(folder.display().to_string())
}

/// A name for what is made from a folder of data.
fn name_of(address: &str) -> String {
    let last = address.rsplit('/').next().unwrap_or_default();
    let plain: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    if plain.is_empty() { "run".to_owned() } else { plain }
}

/// Plans a training.
pub(crate) async fn plan(State(app): State<App>, Form(form): Form<PlanForm>) -> Reply<Response> {
    aside(move || {
        let data = folder(&app, &form.data)?;
        if !(form.hours.is_finite() && form.hours > 0.0) {
            return Err(Refusal::wrong(format!("The time is {} hours; expected a number above 0.", form.hours)));
        }
        let plans = app.root().path().join("plans");
        std::fs::create_dir_all(&plans).map_err(Refusal::fault)?;
        let wanted = name_of(&form.data);
        let names = std::iter::once(wanted.clone()).chain((2..).map(|number| format!("{wanted}-{number}")));
        let mut names = names.map(|name| format!("plans/{name}.toml"));
        let out = names.find(|name| !app.root().path().join(name).exists()).unwrap_or_default();
        let file = app.root().path().join(&out).display().to_string();
        let job = app.jobs().start(Request {
            kind: Kind::Plan,
            title: format!("Plan a training on {} in {} hours", form.data, form.hours),
            args: ["plan", &data, "--hours", &form.hours.to_string(), "--out", &file].map(str::to_owned).to_vec(),
            out: Some(out),
            of: Some(form.data),
        })?;
        Ok(go_to(&format!("/job?id={}", job.id)))
    })
    .await
}

/// Refuses a second training, whoever started the first one.
fn check_alone(app: &App) -> Reply<()> {
    app.forget_found();
    for run in &app.found().runs {
        let holder = app.root().folder(run).and_then(|folder| pig_files::holder(&folder).ok()).flatten();
        if let Some(owner) = holder {
            return Err(Refusal::busy(format!(
                "One training runs at a time, and {owner} trains {run}. Wait for its end, or stop it."
            )));
        }
    }
    Ok(())
}

/// Starts a training.
pub(crate) async fn train(State(app): State<App>, Form(form): Form<TrainForm>) -> Reply<Response> {
    aside(move || {
        let _one_at_a_time = app.starting().lock().unwrap_or_else(PoisonError::into_inner);
        let data = folder(&app, &form.data)?;
        check_alone(&app)?;
        let out = free_name(app.root().path(), "runs", form.name.trim())?;
        let path = app.root().path().join(&out).display().to_string();
        let mut args = ["train", "--data", &data, "--out", &path].map(str::to_owned).to_vec();
        if !form.config.is_empty() {
            let config = app.root().find(&form.config).filter(|path| path.is_file());
            let config =
                config.ok_or_else(|| Refusal::wrong(format!("There is no configuration {:?}.", form.config)))?;
            args.extend(["--config".to_owned(), config.display().to_string()]);
        }
        for set in form.sets.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            // In one word, so that no line can become a flag.
            args.push(format!("--set={}", compact(set)));
        }
        let title = format!("Train {out} on {}", form.data);
        let request = Request { kind: Kind::Train, title, args, out: Some(out), of: Some(form.data) };
        let job = app.jobs().start(request)?;
        Ok(go_to(&format!("/job?id={}", job.id)))
    })
    .await
}

/// A setting without the spaces around its equals sign.
fn compact(set: &str) -> String {
    set.split_once('=').map_or(set.to_owned(), |(key, value)| format!("{}={}", key.trim(), value.trim()))
}

/// Goes on with a training.
pub(crate) async fn resume(State(app): State<App>, Form(form): Form<ResumeForm>) -> Reply<Response> {
    aside(move || {
        let _one_at_a_time = app.starting().lock().unwrap_or_else(PoisonError::into_inner);
        let path = folder(&app, &form.run)?;
        check_alone(&app)?;
        app.jobs().start(Request {
            kind: Kind::Train,
            title: format!("Go on with {}", form.run),
            args: ["train", "--resume", &path].map(str::to_owned).to_vec(),
            out: Some(form.run.clone()),
            of: None,
        })?;
        Ok(go_to(&format!("/run?path={}", encoded(&form.run))))
    })
    .await
}
