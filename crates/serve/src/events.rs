//! `/api/events`: parts of a page that change, as server-sent events. An event holds the name of an element and its new content.

use crate::{
    app::App,
    pages::{self, Part},
    reply::{Refusal, Reply, aside},
};
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use std::{collections::HashMap, convert::Infallible, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// The time between two looks at the files.
const LOOK: Duration = Duration::from_millis(700);

/// What a page shows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Of {
    /// The page: home, run or job.
    page: String,
    /// The address of a run, or the name of a job.
    #[serde(default)]
    of: String,
}

/// Where a stream is.
struct Place {
    app: App,
    of: Of,
    /// The content of each part that was sent last.
    sent: HashMap<&'static str, String>,
    waiting: Vec<Part>,
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

/// Streams the parts of a page as they change.
pub(crate) async fn stream(
    State(app): State<App>,
    Query(of): Query<Of>,
) -> Reply<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let permit = app.streams().try_acquire_owned();
    let too_many = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open; close some.");
    let permit = permit.map_err(too_many)?;
    // An unknown page is an error now, and not an empty stream.
    parts(&app, &of).await?;
    let place = Place { app, of, sent: HashMap::new(), waiting: Vec::new(), is_first: true, _permit: permit };
    Ok(Sse::new(stream::unfold(place, next)).keep_alive(KeepAlive::default()))
}

async fn parts(app: &App, of: &Of) -> Reply<Vec<Part>> {
    let (app, of) = (app.clone(), of.clone());
    aside(move || match of.page.as_str() {
        "home" => pages::home::parts(&app),
        "run" => pages::run::parts(&app, &of.of),
        "job" => pages::job::parts(&app, &of.of),
        other => Err(Refusal::missing(format!("There is no page {other:?} that changes."))),
    })
    .await
}

async fn next(mut place: Place) -> Option<(Result<Event, Infallible>, Place)> {
    loop {
        if let Some(part) = place.waiting.pop() {
            let data = serde_json::json!({ "id": part.id, "html": part.html }).to_string();
            place.sent.insert(part.id, part.html);
            return Some((Ok(Event::default().data(data)), place));
        }
        if !std::mem::replace(&mut place.is_first, false) {
            tokio::time::sleep(LOOK).await;
        }
        // A run that is being written may be unreadable for a moment.
        let Ok(parts) = parts(&place.app, &place.of).await else { continue };
        place.waiting = parts.into_iter().filter(|part| place.sent.get(part.id) != Some(&part.html)).collect();
    }
}
