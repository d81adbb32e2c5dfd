//! The style and the script, which are compiled into the program.

use axum::http::header;

const STYLE: &str = include_str!("../assets/pig.css");
const SCRIPT: &str = include_str!("../assets/pig.js");
const GALLERY: &str = include_str!("../assets/gallery.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// A file that is the same for everybody.
type Asset = ([(header::HeaderName, &'static str); 2], &'static str);

const fn asset(kind: &'static str, text: &'static str) -> Asset {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=60")], text)
}

/// The files by their names below `/assets/`.
pub(crate) const ALL: [(&str, Asset); 4] = [
    ("pig.css", asset("text/css; charset=utf-8", STYLE)),
    ("pig.js", asset("text/javascript; charset=utf-8", SCRIPT)),
    ("gallery.js", asset("text/javascript; charset=utf-8", GALLERY)),
    ("icon.svg", asset("image/svg+xml", ICON)),
];
