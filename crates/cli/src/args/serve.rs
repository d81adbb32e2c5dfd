//! `pig serve`.

use std::{net::IpAddr, path::PathBuf};

/// `pig serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The folder of runs, pairs, data and reports; what the page makes is written into it.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The port; 0 takes a free one.
    #[arg(long, value_name = "P", default_value_t = 8000)]
    pub(crate) port: u16,
    /// The address of this machine on which the page is served. Others than 127.0.0.1 and ::1 can be reached from outside, and need --token or
    /// --password-file.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// The token that opens the page, of 16 characters or more; a new one at every start if not given. Other users of this machine can see it
    /// in the list of processes.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// A file whose first line is the password that opens the page, of 8 characters or more.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// A further name of this machine by which browsers may ask for the page, such as that of a proxy; may be repeated.
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
