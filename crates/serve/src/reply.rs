//! Answers: pages from templates, and refusals, which are pages as well.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};

/// A request that is refused, and what its page says.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

/// The result of a handler.
pub(crate) type Reply<T = Response> = Result<T, Refusal>;

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    title: &'a str,
    message: &'a str,
}

impl Refusal {
    /// A refusal with a message that says what was found, what was expected, and what to do.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// What its page says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Something that is not there.
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    /// A request that cannot be fulfilled as it is.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// A request that something else stands in the way of.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// A fault of this machine, such as a full disk.
    pub(crate) fn fault(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Refused");
        let page = RefusalPage { title, message: &self.message }.render().unwrap_or_else(|_| title.to_owned());
        (self.status, Html(page)).into_response()
    }
}

/// A template as a page.
pub(crate) fn page(template: &impl Template) -> Reply {
    template.render().map(|text| Html(text).into_response()).map_err(Refusal::fault)
}

/// Goes to another page, which is then read anew.
pub(crate) fn go_to(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response()
}

/// Does work that reads files or computes, without keeping other requests waiting.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Reply<T> + Send + 'static) -> Reply<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // A panic is a fault of pig; the server goes on.
        Err(error) => Err(Refusal::fault(format!("a fault of pig, please report it: {error}"))),
    }
}
