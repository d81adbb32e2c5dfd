//! `/files/ADDRESS`: the files of the served folder, and nothing else.

use crate::{
    app::App,
    reply::{Refusal, Reply, aside},
};
use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use std::{
    fs::{File, Metadata},
    io::Read as _,
    path::Path as FilePath,
    time::UNIX_EPOCH,
};

/// How much of a file is in memory at once.
const PIECE: usize = 256 << 10;

/// What a file of the folder may do in a browser: show itself. Pages of `pig report` have their styles and pictures in themselves; no script runs,
/// since a folder may hold pages that others made.
const FILE_POLICY: &str =
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'";

/// Sends a file.
pub(crate) async fn file(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Reply {
    let nothing = || Refusal::missing("There is no such file below the served folder.");
    // An address that is no UTF-8 names nothing.
    let Ok(Path(address)) = path else { return Err(nothing()) };
    let (path, file, metadata) = aside(move || {
        let path = app.root().find(&address).ok_or_else(nothing)?;
        let file = pig_files::open(&path).map_err(|_| nothing())?;
        let metadata = file.metadata().map_err(|_| nothing())?;
        if metadata.is_file() { Ok((path, file, metadata)) } else { Err(nothing()) }
    })
    .await?;
    let tag = tag(&metadata, None);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(tag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(sent(&path, file, &metadata, tag))
}

fn sent(path: &FilePath, file: File, metadata: &Metadata, tag: String) -> Response {
    let kind = kind(path);
    let disposition = if kind == "application/octet-stream" { "attachment" } else { "inline" };
    let head = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, metadata.len().to_string()),
        (header::CONTENT_DISPOSITION, disposition.to_owned()),
        (header::CONTENT_SECURITY_POLICY, FILE_POLICY.to_owned()),
        // A browser asks again, and is told that nothing changed.
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    (head, pieces(file, metadata.len())).into_response()
}

/// The content of a file, piece by piece. No more than its present length is sent, since a file may grow meanwhile.
fn pieces(file: File, length: u64) -> Body {
    let next = |rest: Option<(File, u64)>| async move {
        let (mut file, left) = rest.filter(|(_, left)| *left > 0)?;
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::new();
            match (&mut file).take(left.min(PIECE as u64)).read_to_end(&mut piece) {
                // The file became shorter.
                Ok(0) => (Err(std::io::ErrorKind::UnexpectedEof.into()), None),
                Ok(count) => (Ok(piece), Some((file, left - count as u64))),
                Err(error) => (Err(error), None),
            }
        });
        read.await.ok()
    };
    Body::from_stream(stream::unfold(Some((file, length)), next))
}

/// What identifies the content of a file: its length and its time, and the side of the picture that is made of it, if one is.
pub(crate) fn tag(metadata: &Metadata, side: Option<usize>) -> String {
    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let side = side.map(|side| format!("-{side}")).unwrap_or_default();
    format!("\"{:x}-{:x}{side}\"", metadata.len(), time.as_nanos())
}

/// The media type of a file by the ending of its name.
fn kind(path: &FilePath) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "bmp" => "image/bmp",
        "svg" => "image/svg+xml",
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "txt" | "md" | "csv" | "toml" | "tex" | "jsonl" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
