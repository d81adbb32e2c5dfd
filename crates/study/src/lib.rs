//! Studies of generators and segmenters: cross-validations, experiments and their report pages; the cost of a training; the demo.
//!
//! [`boost`] implements `pig boost`, [`crossval`] `pig crossval`, [`experiments`] `pig experiment`, [`report`] `pig report`, [`demo`] `pig demo`, [`plan`]
//! `pig train --dry-run`, and [`recipe`] `pig plan`. Nothing here prints.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod boost;
pub mod budget;
pub mod crossval;
pub mod demo;
pub mod experiments;
mod pace;
pub mod plan;
pub mod recipe;
pub mod report;
mod shell;
mod showcase;
pub mod starter;
