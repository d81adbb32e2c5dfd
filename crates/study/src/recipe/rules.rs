//! The rules of `pig plan`: which settings suit which data, machine and time. All of them are here, with the measurement that each comes
//! from, so that a better measurement changes one place.
//!
//! docs/RESULTS.md has the measurements: short trainings on brain MRI (LGG) at 64 x 64. What no measurement decides is marked as a rule of
//! thumb.

use pig_data::survey::Survey;
use std::collections::BTreeMap;

/// Heights and widths that a plan considers.
const SIZES: [usize; 5] = [32, 64, 128, 256, 512];

/// The height and width at which networks work: larger pictures are divided into blocks of the Haar transform until the network's grid is
/// this small. A step at 256 x 256 with two levels takes about as long as one at 64 x 64 in pixels (docs/PERFORMANCE.md).
const GRID: usize = 64;

/// Channels of the levels of a network, from the narrowest to the widest. The narrowest is that of configs/hq.toml.
const WIDTHS: [[usize; 4]; 3] = [[32, 32, 64, 128], [64, 64, 128, 256], [128, 128, 256, 512]];

/// The most channels to which the first levels of a network are widened for the bands of the Haar transform.
const WIDEST_FOR_BANDS: usize = 64;

/// Channels come in multiples of this, the groups of a network's norms.
const GROUPS: usize = 32;

/// Images that the image network must see at 64 x 64 before its pictures are worth looking at: the 9,000 steps of 4 of configs/hq.toml. A rule
/// of thumb, since that training was not run to its end; a third of them (configs/compare) is too few (docs/RESULTS.md).
const IMAGES_AT_64: f64 = 36_000.0;

/// How many times more images each doubling of the size needs: a rule of thumb.
const MORE_PER_DOUBLING: f64 = 1.5;

/// A wider network is taken if it still sees so many times the images that are needed: a rule of thumb.
const SPARE_FOR_WIDTH: f64 = 3.0;

/// Pairs below which networks of more than the narrowest width, or without dropout, learn pictures by heart: a rule of thumb.
const FEW_PAIRS: usize = 300;

/// The most times that every training image is shown: beyond it a training on few pairs makes copies rather than better pictures. A rule of
/// thumb; the search for copies (`pig fid copies`) is the check.
const MOST_EPOCHS: f64 = 4_000.0;

/// The steps of the guider, as a share of those of the image network, as in configs/compare and configs/hq.toml: masks are simpler than images.
pub(super) const GUIDER_SHARE: f64 = 0.5;

/// The most validations of a training.
const VALIDATIONS: usize = 20;

/// The most previews of a training, and the most of its time that they may take: a rule of thumb.
pub(super) const PREVIEWS: usize = 8;
pub(super) const PREVIEW_SHARE: f64 = 0.1;

/// The least steps between two validations.
const LEAST_BETWEEN_VALIDATIONS: usize = 500;

/// Steps that the average of weights looks back, as a share of the training (configs/compare and configs/hq.toml: a fifteenth).
const AVERAGED_SHARE: f64 = 1.0 / 15.0;

/// Share of the steps over which the learning rate rises, as in configs/hq.toml.
const WARM_UP_SHARE: f64 = 0.02;

/// Pixels of the smallest lesion that is kept, at 64 x 64.
const LEAST_LESION_AT_64: f64 = 4.0;

/// The most images without masks in a batch: pairs must remain.
const MOST_UNLABELLED: f64 = 0.7;

/// What decides a plan.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The data.
    pub survey: Survey,
    /// Images without masks.
    pub unlabelled: usize,
    /// The gray value from which on a pixel of a mask is lesion, if masks are gray.
    pub mask_threshold: Option<f64>,
    /// The hours that the training may take.
    pub hours: f64,
    /// Threads of the machine.
    pub threads: usize,
}

/// A size, and networks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Height and width of the pictures.
    pub size: usize,
    /// Levels of the Haar transform; 0 for pixels.
    pub haar_levels: usize,
    /// Channels of the levels of each network.
    pub widths: [usize; 4],
}

/// How long a shape is trained, and how it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Steps of the image network.
    pub steps: usize,
    /// Whether more steps would show each image too often.
    pub is_capped: bool,
    /// Previews of the image network.
    pub previews: usize,
    /// Whether previews also measure agreement and copies, which takes four times as long.
    pub watches: bool,
}

/// A setting with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The section, such as `train`.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// The value in TOML.
    pub value: String,
    /// Why, with the figure that decided.
    pub reason: String,
}

impl Facts {
    /// The median of the shorter sides of the pictures.
    pub fn shorter_side(&self) -> usize {
        let mut sides: BTreeMap<usize, usize> = BTreeMap::new();
        for ([height, width], count) in &self.survey.sizes {
            *sides.entry(*height.min(width)).or_default() += count;
        }
        let half = sides.values().sum::<usize>().div_ceil(2);
        let mut seen = 0;
        let median = sides.iter().find(|(_, count)| {
            seen += *count;
            seen >= half
        });
        median.map_or(GRID, |(side, _)| *side)
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        self.survey.colours.channels()
    }

    /// All shapes that the data allow, from the best to the cheapest: the largest size first, and of one size the widest networks first.
    /// Pictures are never enlarged.
    pub fn shapes(&self) -> Vec<Shape> {
        let largest = self.shorter_side();
        let sizes = SIZES.iter().rev().copied().filter(|&size| size <= largest.max(SIZES[0]));
        let widths = WIDTHS.iter().rev().filter(|widths| self.survey.pairs >= FEW_PAIRS || **widths == WIDTHS[0]);
        let widths: Vec<[usize; 4]> = widths.copied().collect();
        sizes.flat_map(|size| widths.iter().map(move |&widths| self.shape(size, widths))).collect()
    }

    /// Pictures of `size`, and networks of about these widths. There are as many levels of the Haar transform as bring the grid of the
    /// networks to 64, as far as the first levels have a channel for each band: noise of more channels does not pass through a network
    /// that predicts it. For that, narrow networks become wider.
    fn shape(&self, size: usize, mut widths: [usize; 4]) -> Shape {
        let wanted = (size / GRID).max(1).ilog2() as usize;
        let bands = |levels: usize| self.channels() << (2 * levels);
        let most = widths[0].max(WIDEST_FOR_BANDS);
        let haar_levels = (0..=wanted).rev().find(|&levels| bands(levels) <= most).unwrap_or(0);
        let least = bands(haar_levels).next_multiple_of(GROUPS);
        for width in &mut widths {
            *width = least.max(*width);
        }
        Shape { size, haar_levels, widths }
    }

    /// Whether no narrower networks are planned.
    fn is_narrowest(&self, shape: &Shape) -> bool {
        *shape == self.shape(shape.size, WIDTHS[0])
    }

    /// Images that the image network should see at `size`.
    pub fn needed_images(&self, size: usize) -> f64 {
        IMAGES_AT_64 * MORE_PER_DOUBLING.powf((size as f64 / 64.0).log2())
    }

    /// The most images that the image network should see.
    pub fn most_images(&self) -> f64 {
        MOST_EPOCHS * (self.survey.pairs + self.unlabelled) as f64
    }

    /// The shape to train, of those that `seconds_an_image` knows: the largest size that is shown enough images in the time, with the widest
    /// networks for which images are to spare; the cheapest if none is. Returns it with the images that it is shown.
    pub fn chosen(&self, seconds_an_image: impl Fn(&Shape) -> f64) -> (Shape, f64) {
        let shown = |shape: &Shape| (3600.0 * self.hours / seconds_an_image(shape)).min(self.most_images());
        let shapes = self.shapes();
        let fits = |shape: &&Shape| {
            let spare = if self.is_narrowest(shape) { 1.0 } else { SPARE_FOR_WIDTH };
            shown(shape) >= spare * self.needed_images(shape.size)
        };
        // Size counts more than width: shapes come by size.
        let best = shapes.iter().find(fits).or(shapes.last());
        let fallback = Shape { size: SIZES[0], haar_levels: 0, widths: WIDTHS[0] };
        let shape = best.cloned().unwrap_or(fallback);
        let images = shown(&shape);
        (shape, images)
    }

    /// Images in a batch: a micro-batch of four for each worker, at least eight and at most 32.
    pub fn batch_size(&self) -> usize {
        (4 * self.threads).clamp(8, 32)
    }

    /// The settings of a training of `shape`.
    pub fn settings(&self, shape: &Shape, length: Length) -> Vec<Setting> {
        let mut settings = self.data(shape);
        settings.extend(self.networks(shape));
        settings.extend(self.training(length));
        settings.extend(Self::sampling(shape));
        settings
    }

    fn data(&self, shape: &Shape) -> Vec<Setting> {
        let (survey, side) = (&self.survey, self.shorter_side());
        let add = |key, value: String, reason: String| Setting { section: "data", key, value, reason };
        let mut settings = vec![
            add("size", shape.size.to_string(), self.size_reason(shape.size, side)),
            add(
                "channels",
                self.channels().to_string(),
                format!("{} of {} images are in colour", survey.colours.coloured, survey.colours.total),
            ),
        ];
        if survey.sizes.keys().any(|[height, width]| height != width) {
            let reason = "some images are not square, and stretching would change the form of lesions";
            settings.push(add("resize", "\"pad\"".to_owned(), reason.to_owned()));
        }
        if let pig_data::GroupSource::Column(name) = &survey.by {
            let reason = format!("the split keeps its {} groups together", survey.groups);
            settings.push(add("group_column", format!("{name:?}"), reason));
        }
        if let Some(threshold) = self.mask_threshold {
            let reason = "the masks have gray values at their edges, as JPEG and resampling leave them";
            settings.push(add("mask_threshold", threshold.to_string(), reason.to_owned()));
        }
        if shape.haar_levels > 0 {
            let grid = shape.size >> shape.haar_levels;
            let reason = format!(
                "the networks work on Haar coefficients of {grid} x {grid}, which costs a fraction of the pixels"
            );
            settings.push(add("space", "\"haar\"".to_owned(), reason));
            settings.push(add(
                "haar_levels",
                shape.haar_levels.to_string(),
                format!("{} / 2^{} = {grid}", shape.size, shape.haar_levels),
            ));
        }
        let turn_off = "turn the flip off if left and right differ in your images";
        let (value, reason) = if self.survey.pairs < FEW_PAIRS {
            let value =
                "{ horizontal_flip = true, shift = 0.05, told = { rotation = 10.0, scale = 0.1, gamma = 0.2 } }";
            (
                value,
                format!(
                    "{} pairs are few; networks are told of what is turned and enlarged; {turn_off}",
                    self.survey.pairs
                ),
            )
        } else {
            ("{ horizontal_flip = true, shift = 0.05 }", format!("mirrored and shifted copies; {turn_off}"))
        };
        settings.push(add("augment", value.to_owned(), reason));
        settings
    }

    fn size_reason(&self, size: usize, side: usize) -> String {
        if size > side {
            format!(
                "the smallest size that is planned; the shorter side of most images has {side} pixels, so they are enlarged"
            )
        } else if size == SIZES[0] {
            format!("the smallest size that is planned; the shorter side of most images has {side} pixels")
        } else if SIZES.iter().all(|&other| other <= size || other > side) {
            format!("the largest planned size within {side} pixels, the shorter side of most images")
        } else {
            format!(
                "the largest size for which {} hours show images enough; the shorter side of most images has {side} pixels",
                self.hours
            )
        }
    }

    fn networks(&self, shape: &Shape) -> Vec<Setting> {
        let is_few = self.survey.pairs < FEW_PAIRS;
        let widths = format!("{:?}", shape.widths);
        ["model_x", "model_y"]
            .into_iter()
            .flat_map(|section| {
                let add = |key, value: String, reason: String| Setting { section, key, value, reason };
                let mut settings = vec![
                    add("block_out_channels", widths.clone(), self.width_reason(shape)),
                    add("layers_per_block", "1".to_owned(), "as in configs/hq.toml".to_owned()),
                    add("attention_levels", "[3]".to_owned(), "where the grid is smallest".to_owned()),
                    add(
                        "prediction_type",
                        "\"v_prediction\"".to_owned(),
                        "networks that predict eps drift to black or white after short trainings".to_owned(),
                    ),
                ];
                if is_few {
                    let reason =
                        format!("{} pairs are few: without it networks learn pictures by heart", self.survey.pairs);
                    settings.push(add("dropout", "0.1".to_owned(), reason));
                }
                if section == "model_y" {
                    let reason = "true masks in training measured better than the guider's estimates at one budget";
                    settings.push(add("conditioning", "\"clean\"".to_owned(), reason.to_owned()));
                }
                settings
            })
            .collect()
    }

    fn width_reason(&self, shape: &Shape) -> String {
        if !self.is_narrowest(shape) {
            "the time allows a wider network than the narrowest".to_owned()
        } else if self.survey.pairs < FEW_PAIRS {
            format!("{} pairs are few: a wider network learns them by heart", self.survey.pairs)
        } else {
            "a wider network would be shown too few images in the time".to_owned()
        }
    }

    fn training(&self, length: Length) -> Vec<Setting> {
        let steps = length.steps;
        let add = |key, value: String, reason: String| Setting { section: "train", key, value, reason };
        let (batch, averaged) = (self.batch_size(), (AVERAGED_SHARE * steps as f64).max(10.0));
        let between = (steps / VALIDATIONS).max(LEAST_BETWEEN_VALIDATIONS);
        let share = |share: f64| ((steps as f64 * share).round() as usize).max(1);
        let mut settings = vec![
            add(
                "steps",
                steps.to_string(),
                if length.is_capped {
                    format!(
                        "every image is shown {MOST_EPOCHS:.0} times; more would make copies rather than better pictures"
                    )
                } else {
                    format!("what {} hours allow on this machine", self.hours)
                },
            ),
            add("model_x_steps", share(GUIDER_SHARE).to_string(), "masks are simpler than images".to_owned()),
            add("batch_size", batch.to_string(), format!("four images for each of {} workers", batch / 4)),
            add("learning_rate", "1e-3".to_owned(), "as in configs/hq.toml".to_owned()),
            add("lr_schedule", "\"cosine\"".to_owned(), "the end of the training is known".to_owned()),
            add(
                "warmup_steps",
                share(WARM_UP_SHARE).to_string(),
                "about the first fiftieth of the training".to_owned(),
            ),
            add(
                "ema_decay",
                format!("{:.5}", 1.0 - 1.0 / averaged),
                format!("the average looks back {averaged:.0} steps"),
            ),
            add("min_snr_gamma", "20.0".to_owned(), "measured on LGG".to_owned()),
            add("min_snr_members", "\"image\"".to_owned(), "weights on masks make empty masks rare".to_owned()),
            add("validate_every", between.to_string(), format!("at most {VALIDATIONS} times")),
            add(
                "validation_samples",
                "48".to_owned(),
                "a validation costs about as much as 64 training images".to_owned(),
            ),
            add(
                "preview_every",
                steps.div_ceil(length.previews.max(1)).max(1).to_string(),
                format!("at most {} previews, which take about a tenth of the time", length.previews),
            ),
            add("checkpoint_every", (steps / VALIDATIONS).max(100).to_string(), "what a power cut may cost".to_owned()),
            add(
                "keep_checkpoints",
                format!("[{}]", share(0.25)),
                "for sample.autoguidance, if you want to try it".to_owned(),
            ),
        ];
        if !length.watches {
            let reason =
                "in so short a training, measuring the pairs of previews would take too much of the time".to_owned();
            settings.push(add("watch_samples", "0".to_owned(), reason));
        }
        if self.unlabelled > 0 {
            let (images, pairs) = (self.unlabelled as f64, self.survey.pairs as f64);
            let share = (images / (images + pairs)).min(MOST_UNLABELLED);
            let reason = format!(
                "{} images without masks beside {} pairs, and at most {MOST_UNLABELLED}",
                self.unlabelled, self.survey.pairs
            );
            settings.push(add("unlabelled_share", format!("{share:.2}"), reason));
            let reason = "the null condition must not mean \"an image without a mask\" alone".to_owned();
            settings.push(add("condition_dropout", "0.1".to_owned(), reason));
        }
        settings
    }

    fn sampling(shape: &Shape) -> Vec<Setting> {
        let add = |key, value: String, reason: String| Setting { section: "sample", key, value, reason };
        let area = (LEAST_LESION_AT_64 * (shape.size as f64 / 64.0).powi(2)).round().max(1.0);
        vec![
            add("clip_sample", "true".to_owned(), "keeps pictures from drifting after short trainings".to_owned()),
            add(
                "sampler",
                "\"dpm-solver++\"".to_owned(),
                "20 of its steps measured like 64 of DDIM (docs/RESULTS.md)".to_owned(),
            ),
            add("num_inference_steps", "30".to_owned(), "as in configs/hq.toml".to_owned()),
            add("batch_size", "16".to_owned(), "changes no result".to_owned()),
            add(
                "min_component_area",
                format!("{area:.0}"),
                format!("4 pixels at 64 x 64, as large a lesion at {} x {}", shape.size, shape.size),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_data::{GroupSource, colour::Colours};

    fn facts(pairs: usize, side: usize, coloured: bool, hours: f64) -> Facts {
        let survey = Survey {
            pairs,
            groups: pairs,
            by: GroupSource::Image,
            colours: Colours { coloured: if coloured { pairs } else { 0 }, total: pairs },
            sizes: BTreeMap::from([([side, side], pairs)]),
            bits: BTreeMap::from([(8, pairs)]),
        };
        Facts { survey, unlabelled: 0, mask_threshold: None, hours, threads: 2 }
    }

    const LENGTH: Length = Length { steps: 1000, is_capped: false, previews: PREVIEWS, watches: true };

    /// Seconds that grow with the numbers that a network computes: 0.01 for the narrowest at 64 x 64.
    fn seconds(shape: &Shape) -> f64 {
        let side = (shape.size >> shape.haar_levels) as f64 / 64.0;
        0.01 * side * side * (shape.widths[0] as f64 / 32.0).powi(2)
    }

    fn value(settings: &[Setting], key: &str) -> Option<String> {
        settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.clone())
    }

    #[test]
    fn the_size_grows_with_the_time_and_never_beyond_the_pictures() {
        let size = |side, hours| facts(1000, side, false, hours).chosen(seconds).0.size;
        // 36,000 images at 64 x 64 take 0.1 hours, and each doubling needs half as many images more.
        assert_eq!([0.01, 0.12, 0.2, 0.3, 10.0].map(|hours| size(256, hours)), [32, 64, 128, 256, 256]);
        assert_eq!([size(64, 10.0), size(100, 10.0), size(20, 10.0)], [64, 64, 32]);
        // Wavelet space keeps the grid of the networks at 64.
        let (shape, images) = facts(1000, 512, false, 0.5).chosen(seconds);
        assert_eq!((shape.size, shape.haar_levels, shape.widths[0]), (256, 2, 32));
        assert_eq!(images, 180_000.0);
        // With three levels, noise has 64 channels.
        let (shape, _) = facts(1000, 512, false, 2.0).chosen(seconds);
        assert_eq!((shape.size, shape.haar_levels, shape.widths), (512, 3, [64, 64, 64, 128]));
    }

    #[test]
    fn time_to_spare_makes_networks_wider_where_there_are_pairs_enough() {
        let widths = |pairs, hours| facts(pairs, 64, false, hours).chosen(seconds).0.widths;
        assert_eq!(widths(1000, 0.3), WIDTHS[0]);
        assert_eq!(widths(1000, 2.0), WIDTHS[1]);
        assert_eq!(widths(1000, 20.0), WIDTHS[2]);
        assert_eq!(widths(FEW_PAIRS - 1, 20.0), WIDTHS[0]);
    }

    #[test]
    fn colour_takes_wider_first_levels() {
        let shapes = facts(880, 352, true, 4.0).shapes();
        let narrow: Vec<(usize, usize, usize)> =
            shapes.iter().map(|shape| (shape.size, shape.haar_levels, shape.widths[0])).collect();
        assert!(narrow.contains(&(256, 2, 64)) && narrow.contains(&(128, 1, 32)), "{narrow:?}");
        assert!(shapes.iter().all(|shape| 3 << (2 * shape.haar_levels) <= shape.widths[0]));
    }

    /// Few pairs are not shown without end, and get dropout; three times as many change the plan, and so does half of the time.
    #[test]
    fn pairs_and_hours_change_the_plan() {
        let (few, more) = (facts(12, 64, false, 10.0), facts(3 * 120, 64, false, 10.0));
        let (shape, images) = few.chosen(seconds);
        assert_eq!(images, 12.0 * MOST_EPOCHS);
        assert_eq!(value(&few.settings(&shape, LENGTH), "dropout"), Some("0.1".to_owned()));
        let (wider, shown) = more.chosen(seconds);
        assert!(shown > images && wider.widths != shape.widths);
        assert_eq!(value(&more.settings(&wider, LENGTH), "dropout"), None);
        let halved = facts(3 * 120, 64, false, 5.0).chosen(seconds).1;
        assert!(halved < shown);
    }

    #[test]
    fn what_the_data_show_becomes_settings_with_reasons() {
        let mut all = facts(500, 128, true, 1.0);
        all.survey.sizes.insert([128, 160], 20);
        all.survey.by = GroupSource::Column("patient".to_owned());
        (all.unlabelled, all.mask_threshold, all.threads) = (1500, Some(128.0), 16);
        let shape = all.chosen(seconds).0;
        let settings = all.settings(&shape, Length { steps: 20_000, ..LENGTH });
        for (key, expected) in [
            ("channels", "3"),
            ("resize", "\"pad\""),
            ("group_column", "\"patient\""),
            ("mask_threshold", "128"),
            ("unlabelled_share", "0.70"),
            ("condition_dropout", "0.1"),
            ("steps", "20000"),
            ("model_x_steps", "10000"),
            ("batch_size", "32"),
            ("ema_decay", "0.99925"),
            ("validate_every", "1000"),
        ] {
            assert_eq!(value(&settings, key).as_deref(), Some(expected), "{key}");
        }
        assert!(settings.iter().all(|setting| !setting.reason.is_empty()));
        let plain = facts(500, 128, false, 1.0);
        let settings = plain.settings(&plain.chosen(seconds).0, Length { steps: 100, ..LENGTH });
        for key in ["resize", "group_column", "mask_threshold", "unlabelled_share", "condition_dropout"] {
            assert_eq!(value(&settings, key), None, "{key}");
        }
    }
}
