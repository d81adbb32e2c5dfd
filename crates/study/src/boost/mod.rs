//! `pig boost`: whether generated pairs help a segmenter on some data, answered in one command, within some hours.
//!
//! It plans, and then runs a cross-validation in its folder: segmenters of real pairs alone, generators, pairs, a choice among them, and
//! segmenters with all and with the chosen ones. What is finished is kept, so after a stop or a kill the same command goes on.
//!
//! ```text
//! OUT/plan/{boost.json, crossval.toml, generator.toml}   what will be done, found once
//! OUT/crossval/                                           the cross-validation, as `pig crossval` writes it
//! OUT/pairs/, OUT/best/                                   the advised pairs, alone and joined with real ones
//! OUT/verdict.json, OUT/report.html                       the answer
//! ```
//!
//! An answer that does not hold any more, since the plan was edited or a piece is done again, gets another name before that begins.

mod aside;
mod best;
mod design;
mod forecast;
mod make;
mod page;
mod plan;
mod renew;
mod speed;
mod verdict;

pub use best::{Best, write_best};
pub use design::{Costs, Design, VARIATION};
pub use forecast::Part;
pub use page::Taken;
pub use plan::{Findings, Plan, Request};
pub use speed::{GeneratorSpeed, SegmenterSpeed, Speeds};
pub use verdict::Advice;

use crate::crossval::{Crossval, Selection, check_outside, variants};
use burn::tensor::Device;
use page::Material;
use pig_data::DataConfig;
use pig_files::Lock;
use pig_train::{
    Error, Result,
    config::Layers,
    locked::{check_held, locked},
    observer::{Observer, Outcome, note},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The folder of the plan in a boost's folder.
pub const PLAN: &str = "plan";

/// The folder of the cross-validation.
pub const CROSSVAL: &str = "crossval";

/// The answer as JSON. It holds nothing that hangs on the machine or the time.
pub const VERDICT: &str = "verdict.json";

/// The page.
pub const PAGE: &str = "report.html";

/// What a finished boost found.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The answer.
    #[serde(flatten)]
    pub advice: Advice,
    /// The folders that were written, if pairs are advised.
    pub best: Option<Best>,
    /// The forecast in seconds, in the order of [`Part::ALL`].
    pub forecast: [f64; 4],
    /// The time taken, in the same order.
    pub taken: [Taken; 4],
    /// The page.
    pub page: PathBuf,
}

/// The plan of a boost: that of its folder, or else a given one, or else a new one. If the files of a plan were edited, its forecast is made
/// again, of the files as they are.
///
/// # Errors
/// When the folder's plan has other hours or another size than those asked for, or does something else than the given plan; when edited files
/// are wrong or do not fit the data; when the folder lies among the pictures of the data; and those of [`Plan::new`].
pub fn planned(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Plan> {
    check_outside(&request.data, &DataConfig::default(), &request.out)?;
    let own = request.out.join(PLAN);
    if own.exists() {
        let plan = Plan::read(&own)?;
        if let Some(hours) = request.hours.filter(|&hours| hours != plan.hours) {
            return Err(other_plan(&own, format!("was made for {} hours, not for {hours}", plan.hours)));
        }
        let size = plan.crossval.data.size;
        if let Some(side) = request.size.filter(|&side| size != [side, side]) {
            return Err(other_plan(&own, format!("was made for {} x {}, not for {side} x {side}", size[0], size[1])));
        }
        if let Some(folder) = &request.plan
            && let Some(name) = plan.differing(&Plan::read(folder)?)
        {
            return Err(Error::BadFile {
                path: folder.join(name),
                problem: format!("is not the same as {}, which this --out follows", own.join(name).display()),
                advice: "choose another --out for the changed plan, or give the plan that this --out follows",
            });
        }
        let answered = if request.out.join(VERDICT).is_file() {
            "; an answer is there, too, and what is finished is not done again"
        } else {
            ""
        };
        note(observer, format!("{}: goes on with the plan that is there{answered}", request.out.display()));
        return plan.with_own_forecast(&own, request, device, observer);
    }
    match &request.plan {
        Some(folder) => Plan::read(folder)?.with_own_forecast(folder, request, device, observer),
        None => Plan::new(request, device, observer),
    }
}

fn other_plan(path: &Path, problem: String) -> Error {
    Error::BadFile { path: path.to_owned(), problem, advice: "give what it was made for, or choose another --out" }
}

/// Locks a boost's folder for this process, and plans or finds the plan that is there. A folder without a plan is made when there is one to
/// write.
fn begin(request: &Request, device: &Device, observer: &dyn Observer) -> Result<(Lock, Plan)> {
    let (out, folder) = (&request.out, request.out.join(PLAN));
    let take = || locked(out, "is working on this boost", "wait until it ends, or choose another --out", observer);
    let held = if folder.exists() { Some(take()?) } else { None };
    let plan = planned(request, device, observer)?;
    if let Some(held) = held {
        return Ok((held, plan));
    }
    std::fs::create_dir_all(out).map_err(Error::io(out, "create"))?;
    let held = take()?;
    // Another process may have begun meanwhile, and been stopped.
    let plan = if folder.exists() { planned(request, device, observer)? } else { plan };
    Ok((held, plan))
}

/// Plans, or goes on with the plan of the folder, and does all that is not done. None if a stop was requested; the same call then goes on.
///
/// # Errors
/// When data or folders cannot be read or written, or do not fit the plan; when images or masks have changed since; and when another process
/// works in the folder.
pub fn boost(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Option<Summary>> {
    let (out, folder) = (&request.out, request.out.join(PLAN));
    pig_files::check_creatable(&folder)?;
    let (held, plan) = begin(request, device, observer)?;
    let is_new = !folder.exists();
    if is_new {
        plan.write(&folder)?;
        note(observer, format!("{}: {plan}", folder.display()));
    }
    // A plan that was edited in its folder has another forecast.
    let is_edited = !is_new && Plan::read(&folder)? != plan;
    let layers = Layers { file: Some(folder.join("crossval.toml")), sets: Vec::new() };
    let crossval = Crossval::open(&layers, &request.data, &out.join(CROSSVAL), observer)?;
    let folds: Vec<Selection> =
        (0..plan.folds).map(|fold| Selection { fold: Some(fold), ..Selection::default() }).collect();
    let mut is_finished = true;
    for fold in &folds {
        is_finished &= crossval.is_finished(fold)?;
    }
    if is_edited || !is_finished {
        set_answer_aside(out, observer)?;
    }
    if is_edited {
        plan.write_forecast(&folder)?;
        note(observer, format!("{}: {plan}", folder.display()));
    }
    for fold in &folds {
        if crossval.run(fold, device, observer)? == Outcome::Interrupted {
            return Ok(None);
        }
    }
    check_held(&held, out)?;
    conclude(request, &plan, &crossval, device, observer).map(Some)
}

/// The answer in a boost's folder, if there is one.
fn earlier_answer(out: &Path) -> Option<Advice> {
    let text = pig_files::read_to_string(out.join(VERDICT)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Gives an answer that does not hold any more another name, with its page and its folders.
fn set_answer_aside(out: &Path, observer: &dyn Observer) -> Result<()> {
    // Only an answer that advises pairs wrote such folders; others are the user's own.
    let is_advised = earlier_answer(out).is_some_and(|answer| answer.arm().is_some());
    let folders: &[&str] = if is_advised { &best::FOLDERS } else { &[] };
    // The verdict goes last, since it says whose the folders are, also if this is killed in between.
    let names: Vec<&str> = folders.iter().copied().chain([PAGE, VERDICT]).collect();
    aside::set_aside(out, &names, observer)
}

/// Gives the answer of a finished cross-validation, and writes all that follows from it. What is there already is left as it is.
fn conclude(
    request: &Request,
    plan: &Plan,
    crossval: &Crossval,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Summary> {
    let (out, results) = (request.out.as_path(), crossval.results()?);
    let (advice, before) = (Advice::of(&results), earlier_answer(out));
    if before.as_ref().is_some_and(|before| before.arm() != advice.arm()) {
        set_answer_aside(out, observer)?;
    }
    let label = |variant: &crate::crossval::Variant| variant.label(&crossval.file);
    let advised = variants(&crossval.file).into_iter().find(|variant| advice.arm() == Some(label(variant).as_str()));
    let best = match advised {
        Some(variant) => Some(write_best(crossval, variant, [&request.data, out], observer)?),
        None => None,
    };
    let (taken, page) = (page::taken(crossval, plan.folds)?, out.join(PAGE));
    let material = Material { plan, crossval, results: &results, advice: &advice, best: best.as_ref(), taken: &taken };
    let is_written = material.write(&request.data, &page, device, observer)?;
    if before.as_ref() != Some(&advice) {
        // Written last: a folder with a verdict is finished.
        pig_files::write_json(&out.join(VERDICT), &advice)?;
    } else if !is_written {
        note(observer, format!("{}: all is done and nothing changed; {PAGE} and {VERDICT} stay", out.display()));
    }
    Ok(Summary { advice, best, forecast: plan.seconds, taken, page })
}
