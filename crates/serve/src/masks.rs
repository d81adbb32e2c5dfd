//! Masks that were drawn or sent, for samplings. Whatever comes in is bounded, and decoded by the readers of pig before anything uses it.

use crate::reply::{Refusal, Reply};
use pig_data::{
    ClassConfig, DataConfig,
    classes::names,
    config::MaskValue,
    names::PICTURE_ENDINGS,
    png_file::{encode_label_png, encode_png},
    preparation::Pixels,
    read::{RawMask, read_mask},
};
use pig_files::hex;
use pig_train::run_dir::RunDir;
use rand::RngCore as _;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The most bytes of a file that is sent.
pub(crate) const MOST_BYTES: usize = 32 << 20;
/// A mask is kept for so long, as far as anybody sends another one.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The masks of a served folder.
#[derive(Clone, Debug)]
pub(crate) struct Masks(PathBuf);

impl Masks {
    /// The masks in `folder`, each in a folder of its own. Old ones are removed.
    pub(crate) fn open(folder: PathBuf) -> std::io::Result<Self> {
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)?.flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            if age.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age > KEPT) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self(folder))
    }

    /// The folder of the mask `id`, for --given-mask.
    pub(crate) fn folder(&self, id: &str) -> Reply<PathBuf> {
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let folder = self.0.join(id);
        if is_id && folder.is_dir() { Ok(folder) } else { Err(Refusal::missing(format!("There is no mask {id:?}."))) }
    }

    /// Keeps a mask that was drawn: a label for each pixel, row by row. The run's masks have these classes.
    pub(crate) fn drawn(&self, labels: &[u8], size: [usize; 2], run: &RunDir) -> Reply<String> {
        let config = run.config().map_err(|error| Refusal::wrong(error.to_string()))?;
        let expected = config.data.slice_size();
        if size != expected || labels.len() != size[0] * size[1] {
            return Err(Refusal::wrong(format!(
                "The drawing has {} pixels of {} x {}; expected the run's size, {} x {}.",
                labels.len(),
                size[0],
                size[1],
                expected[0],
                expected[1]
            )));
        }
        let classes: &[ClassConfig] = if config.data.has_several_classes() { &config.data.classes } else { &[] };
        let most = classes.len().max(1);
        if let Some(label) = labels.iter().find(|&&label| usize::from(label) > most) {
            return Err(Refusal::wrong(format!("The drawing has the label {label}; expected at most {most}.")));
        }
        let name = Path::new("mask.png");
        let encoded = if classes.is_empty() {
            let lesion = lesion_value(&config.data);
            let gray = labels.iter().map(|&label| if label > 0 { lesion } else { 0 }).collect();
            encode_png(name, size, 1, &Pixels::Eight(gray), &[])
        } else {
            encode_label_png(name, size, labels, &names(classes), &[])
        };
        let id = self.keep("mask.png", &encoded.map_err(Refusal::fault)?)?;
        // What the run reads must be what was drawn, whatever its settings say about values of masks.
        let (found, wanted) = (self.read(&id, run)?.0.data, labels);
        if found != wanted {
            return Err(Refusal::wrong(
                "The run's settings of masks (data.mask_values) read another mask than the one that was drawn; send a file instead.",
            ));
        }
        Ok(id)
    }

    /// Keeps a file that was sent, if the run's preparation can read it as a mask.
    pub(crate) fn sent(&self, name: &str, bytes: &[u8], run: &RunDir) -> Reply<String> {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        if !PICTURE_ENDINGS.contains(&ending.as_str()) {
            return Err(Refusal::wrong(format!(
                "The file {name:?} does not end like a picture; expected one of {}.",
                PICTURE_ENDINGS.join(", ")
            )));
        }
        let preparation = run.preparation().map_err(|error| Refusal::wrong(error.to_string()))?;
        let file = format!("mask.{ending}");
        let id = self.keep(&file, bytes)?;
        let path = self.0.join(&id).join(&file);
        match preparation.load_mask(&path) {
            Ok(_) => Ok(id),
            Err(error) => {
                let _ = fs::remove_dir_all(self.0.join(&id));
                Err(Refusal::wrong(error.to_string().replace(&path.display().to_string(), name)))
            }
        }
    }

    /// The label map of a kept mask, as the run reads it, with whether it tells classes apart.
    pub(crate) fn read(&self, id: &str, run: &RunDir) -> Reply<(RawMask, bool)> {
        let wrong = |error: &dyn std::fmt::Display| Refusal::wrong(error.to_string());
        let folder = self.folder(id)?;
        let mut files = fs::read_dir(folder).map_err(Refusal::fault)?.flatten();
        let file = files.next().ok_or_else(|| Refusal::missing("The mask is gone."))?;
        let config: DataConfig = run.config().map_err(|error| wrong(&error))?.data;
        Ok((read_mask(&file.path(), &config).map_err(|error| wrong(&error))?, config.has_several_classes()))
    }

    fn keep(&self, file: &str, bytes: &[u8]) -> Reply<String> {
        let mut chance = [0; 16];
        rand::rng().fill_bytes(&mut chance);
        // Two equal masks are two folders: each sampling has its own.
        let id = hex(&chance);
        let folder = self.0.join(&id);
        pig_files::create_folder(&folder, |folder| pig_files::write(&folder.join(file), bytes))
            .map_err(Refusal::fault)?;
        Ok(id)
    }
}

/// The gray value that means lesion in the mask files of a run with one class.
fn lesion_value(data: &DataConfig) -> u8 {
    let values = data.mask_values.iter().flat_map(|values| &values.0);
    let gray =
        values.filter_map(|value| if let MaskValue::Gray(gray) = value { u8::try_from(*gray).ok() } else { None });
    gray.into_iter().next().unwrap_or(u8::MAX)
}
