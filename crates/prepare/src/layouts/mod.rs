//! Finding the images, masks and patients of a folder by the way it is laid out.
//!
//! Public releases are recognised by the names of their files; anything else is taken as a generic folder. Nothing is
//! decoded here, but the headers of DICOM files in generic folders are read to tell images from segmentations.

mod bcs_dbt;
mod busi;
pub(crate) mod case;
mod cbis;
mod generic;
mod inbreast;
pub(crate) mod layout;
mod lgg;
mod listing;
mod nnunet;
mod walk;

use std::path::{Path, PathBuf};

use pig_dicom::Limits;

use crate::error::{PrepareError, Result};
use crate::settings::PrepareConfig;
use walk::{Kind, Tree};

pub use case::{Case, ImageSource, LesionBox, MaskSource, Side};
pub use layout::Layout;

/// What a layout's search found.
#[derive(Debug)]
pub struct Found {
    /// The layout.
    pub layout: Layout,
    /// The cases, sorted by name.
    pub cases: Vec<Case>,
    /// What the user should know: how many files a table names that are not here, and the like. No names.
    pub notes: Vec<String>,
    /// Files that could not be understood while searching, with the reason.
    pub unreadable: Vec<(PathBuf, PrepareError)>,
}

/// Finds the cases below `source`, of the layout that is given or recognised. `limits` bound what a DICOM header may cost.
///
/// # Errors
/// When the folder cannot be read, a table of the release is damaged, or there are no images.
pub fn find(source: &Path, forced: Option<Layout>, config: &PrepareConfig, limits: &Limits) -> Result<Found> {
    let tree = Tree::read(source)?;
    let layout = forced.unwrap_or_else(|| recognise(&tree));
    let mut listing = match layout {
        Layout::Busi => busi::list(&tree),
        Layout::CbisDdsm => cbis::list(&tree, config)?,
        Layout::Inbreast => inbreast::list(&tree)?,
        Layout::BcsDbt => bcs_dbt::list(&tree, config)?,
        Layout::NnUnet => nnunet::list(&tree, config)?,
        Layout::Lgg => lgg::list(&tree),
        Layout::Generic => generic::list(&tree, config, limits)?,
    };
    if listing.cases.is_empty() && listing.unreadable.is_empty() {
        let path = source.to_path_buf();
        return Err(PrepareError::NothingFound { path, layout: layout.word(), expected: layout.expected() });
    }
    listing.cases.sort_by(|a, b| a.name.cmp(&b.name));
    listing.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Found { layout, cases: listing.cases, notes: listing.notes, unreadable: listing.unreadable })
}

/// The DICOM files below a folder, by their content where the name does not say it.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn dicom_files(source: &Path) -> Result<Vec<PathBuf>> {
    let files = Tree::read(source)?.files.into_iter().filter(|entry| entry.kind == Kind::Dicom);
    let named = |entry: &walk::Entry| entry.stem() != entry.name() || pig_dicom::is_dicom(&entry.path);
    Ok(files.filter(named).map(|entry| entry.path).collect())
}

/// The layout that a folder's names speak for.
fn recognise(tree: &Tree) -> Layout {
    let recognised = Layout::ALL.into_iter().find(|layout| match layout {
        Layout::BcsDbt => bcs_dbt::recognised(tree),
        Layout::CbisDdsm => cbis::recognised(tree),
        Layout::Inbreast => inbreast::recognised(tree),
        Layout::NnUnet => nnunet::recognised(tree),
        Layout::Busi => busi::recognised(tree),
        Layout::Lgg => lgg::recognised(tree),
        Layout::Generic => true,
    });
    recognised.unwrap_or(Layout::Generic)
}
