//! `pig plan`: a commented configuration for some data, this machine and so many hours.

mod described;
mod make;
mod rules;
mod settings;
mod text;

pub use described::{Recipe, Request, commands};
pub use make::recipe;
pub(crate) use rules::too_few_images;
pub use rules::{Facts, Length, Shape};
pub use settings::Setting;
