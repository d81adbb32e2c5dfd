//! `/gallery` and `/compare`: pairs to look at, to keep or to reject, and to export.

use crate::{
    app::App,
    jobs::{Kind, Request, free_name},
    nearest::Nearest,
    outline::{Part, svg},
    reply::{Refusal, Reply, aside, go_to, page},
};
use askama::Template;
use axum::{
    Form, Json,
    body::Body,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use pig_data::read::read_mask;
use serde::Deserialize;

/// The formats of exports, each with words for people.
const FORMATS: &[(&str, &str)] = &[
    ("nnunet", "nnU-Net v2"),
    ("monai", "MONAI datalist"),
    ("coco", "COCO"),
    ("nifti", "NIfTI"),
    ("dicom-seg", "DICOM SEG"),
    ("webdataset", "WebDataset"),
    ("png", "PNG"),
];

/// The folders to show.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    path: String,
    run: Option<String>,
}

/// The folders to compare.
#[derive(Deserialize)]
pub(crate) struct Both {
    #[serde(default)]
    a: String,
    #[serde(default)]
    b: String,
}

#[derive(Template)]
#[template(path = "gallery.html")]
struct Gallery {
    section: &'static str,
    folders: Vec<String>,
    chosen: String,
    runs: Vec<String>,
    run: String,
    formats: &'static [(&'static str, &'static str)],
    export_name: String,
}

#[derive(Template)]
#[template(path = "compare.html")]
struct Compare {
    section: &'static str,
    folders: Vec<String>,
    a: String,
    b: String,
}

/// Shows the gallery of a folder.
pub(crate) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Reply<Response> {
    aside(move || {
        let found = app.found();
        // Generated pairs are what one curates, so they come first.
        let folders: Vec<String> = found.generated.iter().chain(&found.data).cloned().collect();
        let chosen =
            folders.iter().find(|folder| **folder == asked.path).or(folders.first()).cloned().unwrap_or_default();
        let run = asked.run.unwrap_or_else(|| maker(&app, &chosen));
        let last = chosen.rsplit('/').next().unwrap_or_default();
        let name: String =
            last.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).take(50).collect();
        page(&Gallery {
            section: "gallery",
            run: if found.runs.contains(&run) { run } else { String::new() },
            runs: found.runs.clone(),
            export_name: if name.is_empty() { "pairs".to_owned() } else { name },
            formats: FORMATS,
            chosen,
            folders,
        })
    })
    .await
}

/// The run that made a folder of pairs, as far as a job of this page made it.
fn maker(app: &App, folder: &str) -> String {
    app.jobs().that_writes(folder).and_then(|job| job.of).unwrap_or_default()
}

/// Shows two folders side by side.
pub(crate) async fn compare(State(app): State<App>, Query(both): Query<Both>) -> Reply<Response> {
    aside(move || {
        let folders = app.found().generated.clone();
        let chosen = |asked: &str, at: usize| {
            folders.iter().find(|folder| *folder == asked).or(folders.get(at)).cloned().unwrap_or_default()
        };
        let (a, b) = (chosen(&both.a, 0), chosen(&both.b, 1));
        page(&Compare { section: "compare", a, b, folders })
    })
    .await
}

/// The pairs of a folder as JSON.
pub(crate) async fn pairs(State(app): State<App>, Query(asked): Query<Asked>) -> Reply<Response> {
    let json = aside(move || Ok(app.lists().of(app.root(), &asked.path)?.json.clone())).await?;
    // The list is shared by all who ask for it.
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(json)).into_response())
}

/// A pair of a folder.
#[derive(Deserialize)]
pub(crate) struct One {
    path: String,
    id: String,
    #[serde(default)]
    run: String,
    #[serde(default)]
    area: bool,
}

/// The outline or the area of a pair's mask.
pub(crate) async fn outline(State(app): State<App>, Query(one): Query<One>) -> Reply<Response> {
    aside(move || {
        let listed = app.lists().of(app.root(), &one.path)?;
        let row = listed.row(&one.id)?;
        let path = app.root().find(&row.mask).ok_or_else(|| Refusal::missing("The mask is gone."))?;
        let mask = read_mask(&path, &listed.data).map_err(|error| Refusal::wrong(error.to_string()))?;
        let part = if one.area { Part::Area } else { Part::Outline };
        let drawn = svg(&mask.data, [mask.height, mask.width], !listed.classes.is_empty(), part);
        let head = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "private, max-age=60")];
        Ok((head, drawn).into_response())
    })
    .await
}

/// The training image that is nearest to a pair's image.
pub(crate) async fn nearest(State(app): State<App>, Query(one): Query<One>) -> Reply<Json<Nearest>> {
    aside(move || {
        let listed = app.lists().of(app.root(), &one.path)?;
        let image = listed.row(&one.id)?.image.clone();
        app.trainings().nearest(app.root(), &one.run, &image).map(Json)
    })
    .await
}

/// Pairs to export.
#[derive(Deserialize)]
pub(crate) struct ExportForm {
    path: String,
    format: String,
    name: String,
    only_kept: Option<String>,
}

/// Starts an export.
pub(crate) async fn export(State(app): State<App>, Form(form): Form<ExportForm>) -> Reply<Response> {
    aside(move || {
        let folder = app
            .root()
            .folder(&form.path)
            .ok_or_else(|| Refusal::missing(format!("There is no folder {:?}.", form.path)))?;
        if !FORMATS.iter().any(|(word, _)| *word == form.format) {
            let words: Vec<&str> = FORMATS.iter().map(|(word, _)| *word).collect();
            return Err(Refusal::wrong(format!(
                "The format is {:?}; expected one of {}.",
                form.format,
                words.join(", ")
            )));
        }
        let out = free_name(app.root().path(), "exports", form.name.trim())?;
        let [pairs, path] = [folder, app.root().path().join(&out)].map(|path| path.display().to_string());
        let mut args = ["export", &pairs, "--format", &form.format, "--out", &path].map(str::to_owned).to_vec();
        if form.only_kept.is_some() {
            args.push("--only-kept".to_owned());
        }
        let title = format!("Export {} as {} to {out}", form.path, form.format);
        let job = app.jobs().start(Request { kind: Kind::Export, title, args, out: Some(out), of: Some(form.path) })?;
        Ok(go_to(&format!("/job?id={}", job.id)))
    })
    .await
}
