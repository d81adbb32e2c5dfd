//! Who may use the page: a token in a link, which sets a cookie, or a password. Requests that another site caused are refused first.

use crate::{ServeError, reply::Refusal};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use pig_files::{hex, sha256};
use rand::RngCore as _;
use std::{
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

/// The least number of characters of a token that a user chooses.
const SHORTEST_TOKEN: usize = 16;
/// The least number of characters of a password.
const SHORTEST_PASSWORD: usize = 8;

/// What opens the page, and under which names it may be asked for.
#[derive(Debug)]
pub(crate) struct Access {
    token: Option<String>,
    password: Option<String>,
    /// The value of the cookie of those who were let in.
    session: String,
    /// The name of the cookie. Browsers do not tell the ports of a machine apart, so the port is a part of it.
    cookie: String,
    host: IpAddr,
    names: Vec<String>,
}

impl Access {
    /// Takes the token and the password of the user, or makes a token if there is neither.
    pub(crate) fn new(
        host: IpAddr,
        names: &[String],
        token: Option<&str>,
        password_file: Option<&Path>,
    ) -> Result<Self, ServeError> {
        if let Some(token) = token {
            long_enough("--token".to_owned(), token, SHORTEST_TOKEN)?;
        }
        let password = password_file.map(password).transpose()?;
        if !host.is_loopback() && token.is_none() && password.is_none() {
            return Err(ServeError::Open { host: host.to_string() });
        }
        let token = token.map(str::to_owned).or_else(|| password.is_none().then(secret));
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self { token, password, session: secret(), cookie: String::new(), host, names })
    }

    /// Names the cookie after the port.
    pub(crate) fn on_port(mut self, port: u16) -> Self {
        self.cookie = format!("pig_{port}");
        self
    }

    /// What follows the address in the link that opens the page.
    pub(crate) fn query(&self) -> String {
        self.token.as_ref().map_or(String::new(), |token| format!("?token={token}"))
    }

    /// Refuses requests for another host, as after a name was bound to this address to get around the browser's rules, and requests that a
    /// page of another origin caused.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let foreign = |what: &str, found: &str| {
            let message = format!(
                "{what} is {found:?}; expected this server's own address. A page that another site sent you to?"
            );
            Err(Refusal::new(StatusCode::FORBIDDEN, message))
        };
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(Ok(host)), None) = (hosts.next().map(HeaderValue::to_str), hosts.next()) else {
            return foreign("The header Host", "missing or not one name");
        };
        if !self.is_own(host) {
            return foreign("The header Host", host);
        }
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if !own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
                return foreign("The header Origin", origin);
            }
        }
        let fetch = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if fetch("sec-fetch-site") == "cross-site" && fetch("sec-fetch-mode") != "navigate" {
            return foreign("The site that asks", "another one");
        }
        Ok(())
    }

    /// Whether a header `Host` names this server. The port may be another one, as behind a forwarded port.
    fn is_own(&self, host: &str) -> bool {
        let (name, address) = if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            (host, address.parse::<Ipv6Addr>().map(IpAddr::V6).ok())
        } else {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            (name, name.parse().ok())
        };
        if let Some(address) = address {
            return address.is_loopback() || address == self.host || self.host.is_unspecified();
        }
        let name = name.to_ascii_lowercase();
        name == "localhost" || self.names.contains(&name)
    }

    /// Whether a request carries the cookie.
    pub(crate) fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut all = cookies.flat_map(|text| text.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        all.any(|(name, value)| name == self.cookie && same(value, &self.session))
    }

    /// Whether the query of an address holds the token.
    pub(crate) fn has_token(&self, query: &str) -> bool {
        let Some(token) = &self.token else { return false };
        query.split('&').filter_map(|part| part.strip_prefix("token=")).any(|found| same(&decoded(found), token))
    }

    /// The cookie of those who are let in.
    pub(crate) fn cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Lax", self.cookie, self.session)
    }

    /// Whether there is a token.
    pub(crate) fn takes_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether there is a password.
    pub(crate) fn takes_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether this is the password.
    pub(crate) fn is_password(&self, entered: &str) -> bool {
        self.password.as_ref().is_some_and(|password| same(entered, password))
    }
}

fn long_enough(what: String, text: &str, least: usize) -> Result<(), ServeError> {
    let found = text.chars().count();
    if found < least { Err(ServeError::Short { what, found, least }) } else { Ok(()) }
}

fn password(path: &Path) -> Result<String, ServeError> {
    let text =
        pig_files::read_to_string(path).map_err(|source| ServeError::PasswordFile { path: path.to_owned(), source })?;
    let password = text.lines().next().unwrap_or_default().to_owned();
    long_enough(format!("--password-file {}: the password", path.display()), &password, SHORTEST_PASSWORD)?;
    Ok(password)
}

/// 128 random bits of the operating system's generator.
fn secret() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex(&bytes)
}

/// Whether two texts are the same; the time that this takes tells nothing about them.
fn same(one: &str, other: &str) -> bool {
    sha256(one.as_bytes()) == sha256(other.as_bytes())
}

/// A part of a query without its percent signs.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| bytes[at] == b'%');
        found.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&found).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(host: &str, names: &[&str]) -> Access {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Access::new(host.parse().unwrap(), &names, Some("0123456789abcdef"), None).unwrap()
    }

    #[test]
    fn names_of_this_server_are_told_from_others() {
        let own = access("127.0.0.1", &["Lab.example"]);
        for name in ["127.0.0.1:8000", "localhost", "localhost:1", "[::1]:8000", "lab.example:9"] {
            assert!(own.is_own(name), "{name}");
        }
        for name in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "192.168.1.5:8000",
            "",
            "[::2]",
            "[",
            "localhost@evil",
        ] {
            assert!(!own.is_own(name), "{name}");
        }
        assert!(access("0.0.0.0", &[]).is_own("192.168.1.5:8000") && !access("0.0.0.0", &[]).is_own("name:8000"));
        let one = access("192.168.1.5", &[]);
        assert!(one.is_own("192.168.1.5:8000") && !one.is_own("192.168.1.6:8000"));
    }

    #[test]
    fn other_machines_need_a_secret_that_cannot_be_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let of = |host: &str, token: Option<&str>, file: Option<&Path>| {
            Access::new(host.parse().unwrap(), &[], token, file).map_err(|error| error.to_string())
        };
        let message = of("0.0.0.0", None, None).unwrap_err();
        assert!(message.contains("--host 0.0.0.0") && message.contains("--password-file"), "{message}");
        assert!(of("::", None, None).is_err());
        assert!(of("0.0.0.0", Some("short"), None).unwrap_err().contains("5 characters"));
        assert!(of("127.0.0.1", None, Some(&file)).unwrap_err().contains("password"));
        std::fs::write(&file, "1234567\n").unwrap();
        assert!(of("0.0.0.0", None, Some(&file)).unwrap_err().contains("7 characters"));
        std::fs::write(&file, "correct horse\n").unwrap();
        let found = of("0.0.0.0", None, Some(&file)).unwrap();
        assert_eq!((found.password.as_deref(), found.token), (Some("correct horse"), None));
        let default = of("127.0.0.1", None, None).unwrap();
        assert_eq!(default.token.map(|token| token.len()), Some(32));
    }

    #[test]
    fn tokens_are_found_in_queries() {
        let own = access("127.0.0.1", &[]);
        for query in ["token=0123456789abcdef", "a=b&token=0123456789abcdef", "token=%30123456789abcdef"] {
            assert!(own.has_token(query), "{query}");
        }
        for query in
            ["", "token=", "token=0123456789abcde", "tokens=0123456789abcdef", "token=0123456789abcdef0", "token=%"]
        {
            assert!(!own.has_token(query), "{query}");
        }
    }
}
