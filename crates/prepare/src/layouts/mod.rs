//! Finds the images, masks and patients of a folder according to its layout.
//!
//! Public releases are recognised by the names of their files; any other folder is treated as generic. No pixels are
//! decoded here, but every file's first bytes are read to tell what it is, and the headers of DICOM files in generic folders to
//! distinguish images from segmentations.

mod bcs_dbt;
mod busi;
pub(crate) mod case;
mod cbis;
mod content;
mod details;
mod generic;
mod headers;
mod inbreast;
pub(crate) mod layout;
mod lgg;
mod listed;
mod listing;
mod nnunet;
mod pairing;
mod walk;
mod words;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use pig_data::class_source::{Named, of_files};
use pig_data::classes::names;
use pig_data::content::unread_format_of;
use pig_data::manifest::same_name;
use pig_data::part::{SPLIT_COLUMN, folders_warning};
use pig_dicom::Limits;

use crate::channel::Channel;
use crate::error::{PrepareError, Result};
use crate::segments::Segments;
use crate::settings::{PrepareConfig, SegmentClasses};
use crate::sources::nifti_header::data_file;
use content::Kind;
use listing::Listing;
use walk::{Entry, Tree};

pub use case::{Case, ImageSource, LesionBox, MaskLayer, MaskSource, Side};
pub use layout::Layout;

/// What was found in a source folder.
#[derive(Debug)]
pub struct Found {
    /// The layout.
    pub layout: Layout,
    /// The cases, sorted by name.
    pub cases: Vec<Case>,
    /// Notes for the user, such as how many files of a table are missing. Of names, they contain only those of files.
    pub notes: Vec<String>,
    /// How many files and folders were not looked at, by the reason in words.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Files that could not be read while searching, with the reason.
    pub unreadable: Vec<(PathBuf, PrepareError)>,
}

impl Found {
    /// The notes, with one more about the files that were left out, if there are any.
    pub(crate) fn all_notes(&self) -> Vec<String> {
        let left_out = (!self.left_out.is_empty()).then(|| format!("left out: {}.", counted(&self.left_out)));
        self.notes.iter().cloned().chain(left_out).collect()
    }
}

/// Counts by reason, in words.
pub(crate) fn counted(left_out: &BTreeMap<&'static str, usize>) -> String {
    left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}

/// The reason in words for pictures that pig does not read.
const UNREAD: &str = "picture(s) in a format that is not read, such as GIF or WebP (convert them to PNG)";

/// The reason in words for files that hold nothing that pig reads.
const NEITHER: &str = "file(s) that are neither pictures nor volumes";

/// The reason in words for volumes that pig does not read.
const OTHER_VOLUMES: &str = "file(s) of MetaImage, NRRD, MGH, MINC or NumPy, which are not read: convert them to NIfTI";

/// The reason in words for files that may hold annotations.
const ANNOTATIONS: &str = "JSON or XML file(s), whose outlines and boxes are not read: draw them as masks";

/// The reason in words for other tables.
const OTHER_TABLES: &str =
    "table(s) of another name than manifest.csv, which are not read: boxes and run lengths have to be drawn as masks";

/// The endings of tables.
const TABLES: [&str; 3] = ["csv", "tsv", "xlsx"];

/// The endings of volumes that pig does not read.
const OTHER_ENDINGS: [&str; 9] = ["mha", "mhd", "nrrd", "nhdr", "mgh", "mgz", "mnc", "npy", "npz"];

/// Finds the cases below `source`, in the layout `forced` or else the one that is recognised. `limits` bound the cost of reading
/// a DICOM header. With `prepare.class_column`, masks have the words of this column, and cases no classes yet.
///
/// # Errors
/// When the folder cannot be read, a table of the release is damaged, or there are no images.
pub fn find(source: &Path, forced: Option<Layout>, config: &PrepareConfig, limits: &Limits) -> Result<Found> {
    let mut tree = Tree::read(source)?;
    let unreadable = std::mem::take(&mut tree.unreadable);
    let layout = forced.unwrap_or_else(|| recognise(&tree));
    if layout == Layout::NnUnet || forced.is_none() && layout == Layout::Generic {
        nnunet::refuse_several(&tree)?;
    }
    if let Some(column) = config.class_column.as_ref().filter(|_| layout != Layout::Generic) {
        let found = format!("{column:?} with the layout {layout}");
        let expected = "nothing, since this layout has no column that names the classes of masks; --layout generic reads a manifest.csv";
        return Err(PrepareError::Config { key: "class_column", found, expected });
    }
    let mut listing = match layout {
        Layout::Busi => busi::list(&tree),
        Layout::CbisDdsm => cbis::list(&tree, config)?,
        Layout::Inbreast => inbreast::list(&tree)?,
        Layout::BcsDbt => bcs_dbt::list(&tree, config)?,
        Layout::NnUnet => nnunet::list(&tree, config)?,
        Layout::Lgg => lgg::list(&tree),
        Layout::Generic => generic::list(&tree, config, limits)?,
    };
    listing.unreadable.extend(unreadable);
    let mut left_out = tree.left_out.clone();
    let volumes = tree.files.iter().filter(|entry| entry.kind == Kind::Nifti);
    let voxels: HashSet<PathBuf> = volumes.filter_map(|entry| data_file(&entry.path)).collect();
    let is_read = |entry: &Entry| layout.reads(&entry.place) || voxels.contains(&entry.path);
    for entry in tree.files.iter().filter(|entry| entry.kind == Kind::Other && !is_read(entry)) {
        let ending = entry.name().rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        let reason = match unread_format_of(&entry.path) {
            _ if OTHER_ENDINGS.contains(&ending.as_str()) => OTHER_VOLUMES,
            Some(_) => UNREAD,
            None if ["json", "xml"].contains(&ending.as_str()) => ANNOTATIONS,
            None if TABLES.contains(&ending.as_str()) && entry.name() != "manifest.csv" => OTHER_TABLES,
            None => NEITHER,
        };
        *left_out.entry(reason).or_default() += 1;
    }
    if listing.cases.is_empty() && listing.unreadable.is_empty() {
        let unused = tree.files.iter().filter(|entry| entry.kind != Kind::Other).count();
        if unused > 0 {
            left_out.insert("picture(s) or volume(s) that it has no use for", unused);
        }
        return Err(PrepareError::NothingFound {
            path: source.to_path_buf(),
            layout: layout.word(),
            found: if left_out.is_empty() { "nothing".to_owned() } else { counted(&left_out) },
            expected: layout.expected(),
        });
    }
    if layout != Layout::NnUnet {
        choose_channel(config, &mut listing.cases)?;
    }
    if layout == Layout::Generic && !names_parts(&listing.cases) {
        let folders = listing.cases.iter().filter_map(|case| Some(case.name.rsplit_once('/')?.0));
        listing.notes.extend(folders_warning(folders));
    }
    if layout == Layout::Generic {
        name_classes(source, config, &mut listing, limits)?;
    }
    unclaimed(&tree, layout, &mut listing);
    unique_names(&tree, &mut listing.cases);
    listing.cases.sort_by(|a, b| a.name.cmp(&b.name));
    listing.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Found { layout, cases: listing.cases, notes: listing.notes, left_out, unreadable: listing.unreadable })
}

/// Whether a column of the manifest that is carried over says which part of a split images are of.
fn names_parts(cases: &[Case]) -> bool {
    cases.iter().any(|case| case.others.iter().any(|(name, _)| same_name(name, SPLIT_COLUMN)))
}

/// Gives the cases of a source that names no channels the number of the one that the settings choose.
///
/// # Errors
/// When they choose it by name, or choose another than the first where no file can have several.
fn choose_channel(config: &PrepareConfig, cases: &mut [Case]) -> Result<()> {
    let number = match &config.channel {
        None => return Ok(()),
        Some(Channel::Number(number)) => *number,
        Some(name @ Channel::Name(_)) => {
            let expected = "a number from 0, since nothing but the dataset.json of nnU-Net's layout names channels";
            return Err(PrepareError::Config { key: "channel", found: name.word(), expected });
        }
    };
    let mut volumes = cases.iter_mut().filter(|case| matches!(case.image, ImageSource::Nifti(_))).peekable();
    if number > 0 && volumes.peek().is_none() {
        let expected =
            "nothing, since the source holds no NIfTI; prepare.colour chooses a channel of pictures in colour";
        return Err(PrepareError::Config { key: "channel", found: number.to_string(), expected });
    }
    for choice in volumes.filter_map(|case| case.channel.as_mut()) {
        choice.number = Some(number);
    }
    Ok(())
}

/// Gives all cases the classes that the source names, if it does and the settings say nothing of masks.
fn name_classes(source: &Path, config: &PrepareConfig, listing: &mut Listing, limits: &Limits) -> Result<()> {
    if !config.leaves_masks_open() {
        return Ok(());
    }
    let pictures = listing.cases.iter().filter(|case| matches!(case.masks, MaskSource::Pictures(_)));
    let masks: Vec<PathBuf> = pictures.flat_map(|case| case.masks.paths()).map(Path::to_path_buf).collect();
    let Some((Named { classes, overlap }, from)) = of_files(source, masks.iter().map(PathBuf::as_path))? else {
        name_segments(config, listing, limits);
        return Ok(());
    };
    let may = if overlap { ", which may overlap," } else { "" };
    listing.notes.push(format!("the masks have the classes{may} {} ({from}).", names(&classes).join(", ")));
    for case in &mut listing.cases {
        case.classes.clone_from(&classes);
        case.overlap = overlap;
    }
    Ok(())
}

/// Gives all cases with DICOM SEG the classes of their segments.
fn name_segments(config: &PrepareConfig, listing: &mut Listing, limits: &Limits) {
    let mut segments = Segments::default();
    let files = |case: &Case| matches!(case.masks, MaskSource::Segmentations(_));
    for case in listing.cases.iter().filter(|case| files(case)) {
        case.masks.paths().into_iter().for_each(|path| segments.add(path, limits));
    }
    let by = config.segment_classes;
    let classes = segments.classes(by);
    if classes.len() > 1 {
        let what = if by == SegmentClasses::Label { "labels" } else { "codes" };
        listing.notes.push(format!(
            "the segments have the classes {}, by their {what}; prepare.segment_classes = \"none\" makes them one lesion.",
            names(&classes).join(", ")
        ));
        for case in listing.cases.iter_mut().filter(|case| files(case)) {
            case.classes.clone_from(&classes);
        }
    } else if by == SegmentClasses::Code && segments.labels() > 1 {
        listing.notes.push(format!(
            "the segments have one code and {} different labels: they are one lesion; prepare.segment_classes = \"label\" tells them \
             apart by their labels.",
            segments.labels()
        ));
    }
}

/// Notes how many pictures and volumes the layout has no use for.
fn unclaimed(tree: &Tree, layout: Layout, listing: &mut Listing) {
    let masks = listing.cases.iter().flat_map(|case| case.masks.paths());
    let images = listing.cases.iter().map(|case| case.image.path());
    let failed = listing.unreadable.iter().map(|(path, _)| path.as_path());
    let explained = listing.explained.iter().map(PathBuf::as_path);
    let used: HashSet<&Path> = images.chain(masks).chain(failed).chain(explained).collect();
    let left: Vec<&Entry> =
        tree.files.iter().filter(|entry| entry.kind != Kind::Other && !used.contains(entry.path.as_path())).collect();
    let Some(first) = left.first() else { return };
    let (count, first) = (left.len(), &first.place);
    listing.notes.push(if layout == Layout::Generic {
        format!("{count} picture(s) or volume(s) are not in manifest.csv and were left out, such as {first}.")
    } else {
        format!(
            "the layout {layout} has no use for {count} picture(s) or volume(s), such as {first}; they were left out; \
             --layout generic reads every file."
        )
    });
}

/// Gives cases that share a name, such as those of `a.png` and `a.tif`, the whole path as their name.
fn unique_names(tree: &Tree, cases: &mut [Case]) {
    let places: HashMap<&Path, &str> =
        tree.files.iter().map(|entry| (entry.path.as_path(), entry.place.as_str())).collect();
    // A path may be the name of another case without its ending, so this is repeated; at the latest, all names are paths.
    loop {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for case in &*cases {
            *counts.entry(&case.name).or_default() += 1;
        }
        let shared: Vec<usize> = (0..cases.len()).filter(|&index| counts[cases[index].name.as_str()] > 1).collect();
        let mut changed = false;
        for index in shared {
            let case = &mut cases[index];
            if let Some(&place) = places.get(case.image.path())
                && case.name != place
            {
                place.clone_into(&mut case.name);
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// The DICOM files below a folder.
pub(crate) struct DicomFiles {
    /// The files, by their content or their ending.
    pub(crate) files: Vec<PathBuf>,
    /// How many files were not read, by the reason in words.
    pub(crate) left_out: BTreeMap<&'static str, usize>,
    /// Files that may be DICOM but cannot be read, with the reason.
    pub(crate) unreadable: Vec<(PathBuf, PrepareError)>,
}

/// Finds the DICOM files below a folder.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn dicom_files(source: &Path) -> Result<DicomFiles> {
    let tree = Tree::read(source)?;
    let mut left_out = tree.left_out;
    let (dicom, others): (Vec<Entry>, Vec<Entry>) = tree.files.into_iter().partition(|entry| entry.kind == Kind::Dicom);
    if !others.is_empty() {
        left_out.insert("file(s) that are not DICOM by their content", others.len());
    }
    let files = dicom.into_iter().map(|entry| entry.path).collect();
    Ok(DicomFiles { files, left_out, unreadable: tree.unreadable })
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
