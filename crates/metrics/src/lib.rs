//! Measures for generated pairs, on plain slices: no tensors, no files, no printing.
//!
//! - [`agreement`]: whether a generated image and its mask belong together, which is the claim of the method, with a verdict.
//! - [`bootstrap`]: seeded intervals, by patient if patients are known.
//! - [`contrast`]: differences of arms whose trainings count as random, with intervals, p and Holm's method; [`student`]: Student's t.
//! - [`components`]: connected components of a mask and their areas.
//! - [`overlap`], [`surface`], [`detection`]: Dice and related measures, boundary distances, detection of lesions; [`evaluation`]
//!   computes them per slice, per patient and pooled.
//! - [`features`]: sets of feature vectors; [`frechet`] and [`kernel`]: distances between sets; [`frechet_interval`]: how
//!   exactly one is known; [`manifold`]: precision, recall,
//!   density and coverage; [`comparison`]: all of them, together with the floor, the distance between real images and real images.
//! - [`radiomics`]: IBSI features of a region, for a Frechet distance without a network.
//! - [`mod@fixed`]: numbers as text with a fixed number of decimals.
//! - [`histogram`]: counts over shared bins, to compare real and generated values.
//! - [`realism`]: whether generated masks are like real ones; [`ssim`]: how diverse the images of a set are.
//! - [`permutation`]: tests by exchange, and the summary of folds.
//! - [`nearest`]: the nearest training image of every generated image, and whether it is nearer than expected.
//!
//! Every function is deterministic: random draws come from ChaCha with a seed that the caller gives, and the results of parallel
//! work are combined in a fixed order, so they do not depend on the number of threads.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod agreement;
pub mod bootstrap;
pub mod classes;
pub mod comparison;
pub mod components;
pub mod contrast;
pub mod detection;
pub mod evaluation;
pub mod features;
pub mod fixed;
pub mod frechet;
pub mod frechet_interval;
pub mod histogram;
pub mod inception_preprocess;
pub mod kernel;
pub mod manifold;
pub mod nearest;
pub mod nearness;
pub mod overlap;
pub mod permutation;
pub mod radiomics;
pub mod realism;
mod region;
pub mod ssim;
pub mod student;
pub mod surface;
