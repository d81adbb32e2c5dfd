//! The style and the script, which are compiled into the program.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const STYLE: &str = include_str!("../assets/pig.css");
const SCRIPT: &str = include_str!("../assets/pig.js");
const GALLERY: &str = include_str!("../assets/gallery.js");
const ICON: &str = include_str!("../assets/icon.svg");

fn sent(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=60")], text).into_response()
}

/// `/assets/pig.css`
pub(crate) async fn style() -> Response {
    sent("text/css; charset=utf-8", STYLE)
}

/// `/assets/pig.js`
pub(crate) async fn script() -> Response {
    sent("text/javascript; charset=utf-8", SCRIPT)
}

/// `/assets/gallery.js`
pub(crate) async fn gallery() -> Response {
    sent("text/javascript; charset=utf-8", GALLERY)
}

/// `/assets/icon.svg`
pub(crate) async fn icon() -> Response {
    sent("image/svg+xml", ICON)
}
