//! Finds the images, masks and patients of a folder according to its layout.
//!
//! Public releases are recognised by the names of their files; any other folder is treated as generic. No pixels are
//! decoded here, but the headers of DICOM files in generic folders are read to distinguish images from segmentations.

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

/// What was found in a source folder.
#[derive(Debug)]
pub struct Found {
    /// The layout.
    pub layout: Layout,
    /// The cases, sorted by name.
    pub cases: Vec<Case>,
    /// Notes for the user, such as how many files of a table are missing. They contain no names.
    pub notes: Vec<String>,
    /// Files that could not be read while searching, with the reason.
    pub unreadable: Vec<(PathBuf, PrepareError)>,
}

/// Finds the cases below `source`, in the layout `forced` or else the one that is recognised. `limits` bound the cost of reading
/// a DICOM header.
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

/// The DICOM files below a folder; a file without an ending is checked by its content.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn dicom_files(source: &Path) -> Result<Vec<PathBuf>> {
    let files = Tree::read(source)?.files.into_iter().filter(|entry| entry.kind == Kind::Dicom);
    let named = |entry: &walk::Entry| entry.stem() != entry.name() || pig_dicom::is_dicom(&entry.path);
    Ok(files.filter(named).map(|entry| entry.path).collect())
}

/// The layout that the names in a folder indicate.
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
