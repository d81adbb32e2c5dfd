//! Values of interest: windows and look-up tables, as PS3.3 C.11 defines them and pydicom applies them.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::dataset::{self, Dataset};
use crate::{Error, Result};

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunction {
    /// LINEAR, PS3.3 C.11.2.1.2.1: centre minus 0.5, width minus 1.
    Linear,
    /// LINEAR_EXACT, PS3.3 C.11.2.1.3.2.
    LinearExact,
    /// SIGMOID, PS3.3 C.11.2.1.3.1.
    Sigmoid,
}

/// A window over modality values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Centre, in modality units.
    pub center: f64,
    /// Width, in modality units; at least 1 for `Linear`, above 0 for the others.
    pub width: f64,
    /// The function that maps values.
    pub function: WindowFunction,
}

impl Window {
    /// Whether the function allows the width, and both numbers are finite.
    pub fn is_valid(&self) -> bool {
        let least = match self.function {
            WindowFunction::Linear => self.width >= 1.0,
            WindowFunction::LinearExact | WindowFunction::Sigmoid => self.width > 0.0,
        };
        least && self.width.is_finite() && self.center.is_finite()
    }

    /// Maps one value through the window to the range `low` to `high`. The order of operations is that of pydicom, so that
    /// results are equal.
    pub(crate) fn apply(&self, value: f64, low: f64, high: f64) -> f64 {
        let range = high - low;
        let (center, width) = match self.function {
            WindowFunction::Sigmoid => {
                return range / (1.0 + (-4.0 * (value - self.center) / self.width).exp()) + low;
            }
            WindowFunction::Linear => (self.center - 0.5, self.width - 1.0),
            WindowFunction::LinearExact => (self.center, self.width),
        };
        if value <= center - width / 2.0 {
            low
        } else if value > center + width / 2.0 {
            high
        } else {
            ((value - center) / width + 0.5) * range + low
        }
    }
}

/// Which window or look-up table to apply.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Voi {
    /// The file's first VOI LUT, else its first window, else none: pydicom's `apply_voi_lut`.
    #[default]
    Default,
    /// The file's first window, even if it has LUTs; no windowing if it has no window.
    FirstWindow,
    /// The file's window with this number, counted from 0.
    Window(usize),
    /// The file's VOI LUT with this number, counted from 0.
    Lut(usize),
    /// A window that the caller chose.
    Given(Window),
    /// No window: the range of modality values that the stored bits can hold.
    FullRange,
}

/// A LUT Descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) count: usize,
    /// The input value of the first entry.
    pub(crate) first: f64,
    /// Bits per entry.
    pub(crate) bits: u16,
}

impl Descriptor {
    /// Reads the descriptor `tag`. `signed` says whether the input values are signed.
    pub(crate) fn read(item: &Dataset<'_>, tag: Tag, signed: bool) -> Result<Self> {
        let described = item.get(tag).ok_or_else(|| item.missing(tag))?;
        let unsigned = described.numbers(false)?;
        let [count, first, bits] = <[f64; 3]>::try_from(unsigned)
            .map_err(|numbers| item.invalid(tag, format!("{} values", numbers.len()), "3 values"))?;
        // The first input is signed if the input values are, whether the writer chose US or SS.
        let wrap = |value: f64| value.rem_euclid(65536.0);
        let first = match wrap(first) {
            value if signed && value >= 32768.0 => value - 65536.0,
            value => value,
        };
        // 65,536 entries are written as 0.
        let count = if wrap(count) == 0.0 { 65536 } else { wrap(count) as usize };
        if !(1.0..=16.0).contains(&bits) {
            return Err(item.invalid(tag, format!("entries of {bits} bits"), "1 to 16 bits"));
        }
        Ok(Self { count, first, bits: bits as u16 })
    }
}

/// A look-up table: modality, VOI or one colour of a palette.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lut {
    /// The input value of the first entry. Smaller inputs get the first entry too; inputs beyond the last entry get the last.
    pub(crate) first: f64,
    pub(crate) entries: Vec<u16>,
    /// Bits per entry.
    pub(crate) bits: u16,
}

impl Lut {
    /// Reads a LUT Descriptor and its data. `signed` says whether the input values are signed.
    pub(crate) fn read(item: &Dataset<'_>, descriptor: Tag, data: Tag, signed: bool) -> Result<Self> {
        let head = Descriptor::read(item, descriptor, signed)?;
        let element = item.get(data).ok_or_else(|| item.missing(data))?;
        let bytes = element.bytes();
        let bytewise = element.vr() == VR::OB || (head.bits <= 8 && bytes.len() < 2 * head.count);
        let entries: Vec<u16> = if bytewise {
            bytes.iter().take(head.count).map(|&byte| u16::from(byte)).collect()
        } else {
            dataset::words(bytes, element.big_endian()).take(head.count).collect()
        };
        if entries.len() < head.count {
            return Err(item.invalid(data, format!("{} entries", entries.len()), format!("{} entries", head.count)));
        }
        Ok(Self { first: head.first, entries, bits: head.bits })
    }

    pub(crate) fn apply(&self, value: f64) -> u16 {
        // pydicom truncates fractional values before the look-up; NaN gets the first entry.
        let index = (value - self.first).trunc().clamp(0.0, self.entries.len() as f64 - 1.0);
        self.entries.get(index as usize).copied().unwrap_or(0)
    }

    /// The largest value that an entry can have.
    pub(crate) fn top(&self) -> f64 {
        f64::from((1_u32 << self.bits) - 1)
    }
}

/// Windows of one data set: centres and widths in pairs, one function for all. A window without its centre or its width, or whose
/// numbers are none, is not valid: that keeps nobody from the pixels.
pub(crate) fn windows(dataset: &Dataset<'_>) -> Result<Vec<Window>> {
    let numbers = |tag| dataset.numbers(tag).unwrap_or_else(|_| Some(vec![f64::NAN])).unwrap_or_default();
    let (centers, widths) = (numbers(tags::WINDOW_CENTER), numbers(tags::WINDOW_WIDTH));
    let count = centers.len().max(widths.len());
    let function = match dataset.text(tags::VOILUT_FUNCTION) {
        None | Some("LINEAR") => WindowFunction::Linear,
        Some("LINEAR_EXACT") => WindowFunction::LinearExact,
        Some("SIGMOID") => WindowFunction::Sigmoid,
        Some(_) => {
            return Err(dataset.invalid(tags::VOILUT_FUNCTION, "an unknown term", "LINEAR, LINEAR_EXACT or SIGMOID"));
        }
    };
    let at = |numbers: &[f64], index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
    Ok((0..count).map(|index| Window { center: at(&centers, index), width: at(&widths, index), function }).collect())
}

/// The first stage, which is applied to stored values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Modality {
    /// slope * stored + intercept; `stated` says whether the file states them.
    Rescale {
        slope: f64,
        intercept: f64,
        stated: bool,
    },
    Lut(Lut),
}

impl Modality {
    pub(crate) fn apply(&self, stored: f64) -> f64 {
        match self {
            Self::Rescale { stated: false, .. } => stored,
            Self::Rescale { slope, intercept, .. } => stored * slope + intercept,
            Self::Lut(lut) => f64::from(lut.apply(stored)),
        }
    }

    /// The modality values of the smallest and the largest stored value, which pydicom uses as the output range of a window.
    pub(crate) fn range(&self, bits_stored: u16, signed: bool) -> (f64, f64) {
        if let Self::Lut(lut) = self {
            return (0.0, lut.top());
        }
        let values = (u32::from(bits_stored).min(63), signed);
        let (low, high) = match values {
            (bits, false) => (0.0, (1_u64 << bits) as f64 - 1.0),
            (bits, true) => (-((1_u64 << (bits - 1)) as f64), (1_u64 << (bits - 1)) as f64 - 1.0),
        };
        (self.apply(low), self.apply(high))
    }
}

/// The transformations of a frame's values: read once per frame, applied to every pixel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipeline {
    pub(crate) modality: Modality,
    pub(crate) windows: Vec<Window>,
    pub(crate) luts: Vec<Lut>,
}

/// The stage that a [`Voi`] selects, with its values from the file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage<'a> {
    Window(Window),
    Lut(&'a Lut),
    None,
}

impl Pipeline {
    /// The window or table that `voi` selects.
    pub(crate) fn stage(&self, voi: &Voi, path: &std::path::Path) -> Result<Stage<'_>> {
        let absent = |what, asked: usize, count: usize| Error::OutOfRange {
            path: path.to_path_buf(),
            what,
            asked: asked as u64,
            count: count as u64,
        };
        let stage = match *voi {
            Voi::Default => match (self.luts.first(), self.windows.first()) {
                (Some(lut), _) => Stage::Lut(lut),
                (None, Some(window)) => Stage::Window(*window),
                (None, None) => Stage::None,
            },
            Voi::FirstWindow => self.windows.first().map_or(Stage::None, |window| Stage::Window(*window)),
            Voi::Window(index) => {
                let window = self.windows.get(index);
                Stage::Window(*window.ok_or_else(|| absent("window", index, self.windows.len()))?)
            }
            Voi::Lut(index) => {
                Stage::Lut(self.luts.get(index).ok_or_else(|| absent("VOI LUT", index, self.luts.len()))?)
            }
            Voi::Given(window) => Stage::Window(window),
            Voi::FullRange => Stage::None,
        };
        match stage {
            Stage::Window(window) if !window.is_valid() => Err(Error::Invalid {
                path: path.to_path_buf(),
                what: "the window".into(),
                found: format!("the centre {} and the width {}", window.center, window.width),
                expected: "two numbers, and a width of at least 1 for LINEAR, above 0 for the others".into(),
            }),
            stage => Ok(stage),
        }
    }
}
