//! `/sample`: pairs of a run, from noise or for a mask that is drawn or sent.

use crate::{
    app::App,
    below::encoded,
    jobs::{Kind, Request, free_name},
    outline::{Part, svg},
    reply::{Refusal, Reply, aside, go_to, page},
    runs::{Generator, Run},
};
use askama::Template;
use axum::{
    Form, Json,
    body::Bytes,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use pig_train::run_dir::RunDir;
use serde::{Deserialize, Serialize};

/// The most pairs that the page makes at once; the command line makes more.
const MOST_SEEDS: u64 = 10_000;
/// The most pairs of which each step is written.
const MOST_SHOWN: u64 = 16;

/// What to choose at first.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    run: String,
    #[serde(default)]
    seeds: String,
}

/// Pairs to make.
#[derive(Deserialize)]
pub(crate) struct SampleForm {
    run: String,
    seeds: String,
    steps: u32,
    guidance: f64,
    name: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    mask: String,
}

#[derive(Template)]
#[template(path = "sample.html")]
struct Page {
    section: &'static str,
    runs: Vec<String>,
    chosen: String,
    link: String,
    run: Option<Generator>,
    size: [usize; 2],
    seeds: String,
    name: String,
    problem: String,
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Reply<Response> {
    aside(move || {
        let runs: Vec<Run> = app.found().runs.iter().filter_map(|run| Run::read(app.root(), run).ok()).collect();
        let is_ready = |run: &&Run| run.generator.is_some() && run.networks.iter().all(|network| network.saved > 0);
        let ready: Vec<&Run> = runs.iter().filter(is_ready).collect();
        let chosen = ready.iter().find(|run| run.address == asked.run).or(if asked.run.is_empty() {
            ready.first()
        } else {
            None
        });
        let problem = format!("{:?} is not a run with weights that make pairs; choose another one.", asked.run);
        let name = chosen.map_or("pairs".to_owned(), |run| {
            run.name().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).take(50).collect()
        });
        page(&Page {
            section: "sample",
            chosen: chosen.map_or(String::new(), |run| run.address.clone()),
            link: chosen.map_or(String::new(), |run| encoded(&run.address)),
            run: chosen.and_then(|run| run.generator.clone()),
            size: chosen.map_or([1, 1], |run| run.size),
            seeds: if asked.seeds.is_empty() { "0-7".to_owned() } else { asked.seeds },
            name: if name.is_empty() { "pairs".to_owned() } else { name },
            runs: ready.iter().map(|run| run.address.clone()).collect(),
            problem,
        })
    })
    .await
}

/// The number of seeds that a text such as `0-7,12` names; an error if it is no such text.
fn count(seeds: &str) -> Reply<u64> {
    let wrong = || {
        Refusal::wrong(format!(
            "The seeds are {seeds:?}; expected ranges such as 0-7 or 5,7,9-12, of at most {MOST_SEEDS} seeds."
        ))
    };
    let mut total = 0_u64;
    for part in seeds.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let (from, to) = (number(from)?, number(to)?);
        let more = to.checked_sub(from).and_then(|more| more.checked_add(1)).ok_or_else(wrong)?;
        total = total.saturating_add(more);
    }
    if total <= MOST_SEEDS { Ok(total) } else { Err(wrong()) }
}

/// Starts a sampling.
pub(crate) async fn start(State(app): State<App>, Form(form): Form<SampleForm>) -> Reply<Response> {
    aside(move || {
        let seeds: String = form.seeds.split_whitespace().collect();
        let many = count(&seeds)?;
        let run = Run::read(app.root(), &form.run)?;
        let generator = run.generator.as_ref().ok_or_else(|| Refusal::wrong("A segmenter makes no pairs."))?;
        if !form.guidance.is_finite() {
            return Err(Refusal::wrong(format!("The guidance is {}; expected a number.", form.guidance)));
        }
        let out = free_name(app.root().path(), "samples", form.name.trim())?;
        let path = |address: &str| app.root().path().join(address).display().to_string();
        let steps = form.steps.to_string();
        let mut args: Vec<String> =
            ["sample", "--run", &path(&form.run), "--seeds", &seeds, "--steps", &steps, "--out", &path(&out)]
                .map(str::to_owned)
                .to_vec();
        // What the run says anyway stays unsaid, so that the pairs are those of the plain command.
        if form.guidance != generator.guidance {
            if generator.is_matched {
                args.push("--set=sample.match_contrast=false".to_owned());
            }
            args.push(format!("--set=sample.guidance_scale={}", form.guidance));
        }
        if form.source == "mask" {
            let folder = app.masks().folder(&form.mask).map_err(|_| {
                Refusal::wrong("No mask is given: draw one, or send a file. Or let the run make masks.".to_owned())
            })?;
            args.extend(["--given-mask".to_owned(), folder.display().to_string()]);
        } else if !generator.makes_masks && generator.takes_masks {
            args.push("--training-masks".to_owned());
        }
        if many <= MOST_SHOWN {
            args.push("--save-steps".to_owned());
        }
        let title = format!("Make {many} pair{} with {}", if many == 1 { "" } else { "s" }, form.run);
        let job = app.jobs().start(Request { kind: Kind::Sample, title, args, out: Some(out), of: Some(form.run) })?;
        Ok(go_to(&format!("/job?id={}", job.id)))
    })
    .await
}

/// A mask that is sent, or one to look at.
#[derive(Deserialize)]
pub(crate) struct MaskOf {
    run: String,
    /// The mask to look at.
    #[serde(default)]
    id: String,
    /// The name of the file; none for a drawing.
    name: Option<String>,
    #[serde(default)]
    height: usize,
    #[serde(default)]
    width: usize,
}

/// A mask that was kept.
#[derive(Serialize)]
pub(crate) struct Kept {
    id: String,
    lesion_pixels: usize,
    size: [usize; 2],
}

fn run_of(app: &App, address: &str) -> Reply<RunDir> {
    let folder = app.root().folder(address).ok_or_else(|| Refusal::missing(format!("There is no run {address:?}.")))?;
    RunDir::open(&folder).map_err(|error| Refusal::wrong(error.to_string()))
}

/// Keeps a mask for a sampling: the labels of a drawing, or a file.
pub(crate) async fn send_mask(State(app): State<App>, Query(of): Query<MaskOf>, body: Bytes) -> Reply<Json<Kept>> {
    aside(move || {
        let run = run_of(&app, &of.run)?;
        let id = match &of.name {
            Some(name) => app.masks().sent(name, &body, &run)?,
            None => app.masks().drawn(&body, [of.height, of.width], &run)?,
        };
        let (mask, _) = app.masks().read(&id, &run)?;
        Ok(Json(Kept { id, lesion_pixels: mask.lesion_pixels(), size: [mask.height, mask.width] }))
    })
    .await
}

/// Shows a kept mask.
pub(crate) async fn mask(State(app): State<App>, Query(of): Query<MaskOf>) -> Reply<Response> {
    aside(move || {
        let (mask, has_classes) = app.masks().read(&of.id, &run_of(&app, &of.run)?)?;
        let drawn = svg(&mask.data, [mask.height, mask.width], has_classes, Part::Area);
        Ok(([(header::CONTENT_TYPE, "image/svg+xml")], drawn).into_response())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_counted_and_bounded() {
        let of = |text: &str| count(text).ok();
        assert_eq!([of("0-7"), of("5,7,9-12"), of("3")], [Some(8), Some(6), Some(1)]);
        for wrong in ["", "7-3", "a", "1-", "0-99999999", "0-18446744073709551615", "-1", "1;2"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
