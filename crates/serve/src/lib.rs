//! The page of `pig serve`: the runs, pairs and reports of a folder in a browser, from the same binary, offline.
//!
//! The server computes little itself. Trainings, samplings, plans, reports and exports are child processes of the same binary (`jobs.rs`), so what a
//! page starts is what the command line does, bit for bit, and goes on when the server or the browser ends. All that is shown is read from the files
//! that these commands write. Pages are templates (`templates/`), and one script (`assets/pig.js`) makes them live.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod access;
mod app;
mod assets;
mod below;
mod choices;
mod error;
mod events;
mod files;
mod folder;
mod guard;
mod jobs;
mod masks;
mod nearest;
mod outline;
mod pages;
mod pairs;
mod picture;
mod process;
mod reply;
mod runs;
mod server;
mod table;

pub use error::ServeError;
pub use server::{Options, Server, Stopper};
