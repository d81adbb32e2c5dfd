//! What goes before every request: where it comes from, and whether the page is open to it.

use crate::{access::Access, app::App, reply::go_to};
use askama::Template;
use axum::{
    Form,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use std::time::Duration;

/// The time that a wrong password takes. Passwords are tried one after the other.
const WRONG_PASSWORD: Duration = Duration::from_secs(1);

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    has_token: bool,
    has_password: bool,
    is_wrong: bool,
}

/// The page for those who are not let in.
fn login(access: &Access, is_wrong: bool) -> Response {
    let page = LoginPage { has_token: access.takes_token(), has_password: access.takes_password(), is_wrong };
    (StatusCode::UNAUTHORIZED, Html(page.render().unwrap_or_default())).into_response()
}

fn let_in(access: &Access) -> Response {
    let mut response = go_to("/");
    if let Ok(cookie) = HeaderValue::from_str(&access.cookie()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Goes before every request.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = match refused(&app, &request) {
        None => next.run(request).await,
        Some(response) => response,
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(*name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The answer to a request that is not let in.
fn refused(app: &App, request: &Request) -> Option<Response> {
    let access = app.access();
    if let Err(refusal) = access.check_origin(request.headers()) {
        return Some(refusal.into_response());
    }
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    if path == "/" && request.method() == Method::GET && access.has_token(query) {
        return Some(let_in(access));
    }
    // Without these two there would be no page to enter a password on. They hold nothing of the folder.
    if access.is_let_in(request.headers())
        || path.starts_with("/assets/")
        || (path == "/login" && access.takes_password())
    {
        return None;
    }
    Some(login(access, false))
}

/// A page may load and run what this server sends alone, and no other site may show it.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", PAGE_POLICY),
    ("x-content-type-options", "nosniff"),
    // With "no-referrer", browsers send the origin "null" with the forms of this page itself.
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// A password that was entered.
#[derive(Deserialize)]
pub(crate) struct Entered {
    password: String,
}

/// Lets in who knows the password.
pub(crate) async fn enter(State(app): State<App>, Form(entered): Form<Entered>) -> Response {
    let access = app.access();
    let _one_at_a_time = app.trying().lock().await;
    if access.is_password(&entered.password) {
        return let_in(access);
    }
    tokio::time::sleep(WRONG_PASSWORD).await;
    login(access, true)
}

/// The page with the password's field.
pub(crate) fn show_login(State(app): State<App>) -> impl Future<Output = Response> + Send {
    std::future::ready(login(app.access(), false))
}
