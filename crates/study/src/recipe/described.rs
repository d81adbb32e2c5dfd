//! What a plan is asked for, and what it is.

use crate::{
    plan::NetworkPlan,
    recipe::rules::{Facts, Setting},
};
use pig_train::Config;
use std::path::{Path, PathBuf};

/// What a plan is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Images with masks.
    pub data: PathBuf,
    /// Images without masks.
    pub unlabelled: Option<PathBuf>,
    /// The hours that the training may take.
    pub hours: f64,
}

/// A configuration with its reasons.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The configuration as commented TOML.
    pub text: String,
    /// The same configuration.
    pub config: Config,
    /// What decided it.
    pub facts: Facts,
    /// The settings with their reasons.
    pub settings: Vec<Setting>,
    /// The networks, with their seconds a step on this machine.
    pub networks: Vec<NetworkPlan>,
    /// The hours that the training will take.
    pub hours: f64,
    /// Images that the image network will be shown.
    pub images: usize,
    /// Images that it should be shown at this size.
    pub needed: f64,
}

impl Recipe {
    /// What the hours are too short for, if they are.
    pub fn warning(&self) -> Option<String> {
        let (images, needed) = (self.images as f64, self.needed);
        let [size, _] = self.config.data.size;
        (images < 0.9 * needed).then(|| {
            format!(
                "{:.2} hours show the image network {:.0} images, and pictures of {size} x {size} that one looks at twice need about {needed:.0}: \
                 give about {:.1} hours on this machine",
                self.hours,
                images,
                self.hours * needed / images.max(1.0)
            )
        })
    }
}

/// The commands that use a plan in `file`.
pub fn commands(request: &Request, file: &Path) -> [String; 2] {
    let unlabelled =
        request.unlabelled.as_ref().map_or(String::new(), |dir| format!(" --unlabelled {}", dir.display()));
    [
        format!("pig train --config {} --data {}{unlabelled} --out RUN", file.display(), request.data.display()),
        "pig sample --run RUN --count 64 --out PAIRS".to_owned(),
    ]
}
