//! Measures of generated pairs, on plain slices: no tensors, no files, no printing.
//!
//! - [`agreement`]: do a generated image and its mask belong together? The claim of the method, with its verdict.
//! - [`bootstrap`]: seeded intervals, by patient where patients are known.
//! - [`components`]: connected components of a mask and their areas.
//! - [`overlap`], [`surface`], [`detection`]: Dice and its kin, boundary distances, lesions found; [`evaluation`] takes them per
//!   slice, per patient and pooled.
//! - [`features`]: sets of feature vectors; [`frechet`] and [`kernel`] distances between them, and [`manifold`]: precision, recall,
//!   density and coverage; [`comparison`] takes all of them, with the floor of real images against real ones.
//! - [`radiomics`]: IBSI features of a region, for a Frechet distance without a network.
//! - [`histogram`]: counts over shared bins, to lay real beside generated.
//! - [`realism`]: masks like real ones; [`ssim`]: images unlike each other.
//! - [`permutation`]: tests, paired comparisons, and the summary of folds.
//! - [`nearest`]: the nearest training image of every generated one, and whether it is nearer than chance makes it.
//!
//! Every function is deterministic: random draws come from ChaCha with a seed that the caller states, and parallel work
//! is gathered in order, so a number does not depend on the number of threads.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod agreement;
pub mod bootstrap;
pub mod comparison;
pub mod components;
pub mod detection;
pub mod evaluation;
pub mod features;
pub mod frechet;
pub mod histogram;
pub mod inception_preprocess;
pub mod kernel;
pub mod manifold;
pub mod nearest;
pub mod overlap;
pub mod permutation;
pub mod radiomics;
pub mod realism;
mod region;
pub mod ssim;
pub mod surface;
