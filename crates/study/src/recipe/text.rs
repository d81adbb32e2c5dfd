//! The commented configuration.

use crate::{
    plan::NetworkPlan,
    recipe::{
        described::{Recipe, Request, commands},
        settings::Setting,
    },
};
use std::{fmt::Write, path::Path};

/// The columns of a comment.
const WIDTH: usize = 100;

pub(super) fn commented(request: &Request, recipe: &Recipe) -> String {
    let facts = &recipe.facts;
    let mut text = String::new();
    let mut line = |words: &str| {
        for line in wrapped(words) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
    };
    line(&format!("A plan for {} in {} hours.", request.data.display(), facts.hours));
    line(&format!("The data: {}. {} of the pairs train.", facts.survey, facts.training));
    if facts.unlabelled > 0 {
        line(&format!("Images without masks: {}.", facts.unlabelled));
    }
    let networks = recipe.networks.iter().map(|NetworkPlan { cost, seconds_a_step }| {
        format!("{} ({:.1} million parameters): {seconds_a_step:.3} s", cost.network, cost.parameters as f64 / 1e6)
    });
    line(&format!(
        "A step on this machine, with {} thread{}: {}.",
        facts.threads,
        if facts.threads == 1 { "" } else { "s" },
        networks.collect::<Vec<_>>().join("; ")
    ));
    line(&format!(
        "The image network is shown {} images, and the training takes about {:.2} hours.",
        recipe.images, recipe.hours
    ));
    for warning in recipe.warnings() {
        line(&format!("Warning: {warning}."));
    }
    for command in commands(request, Path::new("THIS_FILE")) {
        let _ = writeln!(text, "#   {command}");
    }
    let mut section = "";
    for Setting { section: of, key, value, reason } in &recipe.settings {
        if *of != section {
            let _ = writeln!(text, "\n[{of}]");
            section = of;
        }
        let _ = writeln!(text, "{key} = {value} # {reason}");
    }
    text
}

/// Words as comment lines.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines = vec!["#".to_owned()];
    for word in words.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + 1 + word.len() > WIDTH) {
            lines.push("#".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}
