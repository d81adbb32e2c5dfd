//! Small pictures for display, in 8-bit RGB.

use crate::ReportError;

/// The colour of NaN values, so that a diverged sample is visible and not mistaken for black.
const NOT_A_NUMBER: [u8; 3] = [255, 0, 255];

/// A picture in 8-bit RGB, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A picture of 8-bit values, row-major, channels last; `channels` is 1 (gray) or 3 (RGB).
    pub fn from_bytes(values: &[u8], height: usize, width: usize, channels: usize) -> Result<Self, ReportError> {
        Self::new(values, height, width, channels, |v| Some(*v))
    }

    /// A picture of real values: `range.0` and below is black, `range.1` and above is white, NaN is magenta.
    /// Row-major, channels last; `channels` is 1 (gray) or 3 (RGB). Network outputs have the range (-1, 1).
    pub fn from_values(
        values: &[f32],
        height: usize,
        width: usize,
        channels: usize,
        range: (f32, f32),
    ) -> Result<Self, ReportError> {
        let byte = |v: &f32| {
            let unit = (v - range.0) / (range.1 - range.0);
            (!unit.is_nan()).then(|| (unit.clamp(0.0, 1.0) * 255.0).round() as u8)
        };
        Self::new(values, height, width, channels, byte)
    }

    /// A mask in black and white.
    pub fn from_mask(mask: &[bool], height: usize, width: usize) -> Result<Self, ReportError> {
        Self::new(mask, height, width, 1, |inside| Some(if *inside { 255 } else { 0 }))
    }

    fn new<T>(
        values: &[T],
        height: usize,
        width: usize,
        channels: usize,
        byte: impl Fn(&T) -> Option<u8>,
    ) -> Result<Self, ReportError> {
        let expected = height * width * channels;
        if values.len() != expected || !matches!(channels, 1 | 3) {
            return Err(ReportError::PictureShape { height, width, channels, found: values.len(), expected });
        }
        let colour = |pixel: &[T]| {
            let channel = |c: usize| byte(&pixel[c * (channels / 2)]);
            Some([channel(0)?, channel(1)?, channel(2)?])
        };
        let pixels = values.chunks_exact(channels).map(|pixel| colour(pixel).unwrap_or(NOT_A_NUMBER)).collect();
        Ok(Self { width, height, pixels })
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// RGB of the pixel in `row`, `column`.
    #[must_use]
    pub fn pixel(&self, row: usize, column: usize) -> [u8; 3] {
        self.pixels[row * self.width + column]
    }

    /// The picture mirrored left to right.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let rows = self.pixels.chunks(self.width.max(1));
        Self { pixels: rows.flat_map(|row| row.iter().rev().copied()).collect(), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_map_to_the_ends_of_the_range() {
        let values = [-1.0, 0.0, 1.0, -7.0, 7.0, f32::NAN];
        let picture = Picture::from_values(&values, 2, 3, 1, (-1.0, 1.0)).unwrap();
        assert_eq!(picture.pixel(0, 0), [0; 3]);
        assert_eq!(picture.pixel(0, 1), [128; 3]);
        assert_eq!(picture.pixel(0, 2), [255; 3]);
        assert_eq!(picture.pixel(1, 0), [0; 3]);
        assert_eq!(picture.pixel(1, 1), [255; 3]);
        assert_eq!(picture.pixel(1, 2), NOT_A_NUMBER);
    }

    #[test]
    fn colour_is_channels_last_and_mirrors_by_pixel() {
        let picture = Picture::from_bytes(&[1, 2, 3, 4, 5, 6], 1, 2, 3).unwrap();
        assert_eq!((picture.pixel(0, 0), picture.pixel(0, 1)), ([1, 2, 3], [4, 5, 6]));
        let mirrored = picture.mirrored();
        assert_eq!((mirrored.pixel(0, 0), mirrored.pixel(0, 1)), ([4, 5, 6], [1, 2, 3]));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let error = Picture::from_bytes(&[0; 5], 2, 3, 1).unwrap_err().to_string();
        assert!(error.contains("2 x 3 with 1 channel(s) has 5 values, expected 6"), "{error}");
        assert!(Picture::from_bytes(&[0; 12], 2, 3, 2).is_err());
        assert!(Picture::from_mask(&[true; 6], 2, 3).is_ok());
    }
}
