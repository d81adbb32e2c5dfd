//! `/reports`: pages of `pig report`, tables of cross-validations and experiments, and overlays of predicted masks, the worst first.

use crate::{
    app::App,
    below::encoded,
    jobs::{Kind, Request},
    reply::{Refusal, Reply, aside, go_to, page},
    table::{Block, blocks},
};
use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    response::Response,
};
use pig_data::manifest::Manifest;
use serde::Deserialize;
use std::{collections::HashMap, path::Path};

/// The most overlays of a page.
const MOST_OVERLAYS: usize = 60;
/// The page that `pig report` writes.
const REPORT: &str = "report.html";
/// Tables of cases beside overlays, as `pig segment evaluate --csv` and cross-validations name them.
const CASES: &[&str] = &["cases.csv", "scores.csv"];

/// An address below the served folder.
#[derive(Deserialize)]
pub(crate) struct Of {
    path: String,
}

/// An address with its form in a link.
type Link = (String, String);

#[derive(Template)]
#[template(path = "reports.html")]
struct Page {
    section: &'static str,
    pages: Vec<Link>,
    studies: Vec<Link>,
    overlays: Vec<Link>,
    runs: Vec<String>,
}

#[derive(Template)]
#[template(path = "study.html")]
struct Study {
    section: &'static str,
    address: String,
    name: String,
    makes_page: bool,
    page: Option<String>,
    blocks: Vec<Block>,
    worst: Vec<Link>,
    worst_title: &'static str,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Shown {
    section: &'static str,
    address: String,
    link: String,
}

/// Lists what there is.
pub(crate) async fn show(State(app): State<App>) -> Reply<Response> {
    aside(move || {
        let found = app.found();
        let links = |list: &[String]| list.iter().map(|address| (address.clone(), encoded(address))).collect();
        page(&Page {
            section: "reports",
            pages: links(&found.pages),
            studies: links(&found.studies),
            overlays: links(&found.overlays),
            runs: found.runs.iter().chain(&found.studies).cloned().collect(),
        })
    })
    .await
}

/// Shows a page of the folder within this one.
pub(crate) async fn page_of(State(app): State<App>, Query(of): Query<Of>) -> Reply<Response> {
    aside(move || {
        app.root()
            .find(&of.path)
            .filter(|path| path.is_file())
            .ok_or_else(|| Refusal::missing("There is no such page."))?;
        page(&Shown { section: "reports", link: encoded(&of.path), address: of.path })
    })
    .await
}

/// Shows the table of a study, or the overlays of predicted masks.
pub(crate) async fn study(State(app): State<App>, Query(of): Query<Of>) -> Reply<Response> {
    aside(move || {
        let folder = app.root().folder(&of.path).ok_or_else(|| Refusal::missing("There is no such folder."))?;
        let text = pig_files::read_to_string(folder.join("table.md")).unwrap_or_default();
        let report = if of.path.is_empty() { REPORT.to_owned() } else { format!("{}/{REPORT}", of.path) };
        let (worst, is_sorted) = overlays(&app, &folder)?;
        page(&Study {
            section: "reports",
            name: of.path.rsplit('/').next().unwrap_or_default().to_owned(),
            makes_page: app.found().studies.contains(&of.path),
            page: app.root().find(&report).map(|_| encoded(&report)),
            blocks: blocks(&text),
            worst,
            worst_title: if is_sorted { "Overlays, the worst cases first" } else { "Overlays, by name" },
            address: of.path,
        })
    })
    .await
}

/// The overlays of a folder with words for each, and whether they are sorted by Dice, the worst first.
fn overlays(app: &App, folder: &Path) -> Reply<(Vec<Link>, bool)> {
    let entries = std::fs::read_dir(folder.join("overlays")).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "png")).collect();
    files.sort();
    let dice = dice(folder)?;
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let of = |path: &Path| dice.get(&stem(path)).copied();
    files.sort_by(|a, b| of(a).unwrap_or(f64::INFINITY).total_cmp(&of(b).unwrap_or(f64::INFINITY)));
    let link = |path: &std::path::PathBuf| {
        let words = of(path).map_or_else(|| stem(path), |dice| format!("{}: Dice {:.1} %", stem(path), 100.0 * dice));
        Some((encoded(&app.root().address(path)?), words))
    };
    Ok((files.iter().filter_map(link).take(MOST_OVERLAYS).collect(), !dice.is_empty()))
}

/// The Dice of each case, if a table beside the overlays has it.
fn dice(folder: &Path) -> Reply<HashMap<String, f64>> {
    for name in CASES {
        let table = Manifest::read(&folder.join(name)).map_err(|error| Refusal::wrong(error.to_string()))?;
        let Some(table) = table else { continue };
        let (Some(id), Some(dice)) = (table.column("id"), table.column("dice")) else { continue };
        return Ok(table
            .rows()
            .filter_map(|row| Some((row.get(id).to_owned(), row.get(dice).parse().ok()?)))
            .collect());
    }
    Ok(HashMap::new())
}

/// Makes the report of a run or study.
pub(crate) async fn make(State(app): State<App>, Form(of): Form<Of>) -> Reply<Response> {
    aside(move || {
        let folder = app
            .root()
            .folder(&of.path)
            .ok_or_else(|| Refusal::missing(format!("There is no folder {:?}.", of.path)))?;
        let out = if of.path.is_empty() { REPORT.to_owned() } else { format!("{}/{REPORT}", of.path) };
        let job = app.jobs().start(Request {
            kind: Kind::Report,
            title: format!("Make the report of {}", of.path),
            args: vec!["report".to_owned(), folder.display().to_string()],
            out: Some(out),
            of: Some(of.path),
        })?;
        Ok(go_to(&format!("/job?id={}", job.id)))
    })
    .await
}
