//! The rules of `pig plan`: which settings suit which data, machine and time. All of them are here, with the measurement that each comes
//! from, so that a better measurement changes one place.
//!
//! docs/APPENDIX.md has the measurements: short trainings on brain MRI (LGG) at 64 x 64. What no measurement decides is marked as a rule of
//! thumb.

use pig_data::{classes::ClassConfig, survey::Survey};
use std::collections::BTreeMap;

/// Heights and widths that a plan considers.
pub(super) const SIZES: [usize; 5] = [32, 64, 128, 256, 512];

/// The height and width at which networks work: larger pictures are divided into blocks of the Haar transform until the network's grid is
/// this small. A step at 256 x 256 with two levels takes about as long as one at 64 x 64 in pixels (docs/PERFORMANCE.md).
const GRID: usize = 64;

/// Pictures of this height and width, and larger ones, are divided at least once: in the same time, one level with preconditioning made
/// better pictures of 64 x 64 than pixels, and two levels made worse ones (docs/APPENDIX.md).
const LEAST_DIVIDED: usize = 64;

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

/// The share of these images below which a plan warns.
const ENOUGH_IMAGES: f64 = 0.9;

/// A wider network is taken if it still sees so many times the images that are needed: a rule of thumb.
const SPARE_FOR_WIDTH: f64 = 3.0;

/// Training pairs below which networks of more than the narrowest width, or without dropout, learn pictures by heart: a rule of thumb.
pub(super) const FEW_PAIRS: usize = 300;

/// The most times that every training pair is shown: beyond it a training on few pairs makes copies rather than better pictures. A rule of
/// thumb; the search for copies (`pig fid copies`) is the check.
pub(super) const MOST_EPOCHS: f64 = 4_000.0;

/// The steps of the guider, as a share of those of the image network, as in configs/compare and configs/hq.toml: masks are simpler than images.
pub(super) const GUIDER_SHARE: f64 = 0.5;

/// The most validations of the image network, and the fewest: a curve of fewer points shows neither a network that stopped learning nor one that
/// collapsed. The guider, with half of the steps, has half as many.
pub(super) const VALIDATIONS: usize = 20;
const LEAST_VALIDATIONS: usize = 4;

/// The most previews of a training, and the most of its time that they may take: a rule of thumb.
pub(super) const PREVIEWS: usize = 8;
pub(super) const PREVIEW_SHARE: f64 = 0.1;

/// The most of a training's time that the search for a scale of guidance may take: a rule of thumb.
pub(super) const MATCHING_SHARE: f64 = 0.1;

/// The share of conditions that are dropped, so that the image network knows what guidance needs: that of the trainings with which `match_contrast`
/// was measured.
pub(super) const CONDITION_DROPOUT: f64 = 0.1;

/// The least steps between two validations, unless the training is too short for [`LEAST_VALIDATIONS`] then.
const LEAST_BETWEEN_VALIDATIONS: usize = 500;

/// Steps that the average of weights looks back, as a share of the training (configs/compare and configs/hq.toml: a fifteenth).
pub(super) const AVERAGED_SHARE: f64 = 1.0 / 15.0;

/// Share of the steps over which the learning rate rises, as in configs/hq.toml.
pub(super) const WARM_UP_SHARE: f64 = 0.02;

/// The optimiser of configs/hq.toml: in as many steps it brought a lower validation loss and a lower FID than AdamW, on LGG with two seeds and on
/// Kvasir-SEG with one (docs/APPENDIX.md).
pub(super) const OPTIMIZER: &str = "muon";

/// The learning rate of configs/hq.toml. With AdamW, a rate of 2.5e-3 lowered the FID on LGG at 64 x 64 further, but networks for colour pictures of
/// 256 x 256 then collapsed when the rate had risen (docs/APPENDIX.md).
pub(super) const LEARNING_RATE: f64 = 1e-3;

/// The step whose checkpoint is kept as the worse network of autoguidance, as a share of the training, as on LGG. No plan turns autoguidance on: it
/// lowered the FID on LGG and Kvasir, but also the contrast under masks on Kvasir (docs/APPENDIX.md).
pub(super) const WORSE_SHARE: f64 = 0.2;

/// Images that a worker takes at once.
pub(super) const IMAGES_OF_A_WORKER: usize = 4;

/// Pixels of the smallest lesion that is kept, at 64 x 64.
pub(super) const LEAST_LESION_AT_64: f64 = 4.0;

/// The most images without masks in a batch: pairs must remain.
pub(super) const MOST_UNLABELLED: f64 = 0.7;

/// The least share of images without masks, as a plan writes it: with two digits.
const LEAST_UNLABELLED: f64 = 0.01;

/// What decides a plan.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The data.
    pub survey: Survey,
    /// Pairs that the training's split leaves for training.
    pub training: usize,
    /// Images without masks.
    pub unlabelled: usize,
    /// The gray value from which on a pixel of a mask is lesion, if masks are gray.
    pub mask_threshold: Option<f64>,
    /// The classes that the data name, if there are several; a training finds them again.
    pub classes: Vec<ClassConfig>,
    /// Whether these classes may overlap.
    pub classes_overlap: bool,
    /// The hours that the training may take.
    pub hours: f64,
    /// Threads of the machine.
    pub threads: usize,
    /// Height and width that were asked for.
    pub size: Option<usize>,
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
    /// Whether the training ends with a search for the scale of guidance.
    pub matches: bool,
}

/// Images that the image network should see of pictures of this height and width.
pub(crate) fn needed_images(size: usize) -> f64 {
    IMAGES_AT_64 * MORE_PER_DOUBLING.powf((size as f64 / 64.0).log2())
}

/// Says that the image network is shown too few images of this height and width, if so.
pub(crate) fn too_few_images(images: usize, size: usize) -> Option<String> {
    let (images, needed) = (images as f64, needed_images(size));
    (images < ENOUGH_IMAGES * needed).then(|| {
        format!(
            "the image network is shown {images:.0} images, and usable pictures of {size} x {size} need about {needed:.0}"
        )
    })
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

    /// Whether some pictures are not square, so that pictures are padded.
    pub(super) fn is_padded(&self) -> bool {
        self.survey.sizes.keys().any(|[height, width]| height != width)
    }

    /// Whether most pictures are enlarged to this height and width. A picture that is padded is as large as its longer side.
    pub(super) fn enlarges(&self, size: usize) -> bool {
        let is_smaller = |[height, width]: &[usize; 2]| *height.max(width) < size;
        let smaller = self.survey.sizes.iter().filter(|(picture, _)| is_smaller(picture)).map(|(_, count)| count);
        2 * smaller.sum::<usize>() > self.survey.pairs
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        self.survey.colours.channels()
    }

    /// All shapes that the data allow, from the best to the cheapest: the largest size first, and of one size the widest networks first.
    /// Pictures are never enlarged, unless a size was asked for.
    pub fn shapes(&self) -> Vec<Shape> {
        let largest = self.shorter_side();
        let suited = || SIZES.iter().rev().copied().filter(|&size| size <= largest.max(SIZES[0])).collect();
        let sizes: Vec<usize> = self.size.map_or_else(suited, |size| vec![size]);
        let widths = WIDTHS.iter().rev().filter(|widths| self.training >= FEW_PAIRS || **widths == WIDTHS[0]);
        let widths: Vec<[usize; 4]> = widths.copied().collect();
        sizes.into_iter().flat_map(|size| widths.iter().map(move |&widths| self.shape(size, widths))).collect()
    }

    /// Pictures of `size`, and networks of about these widths. There are as many levels of the Haar transform as bring the grid of the
    /// networks to 64, and one for pictures of 64 x 64, as far as the first levels have a channel for each band: noise of more channels
    /// does not pass through a network that predicts it. For that, narrow networks become wider.
    fn shape(&self, size: usize, mut widths: [usize; 4]) -> Shape {
        let least = usize::from(size >= LEAST_DIVIDED);
        let wanted = ((size / GRID).max(1).ilog2() as usize).max(least);
        let bands = |levels: usize| self.channels() << (2 * levels);
        let most = widths[0].max(WIDEST_FOR_BANDS);
        let haar_levels = (0..=wanted).rev().find(|&levels| bands(levels) <= most).unwrap_or(0);
        let narrowest = bands(haar_levels).next_multiple_of(GROUPS);
        for width in &mut widths {
            *width = narrowest.max(*width);
        }
        Shape { size, haar_levels, widths }
    }

    /// Whether no narrower networks are planned.
    pub(super) fn is_narrowest(&self, shape: &Shape) -> bool {
        *shape == self.shape(shape.size, WIDTHS[0])
    }

    /// The share of the image network's samples that are images without masks: their share of all images, but pairs must remain.
    pub(super) fn unlabelled_share(&self) -> f64 {
        let (images, pairs) = (self.unlabelled as f64, self.training as f64);
        if self.unlabelled == 0 { 0.0 } else { (images / (images + pairs)).clamp(LEAST_UNLABELLED, MOST_UNLABELLED) }
    }

    /// The most images that the image network should see. Pairs are shown as often as other images, or more often, so they decide.
    pub fn most_images(&self) -> f64 {
        MOST_EPOCHS * self.training as f64 / (1.0 - self.unlabelled_share())
    }

    /// The shape to train, of those that `seconds_an_image` knows: the largest size that is shown enough images in the time, with the widest
    /// networks for which images are to spare; the cheapest if none is. Returns it with the images that it is shown.
    pub fn chosen(&self, seconds_an_image: impl Fn(&Shape) -> f64) -> (Shape, f64) {
        let shown = |shape: &Shape| (3600.0 * self.hours / seconds_an_image(shape)).min(self.most_images());
        let shapes = self.shapes();
        let fits = |shape: &&Shape| {
            let spare = if self.is_narrowest(shape) { 1.0 } else { SPARE_FOR_WIDTH };
            shown(shape) >= spare * needed_images(shape.size)
        };
        // Size counts more than width: shapes come by size.
        let best = shapes.iter().find(fits).or(shapes.last());
        let fallback = Shape { size: self.size.unwrap_or(SIZES[0]), haar_levels: 0, widths: WIDTHS[0] };
        let shape = best.cloned().unwrap_or(fallback);
        let images = shown(&shape);
        (shape, images)
    }

    /// Steps between two validations of a training of so many steps; the last step is validated in any case.
    pub(super) fn between_validations(steps: usize) -> usize {
        (steps / VALIDATIONS).max(LEAST_BETWEEN_VALIDATIONS).min(steps / LEAST_VALIDATIONS).max(1)
    }

    /// Images in a batch: a micro-batch of four for each worker, at least eight and at most 32.
    pub fn batch_size(&self) -> usize {
        (IMAGES_OF_A_WORKER * self.threads).clamp(8, 32)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use pig_data::{GroupSource, colour::Colours};

    pub(in crate::recipe) fn facts(pairs: usize, side: usize, coloured: bool, hours: f64) -> Facts {
        let survey = Survey {
            pairs,
            groups: pairs,
            by: GroupSource::Image,
            colours: Colours { coloured: if coloured { pairs } else { 0 }, total: pairs },
            sizes: BTreeMap::from([([side, side], pairs)]),
            bits: BTreeMap::from([(8, pairs)]),
        };
        Facts {
            survey,
            training: pairs,
            unlabelled: 0,
            mask_threshold: None,
            classes: Vec::new(),
            classes_overlap: false,
            hours,
            threads: 2,
            size: None,
        }
    }

    /// Seconds that grow with the numbers that a network computes: 0.01 for the narrowest on a grid of 64 x 64.
    pub(in crate::recipe) fn seconds(shape: &Shape) -> f64 {
        let side = (shape.size >> shape.haar_levels) as f64 / 64.0;
        0.01 * side * side * (shape.widths[0] as f64 / 32.0).powi(2)
    }

    #[test]
    fn the_size_grows_with_the_time_and_never_beyond_the_pictures() {
        let size = |side, hours| facts(1000, side, false, hours).chosen(seconds).0.size;
        // 36,000 images at 64 x 64 take 0.025 hours on their grid of 32 x 32. Each doubling needs half as many images more, and the grid of
        // larger pictures is 64 x 64: 0.15 hours at 128 x 128, 0.225 at 256 x 256.
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
        assert_eq!(widths(1000, 0.2), WIDTHS[0]);
        assert_eq!(widths(1000, 0.5), WIDTHS[1]);
        assert_eq!(widths(1000, 20.0), WIDTHS[2]);
        assert_eq!(widths(FEW_PAIRS - 1, 20.0), WIDTHS[0]);
    }

    #[test]
    fn short_trainings_are_validated_four_times_and_long_ones_as_before() {
        for steps in 1..60_000_usize {
            let between = Facts::between_validations(steps);
            assert!(steps / between >= LEAST_VALIDATIONS.min(steps), "{steps} steps, {between} between validations");
            if steps >= LEAST_VALIDATIONS * LEAST_BETWEEN_VALIDATIONS {
                assert_eq!(between, (steps / VALIDATIONS).max(LEAST_BETWEEN_VALIDATIONS), "{steps}");
            }
        }
        assert_eq!([3, 600, 1999].map(Facts::between_validations), [1, 150, 499]);
    }

    #[test]
    fn colour_takes_wider_first_levels() {
        let shapes = facts(880, 352, true, 4.0).shapes();
        let narrow: Vec<(usize, usize, usize)> =
            shapes.iter().map(|shape| (shape.size, shape.haar_levels, shape.widths[0])).collect();
        assert!(narrow.contains(&(256, 2, 64)) && narrow.contains(&(128, 1, 32)), "{narrow:?}");
        assert!(shapes.iter().all(|shape| 3 << (2 * shape.haar_levels) <= shape.widths[0]));
    }
}
