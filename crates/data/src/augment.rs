//! Random flips and shifts, the same for an image and its mask.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::classes::mask_channels;
use crate::config::AugmentConfig;

/// The random changes drawn for one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Draw {
    flip_horizontal: bool,
    flip_vertical: bool,
    /// Rows and columns by which the content moves down and right.
    shift: [isize; 2],
}

/// Changes `image` of shape (height, width, channels) and `mask` of shape (height, width, classes) in place and in the same way. If they hold
/// several stacked slices, every slice is changed in the same way.
///
/// The draw depends on `key` alone, for example (run seed, epoch, sample), so neither batch order nor thread count
/// matters. All numbers are drawn whatever the configuration says, so enabling one change does not alter the others.
/// Pixels that a shift uncovers repeat the image's edge and are background (-1) in the mask.
///
/// # Panics
/// When the lengths of image and mask are not the same whole number of slices of `size` with `channels`.
pub fn augment(
    image: &mut [f32],
    mask: &mut [f32],
    size: [usize; 2],
    channels: usize,
    config: &AugmentConfig,
    key: [u64; 3],
) {
    let pixels = size[0] * size[1];
    let classes = mask_channels(image.len(), mask.len(), pixels, channels);
    let draw = draw(size, config, key);
    if draw == (Draw { flip_horizontal: false, flip_vertical: false, shift: [0, 0] }) {
        return;
    }
    let (old_image, old_mask) = (image.to_vec(), mask.to_vec());
    for (index, (pixel, lesion)) in image.chunks_exact_mut(channels).zip(mask.chunks_exact_mut(classes)).enumerate() {
        let (slice, place) = (index / pixels, index % pixels);
        let row = source(place / size[1], size[0], draw.shift[0], draw.flip_vertical);
        let column = source(place % size[1], size[1], draw.shift[1], draw.flip_horizontal);
        let from = slice * pixels + row.0 * size[1] + column.0;
        pixel.copy_from_slice(&old_image[from * channels..(from + 1) * channels]);
        if row.1 && column.1 {
            lesion.copy_from_slice(&old_mask[from * classes..(from + 1) * classes]);
        } else {
            lesion.fill(-1.0);
        }
    }
}

/// Where an output position comes from (flip first, then shift), and whether that lies inside the picture.
fn source(position: usize, length: usize, shift: isize, flip: bool) -> (usize, bool) {
    let wanted = position as isize - shift;
    let inside = wanted.clamp(0, length as isize - 1);
    let index = if flip { length - 1 - inside as usize } else { inside as usize };
    (index, inside == wanted)
}

fn draw(size: [usize; 2], config: &AugmentConfig, key: [u64; 3]) -> Draw {
    let mut seed = [0u8; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    let [horizontal, vertical]: [bool; 2] = [rng.random(), rng.random()];
    let shift = size.map(|side| {
        let greatest = (config.shift * side as f32).round().min(side as f32 - 1.0);
        let share: f32 = rng.random();
        // floor of a uniform number over 2 n + 1 equal cells: every whole shift from -n to n is equally likely.
        ((share * (2.0 * greatest + 1.0)).floor().min(2.0 * greatest) - greatest) as isize
    });
    Draw {
        flip_horizontal: horizontal && config.horizontal_flip,
        flip_vertical: vertical && config.vertical_flip,
        shift,
    }
}
