//! The data that all cases of a preparation share.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use super::request::{Progress, Request};
use super::sixteen::Sixteen;
use crate::budget::Budget;
use crate::layouts::Layout;
use crate::prepared_folder::Folder;
use crate::sources::Reading;

/// The data that the preparation of all cases shares.
pub(super) struct Work<'a> {
    pub(super) request: &'a Request,
    pub(super) layout: Layout,
    /// How colours are read.
    pub(super) reading: Reading,
    pub(super) folder: &'a Folder,
    pub(super) ids: &'a HashMap<&'a str, String>,
    pub(super) progress: &'a dyn Progress,
    pub(super) budget: Budget,
    /// The range of the source's 16-bit pictures, if it is narrower than their files allow.
    pub(super) sixteen: Option<&'a Sixteen>,
    /// Whether the disk is full, so that nothing further is begun.
    pub(super) full: AtomicBool,
}
