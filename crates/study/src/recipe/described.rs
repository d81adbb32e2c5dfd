//! What a plan is asked for, and what it is.

use crate::{
    plan::NetworkPlan,
    recipe::{
        rules::{Facts, Length, too_few_images},
        settings::Setting,
    },
    shell,
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
    /// Height and width of the pictures, instead of those that suit the time.
    pub size: Option<usize>,
}

/// A configuration with its reasons.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The configuration as commented TOML.
    pub text: String,
    /// The same configuration, with the classes that the data name, if there are several.
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
    /// The hours in which it would be.
    pub needed_hours: f64,
    /// Steps and previews.
    pub length: Length,
    /// What some of the pairs lack at this size.
    pub remarks: Vec<String>,
}

impl Recipe {
    /// What a user should know before the training: what the pairs lack, and why pictures will not be as they should be.
    pub fn warnings(&self) -> Vec<String> {
        self.remarks.iter().cloned().chain(self.warning()).collect()
    }

    /// Why pictures will not be as they should be, if so: too few hours, or too few images.
    pub fn warning(&self) -> Option<String> {
        let shown = too_few_images(self.images, self.config.data.size[0])?;
        let advice = if self.length.is_capped {
            "more hours would show the same images too often: add images, with masks or without (--unlabelled)"
                .to_owned()
        } else {
            format!("give about {:.1} hours on this machine", self.needed_hours)
        };
        Some(format!("{shown}: {advice}"))
    }
}

/// The commands that use a plan in `file`.
pub fn commands(request: &Request, file: &Path) -> [String; 2] {
    let quoted = |path: &Path| shell::quoted(&path.display().to_string());
    let unlabelled = request.unlabelled.as_ref().map_or(String::new(), |dir| format!(" --unlabelled {}", quoted(dir)));
    [
        format!("pig train --config {} --data {}{unlabelled} --out RUN", quoted(file), quoted(&request.data)),
        "pig sample --run RUN --count 64 --out PAIRS".to_owned(),
    ]
}
