//! All of `pig segment predict`: masks for pictures, from the run of a segmenter.

use crate::{
    SEGMENTER,
    config::SegmentFile,
    network::{batch_probabilities, build, each_prediction},
    truth::TruthKeys,
};
use burn::{module::Module, tensor::Device};
use pig_data::{
    CaseMask, Chosen, DataConfig, DataError, Dataset, Layout, Pixels, Preparation, PreparedSet, Source,
    class_source::for_folder,
    folder::{Kind, left_out, pictures},
    placement::Placement,
    png_file::{encode_class_png, write_gray_png},
    read::read_image,
    write::keyword,
};
use pig_nn::{ops::is_cpu, parameters, segmentation::SegmentationNet};
use pig_report::{Overlay, Picture, overlay};
use pig_train::{
    Error, Result,
    checkpoint::{State, Store},
    observer::{Event, Observer, Outcome, note, warn},
    pictures::class_colours,
    run_data::warn_of_colours,
    run_dir::{RunDir, program},
    workers::Workers,
};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The segmenter of a run: the averaged weights with the largest validation Dice, in evaluation mode.
#[derive(Debug)]
pub struct SegmentModel {
    /// The run directory.
    pub run: RunDir,
    /// The configuration of the run.
    pub file: SegmentFile,
    /// How files are read and prepared.
    pub preparation: Preparation,
    /// The state of the checkpoint.
    pub state: State,
    network: SegmentationNet,
}

impl SegmentModel {
    /// Loads the segmenter of a run, which is verified if it says where it comes from.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let run = RunDir::open_verified(path)?;
        let file = SegmentFile::of_run(&run)?;
        let (state, ema, weights) = Store::new(path, SEGMENTER).load_best_ema()?;
        let network = parameters::import(build(&file, device)?, &ema)
            .map_err(|source| Error::Architecture { path: weights, source })?
            .valid();
        Ok(Self { preparation: run.preparation()?, run, file, state, network })
    }

    /// What `of` makes of each picture of a set, which must be prepared like the data of the run: it gets the picture's position and
    /// the probability of lesion at each pixel. The pictures of a batch are in memory together, no more.
    ///
    /// # Errors
    /// When the pictures cannot be read, and those of `of`.
    pub fn each<T: Send>(
        &self,
        set: &PreparedSet,
        device: &Device,
        of: impl Fn(usize, Vec<f32>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        each_prediction(&self.network, set, &self.file.segment, device, of)
    }
}

/// The arguments of [`predict()`].
#[derive(Clone, Debug)]
pub struct PredictRequest {
    /// The run of the segmenter.
    pub run: PathBuf,
    /// A folder of pictures, or of pairs; the masks of pairs are shown together with the predicted masks, if they can be read.
    pub data: PathBuf,
    /// The part of a split to which the pictures are limited; all if it is none.
    pub only: Option<Chosen>,
    /// The folder to write.
    pub out: PathBuf,
    /// Whether to write probabilities, too, as 16-bit PNG (65535 is 1).
    pub probabilities: bool,
    /// Keys for the true masks of the folder, where they are not read as those of the run.
    pub truth: TruthKeys,
}

/// The result of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PredictSummary {
    /// Whether all pictures were processed.
    pub outcome: Outcome,
    /// The number of processed pictures.
    pub pictures: usize,
    /// The number of pictures with an empty predicted mask.
    pub empty: usize,
    /// The number of pictures whose true mask could not be read, so that the overlay shows the prediction alone.
    pub unread_masks: usize,
}

/// A picture for which to predict a mask.
struct Subject {
    id: String,
    image: PathBuf,
    truth: Option<CaseMask>,
}

/// The pictures for which to predict masks.
struct Subjects {
    all: Vec<Subject>,
    /// How their true masks are read.
    masks: DataConfig,
}

/// Predicts masks for a folder: `masks/ID.png` in the size of the file (label maps with a palette if there are several classes),
/// `overlays/ID.png` (the picture with the predicted outline and, if there is one, the true outline), and `probabilities/ID.png` if
/// requested (`probabilities/CLASS/ID.png` for each of several classes). Predictions need no true masks: those that cannot be read are
/// counted in a note. If there are keys for true masks, a folder whose pairs are not found by them is an error, and so are classes that the
/// run does not have.
///
/// The folder appears at the end, or when a stop was requested. After an error it is not there, and the same command can be repeated.
pub fn predict(request: &PredictRequest, device: &Device, observer: &dyn Observer) -> Result<PredictSummary> {
    RunDir::check_new_results(&request.out)?;
    let model = SegmentModel::open(&request.run, device)?;
    if let Some(text) = model.run.unverified() {
        warn(observer, text);
    }
    let subjects = subjects(request, &model, observer)?;
    let mut summary = PredictSummary { outcome: Outcome::Finished, pictures: 0, empty: 0, unread_masks: 0 };
    pig_files::create_folder(&request.out, |folder| -> Result<()> {
        let request = PredictRequest { out: folder.to_owned(), ..request.clone() };
        predict_all(&request, &model, &subjects, device, observer, &mut summary)
    })?;
    Ok(summary)
}

/// Predicts and writes all pictures, until the end or until a stop is requested, and counts them in `summary`.
fn predict_all(
    request: &PredictRequest,
    model: &SegmentModel,
    subjects: &Subjects,
    device: &Device,
    observer: &dyn Observer,
    summary: &mut PredictSummary,
) -> Result<()> {
    let mut folders = vec![request.out.join("masks"), request.out.join("overlays")];
    let data = &model.file.data;
    let classes = if request.probabilities { data.mask_channels() } else { 0 };
    folders.extend((0..classes).map(|class| probability_folder(request, data, class)));
    for folder in folders {
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
    }
    observer.event(Event::Begin { stage: "predict".to_owned(), total: subjects.all.len(), done: 0 });
    let mut first_reason = None;
    let batches_at_once = AT_ONCE.div_ceil(model.file.segment.train.batch_size);
    let workers = if is_cpu(device) { Workers::new(batches_at_once) } else { Workers::default() };
    let shape = (data.size, data.channels.count(), data.coding());
    for chunk in subjects.all.chunks(AT_ONCE) {
        if observer.stop_requested() {
            summary.outcome = Outcome::Interrupted;
            break;
        }
        // Files are read and written on all threads; workers take batches through the network.
        let load = |subject: &Subject| Ok(model.preparation.load_image_placed(&subject.image)?);
        let loaded: Vec<(Vec<f32>, Placement)> = chunk.par_iter().map(load).collect::<Result<_>>()?;
        let images: Vec<&[f32]> = loaded.iter().map(|(image, _)| image.as_slice()).collect();
        let batches: Vec<&[&[f32]]> = images.chunks(model.file.segment.train.batch_size).collect();
        let of_batch =
            |index: usize| batch_probabilities(&model.network, batches[index], shape, &model.file.segment, device);
        let found: Vec<Vec<f32>> = workers.map(batches.len(), of_batch).concat();
        let written: Vec<Written> = chunk
            .par_iter()
            .zip(&loaded)
            .zip(&found)
            .map(|((subject, (_, placement)), found)| {
                finish(request, model, (subject, &subjects.masks), placement, found)
            })
            .collect::<Result<_>>()?;
        for Written { has_lesion, unread } in written {
            summary.empty += usize::from(!has_lesion);
            summary.unread_masks += usize::from(unread.is_some());
            first_reason = first_reason.or(unread);
            summary.pictures += 1;
        }
        observer.event(Event::Progress { done: summary.pictures, message: String::new() });
    }
    observer.event(Event::End);
    if let Some(reason) = first_reason {
        let (unread, pictures) = (summary.unread_masks, summary.pictures);
        note(
            observer,
            format!("{unread} of {pictures} overlays show no true mask, because it cannot be read: {reason}"),
        );
    }
    Ok(())
}

/// The number of pictures that are read, predicted and written before the progress is shown and a stop is heard. It bounds the memory:
/// prepared pictures are small, and as many whole pictures are held as there are threads.
const AT_ONCE: usize = 64;

/// What became of one picture.
struct Written {
    /// Whether the predicted mask contains lesion.
    has_lesion: bool,
    /// Why the true mask could not be read, if it could not.
    unread: Option<DataError>,
}

/// Puts the probabilities of a picture on its own grid and writes its files.
fn finish(
    request: &PredictRequest,
    model: &SegmentModel,
    (subject, masks): (&Subject, &DataConfig),
    placement: &Placement,
    found: &[f32],
) -> Result<Written> {
    let (truth, unread) = match truth(subject, placement.source_size(), masks) {
        Ok(truth) => (truth, None),
        Err(reason) => (None, Some(reason)),
    };
    // Each class is put back separately.
    let classes = model.file.data.mask_channels();
    let of = |class: usize| found.iter().skip(class).step_by(classes).copied().collect::<Vec<f32>>();
    let restored: Vec<Vec<f32>> = (0..classes).map(|class| placement.restore(&of(class), 0.0)).collect();
    let pixels = restored.first().map_or(0, Vec::len);
    let found: Vec<f32> = (0..pixels).flat_map(|at| restored.iter().map(move |values| values[at])).collect();
    Ok(Written { has_lesion: write(request, model, subject, truth, placement.source_size(), &found)?, unread })
}

/// The true mask of a picture, if there is one. A mask that cannot be read or does not fit the picture is an error.
fn truth(
    subject: &Subject,
    [height, width]: [usize; 2],
    config: &DataConfig,
) -> std::result::Result<Option<Vec<u8>>, DataError> {
    let Some(files) = &subject.truth else { return Ok(None) };
    let mask = files.read(config)?;
    if [mask.width, mask.height] != [width, height] {
        let (image, mask_size) = (subject.image.clone(), [mask.width, mask.height]);
        return Err(DataError::SizeMismatch {
            image,
            image_size: [width, height],
            mask: files.first.path.clone(),
            mask_size,
        });
    }
    Ok(Some(mask.data))
}

/// The pictures of a folder, with their masks if it is a folder of pairs.
fn subjects(request: &PredictRequest, model: &SegmentModel, observer: &dyn Observer) -> Result<Subjects> {
    let data = request.data.as_path();
    let masks = request.truth.over(&model.preparation.config)?;
    // Patients need not be known here, but the class of a case decides its true mask.
    let own = DataConfig { group_column: None, ..masks.clone() };
    // A column of the run counts if the folder has it; one that is given must be there.
    let own = if request.truth.class_column.is_some() { Ok(own) } else { for_folder(&own, data) };
    let found = own.and_then(|own| Ok((Dataset::discover(data, &own)?, own)));
    let (mut subjects, masks): (Vec<Subject>, DataConfig) = match found {
        Ok((dataset, own)) => {
            request.truth.check_words(data, &dataset, &own)?;
            tell_rows(&dataset, &own, observer)?;
            for warning in dataset.remarks() {
                note(observer, warning.to_owned());
            }
            let pairs = dataset.pairs.into_iter();
            (pairs.map(|pair| Subject { id: pair.id, image: pair.image, truth: pair.mask }).collect(), own)
        }
        Err(reason) if request.truth.are_given() => return Err(reason.into()),
        Err(reason) => {
            let found = pictures(data, Kind::Images)?;
            // Pictures alone are what most predictions are for, and no fault.
            note(
                observer,
                match reason {
                    DataError::EmptyDataset { .. } => "no true masks: overlays show predictions alone".to_owned(),
                    other => format!("no true masks: {other}"),
                },
            );
            if let Some(words) = left_out(data, Kind::Images)? {
                note(observer, words);
            }
            (found.into_iter().map(|(id, image)| Subject { id, image, truth: None }).collect(), masks)
        }
    };
    if let Some(chosen) = &request.only {
        let total = subjects.len();
        let by_id = subjects.into_iter().map(|subject| (subject.id.clone(), subject)).collect();
        subjects = chosen.keep(data, by_id)?.into_values().collect();
        note(observer, format!("{} of {total} pictures: {chosen}", subjects.len()));
    }
    if let Some(subject) =
        subjects.iter().find(|subject| subject.id.contains(['/', '\\']) || subject.id.starts_with('.'))
    {
        return Err(Error::BadFile {
            path: subject.image.clone(),
            problem: format!("its id {:?} is not a valid file name", subject.id),
            advice: "give ids without slashes in the manifest",
        });
    }
    let channels = model.file.data.channels.count();
    warn_of_colours(subjects.iter().map(|subject| subject.image.as_path()), channels, observer)?;
    let splits = model.run.splits()?;
    let trained = subjects.iter().filter(|subject| splits.training.contains(&subject.id)).count();
    if trained > 0 {
        let total = subjects.len();
        warn(
            observer,
            format!(
                "{trained} of {total} pictures have the ids of training pairs: their masks do not show the quality on new pictures"
            ),
        );
    }
    Ok(Subjects { all: subjects, masks })
}

/// Says how many images have several rows in the folder's table.
fn tell_rows(dataset: &Dataset, config: &DataConfig, observer: &dyn Observer) -> Result<()> {
    if config.class_column.is_none() || dataset.layout != Layout::Manifest {
        return Ok(());
    }
    let source = Source::all(&dataset.root, config);
    if let Some(words) = source.rows()? {
        note(observer, words);
    }
    Ok(())
}

/// Writes the results of one picture. Returns whether the mask contains lesion.
fn write(
    request: &PredictRequest,
    model: &SegmentModel,
    subject: &Subject,
    truth: Option<Vec<u8>>,
    [height, width]: [usize; 2],
    found: &[f32],
) -> Result<bool> {
    let (version, name) = (program(), format!("{}.png", subject.id));
    let text = [(keyword::VERSION, version.as_str()), (keyword::MODEL_HASH, model.state.ema_sha256())];
    let classes = model.file.data.mask_channels();
    let prediction = model.file.decision().labels(found);
    if request.probabilities {
        for class in 0..classes {
            let of_class = found.iter().skip(class).step_by(classes);
            let levels = of_class.map(|&p| (p.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16).collect();
            let path = probability_folder(request, &model.file.data, class).join(&name);
            write_gray_png(&path, width, height, &Pixels::Sixteen(levels), &text)?;
        }
    }
    let channels = model.preparation.config.channels.count();
    let image = read_image(&subject.image, channels)?;
    let unit = model.preparation.whole_image(&image);
    let has_lesion = prediction.iter().any(|&label| label > 0);
    let image = Picture::from_bytes(&Preparation::display(&unit), height, width, channels)?;
    let (label, classes) = (subject.id.clone(), class_colours(&model.file.data));
    let drawn = overlay(&Overlay { image, truth, prediction: prediction.clone(), label, classes })?;
    drawn.write_png_quickly(&request.out.join("overlays").join(&name), &[])?;
    // The mask is written last: if it exists, all other files of the picture exist, too.
    let path = request.out.join("masks").join(&name);
    if model.file.data.has_several_classes() {
        let classes = (model.file.data.classes.as_slice(), model.file.data.coding().overlap);
        pig_files::write(&path, &encode_class_png(&path, [height, width], &prediction, classes, &text)?)?;
    } else {
        let mask = Pixels::Eight(prediction.iter().map(|&label| if label > 0 { 255 } else { 0 }).collect());
        write_gray_png(&path, width, height, &mask, &text)?;
    }
    Ok(has_lesion)
}

/// The folder of the probabilities of a class: `probabilities`, or a folder in it for each of several classes.
fn probability_folder(request: &PredictRequest, data: &DataConfig, class: usize) -> PathBuf {
    let folder = request.out.join("probabilities");
    match data.classes.get(class).filter(|_| data.has_several_classes()) {
        Some(own) => folder.join(&own.name),
        None => folder,
    }
}
