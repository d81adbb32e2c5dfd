//! One prepared pair as it is stored, and the numbers that it becomes.

use pig_files::sha256;
use serde::{Deserialize, Serialize};

use crate::intensity::{IntensityMap, to_unit};
use crate::pairs::plane::{Code, decode, decode_mask, encode, encode_mask};
use crate::placement::pad;

/// The form of all pairs of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Height and width of a picture.
    pub(crate) size: [usize; 2],
    /// Slices that are stacked in each picture.
    pub(crate) slices: usize,
    /// Channels of the images.
    pub(crate) channels: usize,
    /// Channels of the masks: the classes that they tell apart.
    #[serde(default = "one")]
    pub(crate) classes: usize,
}

/// The classes of files that were written before there were several.
fn one() -> usize {
    1
}

impl Shape {
    /// Height and width of a slice.
    pub(crate) fn slice_size(self) -> [usize; 2] {
        [self.size[0] / self.slices, self.size[1]]
    }

    /// Pixels of a picture.
    pub(crate) fn pixels(self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Values of a mask.
    pub(crate) fn mask_values(self) -> usize {
        self.pixels() * self.classes
    }
}

/// An image at the prepared size, before padding and before its values are mapped to [-1, 1].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    /// Raw values of shape (slices, height, width, channels).
    pub(crate) values: Vec<f32>,
    /// Height and width of a slice.
    pub(crate) size: [usize; 2],
    /// The raw values at -1 and +1, if the image's own range counts.
    pub(crate) range: (f64, f64),
}

impl Fitted {
    /// The image of `shape` in [-1, 1].
    pub(crate) fn unit(self, shape: Shape, intensity: IntensityMap) -> Vec<f32> {
        let range = intensity.range_of(self.range);
        let unit: Vec<f32> = self.values.into_iter().map(|raw| to_unit(raw, range)).collect();
        if self.size == shape.slice_size() {
            return unit;
        }
        let slice = self.size[0] * self.size[1] * shape.channels;
        unit.chunks_exact(slice)
            .flat_map(|slice| pad(slice.to_vec(), self.size, shape.slice_size(), shape.channels))
            .collect()
    }
}

/// How the number of channels of a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Conversion {
    /// It stayed.
    #[default]
    None,
    /// Colour was reduced to gray.
    ToGray,
    /// Gray was copied to three channels.
    ToColour,
}

/// What warnings about a set are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Facts {
    /// Whether the mask has lesion in the file.
    pub(crate) lesion_in_file: bool,
    /// Whether lesion covers more than half of the mask in the file.
    pub(crate) mostly_lesion: bool,
    /// Whether the mask has lesion as prepared.
    pub(crate) lesion: bool,
    /// Whether lesion covers all of the prepared mask.
    pub(crate) full: bool,
    /// How the number of channels of the image changed.
    pub(crate) conversion: Conversion,
    /// Whether an orientation tag turned or mirrored the image.
    pub(crate) turned: bool,
    /// Whether the settings name the values that mean lesion, and the mask in the file has others alone.
    #[serde(default)]
    pub(crate) other_values: bool,
    /// Of a mask with a palette whose grays are in another order than their indices, whether the indices were taken.
    #[serde(default)]
    pub(crate) other_order: Option<bool>,
    /// The classes that the mask has in the file, and as prepared, as bits; 0 in files that were written before there were several.
    #[serde(default)]
    pub(crate) classes: [u32; 2],
}

/// A prepared pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FittedPair {
    /// The image.
    pub(crate) image: Fitted,
    /// The mask of shape (height, width, classes): -1 background, +1 lesion.
    pub(crate) mask: Vec<f32>,
    /// What warnings are made from.
    pub(crate) facts: Facts,
}

/// The image or the mask of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// The image.
    Image,
    /// The mask.
    Mask,
}

/// Where the bytes of an image or a mask are in the file, and how they are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plane {
    /// The position of the first byte; 0 if the bytes are in no file.
    pub(crate) at: u64,
    /// The number of bytes.
    pub(crate) bytes: u64,
    /// Their SHA-256.
    pub(crate) sha256: String,
}

impl Plane {
    fn of(bytes: &[u8]) -> Self {
        Self { at: 0, bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// What is known of a stored pair beside its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What identifies its files and their state; empty if it is made from no files.
    pub(crate) source: String,
    /// Height and width of each slice of the image before padding.
    pub(crate) fitted: [usize; 2],
    /// The image's own raw values at -1 and +1, as the bits of the numbers: JSON rounds.
    pub(crate) range: [u64; 2],
    /// How the image's values are stored.
    pub(crate) code: Code,
    /// What warnings are made from.
    pub(crate) facts: Facts,
    /// The image.
    pub(crate) image: Plane,
    /// The mask.
    pub(crate) mask: Plane,
}

/// A pair with its bytes: the image and the mask.
pub(crate) type Encoded = (Record, [Vec<u8>; 2]);

impl Record {
    /// Bits of the image's file; none if its own range of values counts, which the record holds instead.
    pub(crate) fn depth(&self, intensity: IntensityMap) -> Option<u8> {
        let is_own = intensity == IntensityMap::PerImage;
        (!is_own).then(|| if f64::from_bits(self.range[1]) > 255.0 { 16 } else { 8 })
    }

    /// A pair that was prepared from `source`.
    pub(crate) fn encode(pair: &FittedPair, source: String) -> Encoded {
        let Fitted { values, size, range } = &pair.image;
        let ((code, image), mask) = (encode(values), encode_mask(&pair.mask));
        let record = Self {
            source,
            fitted: *size,
            range: [range.0.to_bits(), range.1.to_bits()],
            code,
            facts: pair.facts,
            image: Plane::of(&image),
            mask: Plane::of(&mask),
        };
        (record, [image, mask])
    }

    /// The image or the mask.
    pub(crate) fn plane(&self, member: Member) -> &Plane {
        match member {
            Member::Image => &self.image,
            Member::Mask => &self.mask,
        }
    }

    /// Whether image and mask have as many bytes as a pair of this shape.
    pub(crate) fn fits(&self, shape: Shape) -> bool {
        let [height, width] = shape.slice_size();
        let values = [self.fitted[0], self.fitted[1], shape.slices, shape.channels, self.code.size()];
        let image = values.into_iter().try_fold(1_usize, usize::checked_mul);
        self.fitted[0] <= height
            && self.fitted[1] <= width
            && image == Some(self.image.bytes as usize)
            && self.mask.bytes as usize == shape.mask_values().div_ceil(8)
    }

    /// The image of `shape` in [-1, 1].
    pub(crate) fn image(&self, bytes: &[u8], shape: Shape, intensity: IntensityMap) -> Vec<f32> {
        let range = (f64::from_bits(self.range[0]), f64::from_bits(self.range[1]));
        Fitted { values: decode(self.code, bytes), size: self.fitted, range }.unit(shape, intensity)
    }

    /// The mask of `shape`, a value for each class; true is lesion.
    pub(crate) fn mask(bytes: &[u8], shape: Shape) -> impl Iterator<Item = bool> {
        decode_mask(bytes, shape.mask_values())
    }
}
