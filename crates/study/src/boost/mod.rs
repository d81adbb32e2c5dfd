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

use crate::crossval::{Crossval, Selection, check_outside, results::Results, variants};
use burn::tensor::Device;
use page::Material;
use pig_data::DataConfig;
use pig_train::{
    Error, Result,
    config::Layers,
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

/// Plans, or goes on with the plan of the folder, and does all that is not done. None if a stop was requested; the same call then goes on.
///
/// # Errors
/// When data or folders cannot be read or written, or do not fit the plan.
pub fn boost(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Option<Summary>> {
    pig_files::check_creatable(&request.out.join(PLAN))?;
    let plan = planned(request, device, observer)?;
    let folder = request.out.join(PLAN);
    if !folder.exists() {
        plan.write(&folder)?;
        note(observer, format!("{}: {plan}", folder.display()));
    } else if Plan::read(&folder)? != plan {
        // The plan was edited in its folder, so that its forecast is another one.
        plan.write_forecast(&folder)?;
        note(observer, format!("{}: {plan}", folder.display()));
    }
    let layers = Layers { file: Some(folder.join("crossval.toml")), sets: Vec::new() };
    let crossval = Crossval::open(&layers, &request.data, &request.out.join(CROSSVAL), observer)?;
    for fold in 0..plan.folds {
        let selection = Selection { fold: Some(fold), ..Selection::default() };
        if crossval.run(&selection, device, observer)? == Outcome::Interrupted {
            return Ok(None);
        }
    }
    conclude(request, &plan, &crossval, device, observer).map(Some)
}

/// Whether the answer in a boost's folder advises pairs.
fn advised_before(out: &Path) -> bool {
    let text = pig_files::read_to_string(out.join(VERDICT)).unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|answer| answer["advice"] == "with")
}

/// Gives the answer of a finished cross-validation, and writes all that follows from it.
fn conclude(
    request: &Request,
    plan: &Plan,
    crossval: &Crossval,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Summary> {
    let results: Results = crossval.results()?;
    let advice = Advice::of(&results);
    let label = |variant: &crate::crossval::Variant| variant.label(&crossval.file);
    let advised = variants(&crossval.file).into_iter().find(|variant| advice.arm() == Some(label(variant).as_str()));
    let best = if let Some(variant) = advised {
        Some(write_best(crossval, variant, [&request.data, &request.out], observer)?)
    } else {
        // Only an answer that advised pairs wrote such folders; others are the user's own.
        if advised_before(&request.out) {
            best::set_aside(&request.out, observer)?;
        }
        None
    };
    let (taken, page) = (page::taken(crossval, plan.folds)?, request.out.join(PAGE));
    let material = Material { plan, crossval, results: &results, advice: &advice, best: best.as_ref(), taken: &taken };
    material.write(&request.data, &page, device, observer)?;
    // Written last: a folder with a verdict is finished.
    pig_files::write_json(&request.out.join(VERDICT), &advice)?;
    Ok(Summary { advice, best, forecast: plan.seconds, taken, page })
}
