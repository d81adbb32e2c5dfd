//! `/api/choices`: decisions about pairs, which are in the manifest before the answer is sent.

use crate::{
    app::App,
    reply::{Refusal, Reply, aside},
};
use axum::{Json, extract::State};
use pig_data::curation::{Choice, set_choices};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Decisions about pairs of a folder by id; null takes one back.
#[derive(Deserialize)]
pub(crate) struct Sent {
    path: String,
    choices: BTreeMap<String, Option<Choice>>,
}

/// What was written.
#[derive(Serialize)]
pub(crate) struct Written {
    written: usize,
    warning: Option<String>,
}

/// Writes decisions.
pub(crate) async fn set(State(app): State<App>, Json(sent): Json<Sent>) -> Reply<Json<Written>> {
    aside(move || {
        let Sent { path, choices } = sent;
        let folder =
            app.root().folder(&path).ok_or_else(|| Refusal::missing(format!("There is no folder {path:?}.")))?;
        let warning = set_choices(&folder, &choices).map_err(|error| Refusal::wrong(error.to_string()))?;
        Ok(Json(Written { written: choices.len(), warning }))
    })
    .await
}
