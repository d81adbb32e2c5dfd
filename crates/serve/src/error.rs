//! Why a server does not start or ends.

use std::{net::SocketAddr, path::PathBuf};

/// Why a server does not start or ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The folder cannot be served.
    #[error("{}: {source}; give a folder that exists and that you may read", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server works in the folder.
    #[error("{}: {owner} serves this folder already; use its page, or stop it first", path.display())]
    Served {
        /// The folder.
        path: PathBuf,
        /// The other server.
        owner: String,
    },
    /// Others could reach a page that nothing protects.
    #[error(
        "--host {host}: other machines could reach the page; expected --token TOKEN or --password-file FILE beside it, or --host 127.0.0.1"
    )]
    Open {
        /// The address.
        host: String,
    },
    /// A token or password that could be guessed.
    #[error("{what} has {found} characters; expected at least {least}")]
    Short {
        /// The flag, and the file if there is one.
        what: String,
        /// The number of characters.
        found: usize,
        /// The least number of characters.
        least: usize,
    },
    /// The file with the password cannot be read.
    #[error("--password-file {}: {source}; give a file with the password as its only line", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another --port (0 takes a free one) or --host")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server cannot go on.
    #[error("the server ended: {0}")]
    Ended(std::io::Error),
}
