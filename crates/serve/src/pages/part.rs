//! A part of a page that changes.

use crate::reply::{Refusal, Reply};
use askama::Template;

/// An element of a page and its content.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The element's id.
    pub(crate) id: &'static str,
    /// Its content: markup in which all text from outside is escaped.
    pub(crate) html: String,
}

impl Part {
    /// A part from its template.
    pub(crate) fn new(id: &'static str, template: &impl Template) -> Reply<Self> {
        Ok(Self { id, html: template.render().map_err(Refusal::fault)? })
    }

    /// A part that is text alone.
    pub(crate) fn text(id: &'static str, text: &str) -> Self {
        let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        Self { id, html }
    }
}

/// The content of the part `id`.
pub(super) fn html(parts: &[Part], id: &str) -> String {
    parts.iter().find(|part| part.id == id).map(|part| part.html.clone()).unwrap_or_default()
}
