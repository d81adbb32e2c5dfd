//! The pages. Each file has the handlers of one page, and its templates; the parts of a page that change are made by a function `parts`.

pub(crate) mod gallery;
pub(crate) mod home;
pub(crate) mod job;
mod part;
pub(crate) mod reports;
pub(crate) mod run;
pub(crate) mod sample;
pub(crate) mod train;

pub(crate) use part::Part;

use crate::reply::Refusal;

/// The answer for addresses without a page.
pub(crate) fn nothing() -> Refusal {
    Refusal::missing("There is no such page.")
}
