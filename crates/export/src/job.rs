//! An export in progress: the pairs, the folder, and the manifest that every format has.

use std::ops::ControlFlow;

use pig_data::GroupSource;
use pig_data::classes::{Coding, names};
use pig_data::write::keyword;

use crate::error::{ExportError, Result};
use crate::pair::{Origin, Pair};
use crate::pixels::Loaded;
use crate::place::{AFFINE, SLICE, SPACING, VOLUME};
use crate::request::Request;
use crate::source::{Pairs, gather};
use crate::staging::Staging;

/// The name and version of this program, which files state as their maker.
pub(crate) const MAKER: &str = concat!("pig ", env!("CARGO_PKG_VERSION"));

/// The name of the label of masks that tell no classes apart.
pub(crate) const LESION: &str = "lesion";

/// Text chunks that the manifest repeats.
const TEXT_COLUMNS: [&str; 4] = [keyword::SEED, keyword::MODEL_HASH, keyword::SETTINGS_HASH, keyword::VERSION];

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Pairs made by a model or a program.
    pub generated: usize,
    /// Pairs found in data.
    pub real: usize,
    /// Pairs without a lesion.
    pub empty_masks: usize,
    /// Problems that the user should know, but that do not stop the work. They contain no ids.
    pub warnings: Vec<String>,
    /// What to do with the folder.
    pub notes: Vec<String>,
}

/// Called with the number of pairs done and of all pairs; [`ControlFlow::Break`] stops the export, which then leaves nothing.
pub type Progress<'a> = &'a dyn Fn(usize, usize) -> ControlFlow<()>;

/// An export in progress.
pub(crate) struct Job<'a> {
    pub(crate) request: &'a Request,
    pub(crate) pairs: Pairs,
    pub(crate) staging: Staging,
    pub(crate) notes: Vec<String>,
    progress: Progress<'a>,
    done: usize,
    empty_masks: usize,
    manifest: csv::Writer<Vec<u8>>,
}

impl<'a> Job<'a> {
    /// Finds the pairs and opens the folder.
    pub(crate) fn begin(request: &'a Request, progress: Progress<'a>) -> Result<Self> {
        let staging = Staging::create(&request.out)?;
        let mut pairs = gather(request)?;
        let notes = std::mem::take(&mut pairs.notes);
        let mut job = Self {
            request,
            pairs,
            staging,
            notes,
            progress,
            done: 0,
            empty_masks: 0,
            manifest: csv::Writer::from_writer(Vec::new()),
        };
        let columns = ["id", "origin", "synthetic", "source_id", "image", "mask", "frame", "width", "height"];
        let columns = columns.into_iter().chain(["mask_pixels", "empty_mask"]);
        let columns = columns.chain([SPACING[0], SPACING[1], SPACING[2], VOLUME, SLICE, AFFINE]);
        let classes: Vec<String> = job.several_classes().iter().map(|name| format!("mask_pixels_{name}")).collect();
        let columns = columns.chain(TEXT_COLUMNS).chain(job.grouped().then_some("patient"));
        let columns: Vec<&str> = columns.chain(classes.iter().map(String::as_str)).collect();
        job.write_row(&columns)?;
        Ok(job)
    }

    /// Whether the real pairs have patients.
    fn grouped(&self) -> bool {
        matches!(self.pairs.group_source, GroupSource::Column(_))
    }

    /// The names of the classes that masks tell apart; none if lesions are one.
    pub(crate) fn several_classes(&self) -> Vec<&str> {
        if self.pairs.data.has_several_classes() { names(&self.pairs.data.classes) } else { Vec::new() }
    }

    /// How the labels of masks stand for classes.
    pub(crate) fn coding(&self) -> Coding {
        self.pairs.data.coding()
    }

    /// The names of the labels 1, 2 and so on of masks: those of the classes, or lesion.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let names = self.several_classes();
        if names.is_empty() { vec![LESION] } else { names }
    }

    /// The mask of a pair as a PNG: gray with `value` for lesion, or with a palette of several classes.
    pub(crate) fn mask_png(&self, index: usize, loaded: &Loaded, value: u8) -> Result<Vec<u8>> {
        let path = &self.pair(index).mask.first.path;
        let data = &self.pairs.data;
        if data.has_several_classes() {
            return loaded.palette_png(path, (&data.classes, data.coding().overlap));
        }
        loaded.mask_png(path, value)
    }

    /// The number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.pairs.list.len()
    }

    /// A pair.
    pub(crate) fn pair(&self, index: usize) -> &Pair {
        &self.pairs.list[index]
    }

    /// The number of pairs of an origin.
    pub(crate) fn count(&self, origin: Origin) -> usize {
        self.pairs.list.iter().filter(|pair| pair.origin == origin).count()
    }

    /// Reads a pair, as gray if `gray` is set, and reports the progress.
    pub(crate) fn load(&mut self, index: usize, gray: bool) -> Result<Loaded> {
        if (self.progress)(self.done, self.len()) == ControlFlow::Break(()) {
            return Err(ExportError::Interrupted { path: self.request.out.clone() });
        }
        let channels = if gray { 1 } else { self.pairs.channels };
        let loaded = Loaded::read(self.pair(index), channels, &self.pairs.data)?;
        self.done += 1;
        self.empty_masks += usize::from(loaded.mask_pixels() == 0);
        Ok(loaded)
    }

    /// Enters a pair into the manifest: its files, and its frame in them, counted from 1.
    pub(crate) fn record(&mut self, index: usize, loaded: &Loaded, files: [&str; 2], frame: usize) -> Result<()> {
        let pair = &self.pairs.list[index];
        let length = |length: Option<f64>| length.map_or_else(String::new, |length| length.to_string());
        let slice = pair.place.slice.as_ref();
        let (volume, slice) = slice.map(|slice| (slice.volume.clone(), slice.number.to_string())).unwrap_or_default();
        let mask_pixels = loaded.mask_pixels();
        let mut row = vec![
            pair.stem.clone(),
            pair.origin.word().to_owned(),
            if pair.synthetic { "yes" } else { "no" }.to_owned(),
            pair.source_id.clone(),
            files[0].to_owned(),
            files[1].to_owned(),
            frame.to_string(),
            loaded.width.to_string(),
            loaded.height.to_string(),
            mask_pixels.to_string(),
            (mask_pixels == 0).to_string(),
            length(pair.place.spacing.map(|[x, _]| x)),
            length(pair.place.spacing.map(|[_, y]| y)),
            length(pair.place.slice_spacing),
            volume,
            slice,
            pair.place
                .affine
                .map(|affine| affine.concat().iter().map(f64::to_string).collect::<Vec<_>>().join(" "))
                .unwrap_or_default(),
        ];
        row.extend(TEXT_COLUMNS.map(|key| loaded.text.get(key).cloned().unwrap_or_default()));
        row.extend(self.grouped().then(|| pair.group.clone()));
        if self.pairs.data.has_several_classes() {
            row.extend(self.coding().areas(&loaded.mask).iter().map(ToString::to_string));
        }
        self.write_row(&row)
    }

    fn write_row<T: AsRef<[u8]>>(&mut self, row: &[T]) -> Result<()> {
        let path = self.request.out.join("manifest.csv");
        self.manifest.write_record(row).map_err(|error| ExportError::encode(&path)(&error))
    }

    /// Writes a JSON file.
    pub(crate) fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let path = self.request.out.join(name);
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| ExportError::encode(&path)(&error))?;
        bytes.push(b'\n');
        self.staging.write(name, &bytes)
    }

    /// Writes the manifest and gives the folder its final name.
    pub(crate) fn finish(self) -> Result<Summary> {
        let path = self.request.out.join("manifest.csv");
        let summary = Summary {
            generated: self.count(Origin::Generated),
            real: self.count(Origin::Real),
            empty_masks: self.empty_masks,
            warnings: self.pairs.warnings,
            notes: self.notes,
        };
        let manifest = self.manifest.into_inner().map_err(|error| ExportError::encode(&path)(&error))?;
        self.staging.write("manifest.csv", &manifest)?;
        self.staging.publish()?;
        // The work is done: a request to stop has no effect any more.
        let _ = (self.progress)(self.done, self.done);
        Ok(summary)
    }
}
