//! What is studied with generators and segmenters: cross-validations, experiments and their pages; what a training would cost; the
//! demo.
//!
//! [`crossval`] is the whole of `pig crossval`, [`experiments`] that of `pig experiment`, [`report`] that of `pig report`, [`demo`]
//! that of `pig demo`, [`plan`] that of `pig train --dry-run`. Nothing here prints.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod budget;
pub mod crossval;
pub mod demo;
pub mod experiments;
pub mod plan;
pub mod report;
mod showcase;
