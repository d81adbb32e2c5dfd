//! Whether the colours of a source are kept, which the images decide unless the settings do.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use pig_data::colour::Colours;
use pig_data::read::read_header;

use super::request::{Progress, Request};
use crate::budget::Budget;
use crate::layouts::{Case, ImageSource, Layout};
use crate::settings::Colour;
use crate::sources::{Reading, Volume};

/// Decides how the cases of a source are read. Their colours are counted only if the settings leave it to the images; an image that
/// cannot be read does not count, because preparing it gives the error. Also returns the count, 0 if nothing was counted.
pub(super) fn reading(
    cases: &[Case],
    layout: Layout,
    request: &Request,
    budget: &Budget,
    progress: &dyn Progress,
) -> (Reading, usize) {
    let colour = request.config.colour;
    let open = match colour {
        Colour::Auto => layout != Layout::Lgg,
        Colour::Keep => true,
        Colour::Luma | Colour::Red | Colour::Green | Colour::Blue => false,
    };
    if !open {
        return (Reading::gray(colour, layout), 0);
    }
    let could: Vec<&Case> = cases.par_iter().filter(|case| may_be_coloured(case, layout)).collect();
    progress.begin(could.len());
    let done = AtomicUsize::new(0);
    let is_coloured = |case: &&&Case| {
        if progress.stop_requested() {
            return false;
        }
        let picture = matches!(case.image, ImageSource::Picture(_));
        let _share = picture.then(|| budget.picture(case.image.path(), Reading::Luma).ok());
        let volume = Volume::open(case, Reading::Luma, request.config.slice_axis, &request.cost);
        progress.done(done.fetch_add(1, Ordering::Relaxed) + 1);
        volume.is_ok_and(|volume| volume.is_coloured())
    };
    let coloured = could.par_iter().filter(is_coloured).count();
    (Reading::of(colour, layout, Colours { coloured, total: cases.len() }), coloured)
}

/// Whether the file can hold colour, by its kind. X-ray images never do.
fn may_be_coloured(case: &Case, layout: Layout) -> bool {
    match &case.image {
        ImageSource::Picture(path) => read_header(path).is_ok_and(|header| header.colour),
        ImageSource::Dicom(_) => !layout.is_mammography(),
        ImageSource::Nifti(_) => false,
    }
}
