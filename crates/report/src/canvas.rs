//! A canvas of RGB pixels: pictures enlarged without smoothing, mask outlines, labels, PNG.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ReportError;
use crate::font::{SHADES, TextSize};
use crate::picture::Picture;

/// The text chunk of every PNG with a generated picture.
pub const SYNTHETIC: (&str, &str) = ("synthetic", "yes");

/// An RGB picture to draw on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// A canvas of one colour.
    #[must_use]
    pub fn new(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, pixels: vec![colour; width * height] }
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

    /// Colour at column `x`, row `y`.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// Fills a rectangle. As in every drawing function, parts outside the canvas are cut off.
    pub fn rectangle(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), colour: [u8; 3]) {
        let (left, right) = (x.min(self.width), (x + width).min(self.width));
        for row in y.min(self.height)..(y + height).min(self.height) {
            self.pixels[row * self.width + left..row * self.width + right].fill(colour);
        }
    }

    /// Draws a picture with its upper left corner at (`x`, `y`); each of its pixels becomes a square of side `scale`.
    pub fn picture(&mut self, (x, y): (usize, usize), picture: &Picture, scale: usize) {
        for row in 0..picture.height() {
            for column in 0..picture.width() {
                let at = (x + column * scale, y + row * scale);
                self.rectangle(at, (scale, scale), picture.pixel(row, column));
            }
        }
    }

    /// Draws the outline of a mask of `width` columns over a picture drawn at the same position and scale.
    ///
    /// The line is `max(1, scale / 6)` pixels thick and runs just outside the mask, so it covers no pixel of the lesion and only
    /// the rim of the enlarged pixels beside it. There is no line where the mask touches the edge of the picture.
    pub fn outline(&mut self, (x, y): (usize, usize), mask: &[bool], width: usize, scale: usize, colour: [u8; 3]) {
        let line = (scale / 6).max(1);
        let height = mask.len() / width.max(1);
        let inside = |row: usize, column: usize| row < height && column < width && mask[row * width + column];
        for row in 0..height {
            for column in (0..width).filter(|&column| !inside(row, column)) {
                let (left, top) = (x + column * scale, y + row * scale);
                for (dr, dc) in (0..3).flat_map(|dr| (0..3).map(move |dc| (dr, dc))) {
                    // Neighbours are at row + dr - 1, column + dc - 1. Below zero the index wraps, and counts as not in the mask.
                    if !inside((row + dr).wrapping_sub(1), (column + dc).wrapping_sub(1)) {
                        continue;
                    }
                    let strip = |d: usize| match d {
                        0 => (0, line),
                        1 => (0, scale),
                        _ => (scale - line, line),
                    };
                    let ((dx, w), (dy, h)) = (strip(dc), strip(dr));
                    self.rectangle((left + dx, top + dy), (w, h), colour);
                }
            }
        }
    }

    /// Writes a line of text with its upper left corner at (`x`, `y`). A character that the font lacks becomes a box.
    pub fn text(&mut self, (x, y): (usize, usize), text: &str, size: TextSize, colour: [u8; 3]) {
        size.draw(text, |column, row, shade| {
            let at = (x.checked_add_signed(column as isize), y.checked_add_signed(row as isize));
            if let (Some(x), Some(y)) = at
                && x < self.width
                && y < self.height
            {
                let pixel = &mut self.pixels[y * self.width + x];
                *pixel = std::array::from_fn(|channel| mixed(pixel[channel], colour[channel], shade));
            }
        });
    }

    /// Encodes the canvas as PNG with text chunks (keyword, text), such as [`SYNTHETIC`].
    /// A canvas with few colours becomes an indexed PNG, a gray canvas a gray PNG.
    pub fn encode_png(&self, text: &[(&str, &str)]) -> Result<Vec<u8>, ReportError> {
        self.encoded(text, png::Compression::High)
    }

    fn encoded(&self, text: &[(&str, &str)], compression: png::Compression) -> Result<Vec<u8>, ReportError> {
        let (colour, palette, data) = self.packed();
        let mut bytes = Vec::new();
        let encode = |bytes: &mut Vec<u8>| {
            let mut encoder = png::Encoder::new(bytes, self.width as u32, self.height as u32);
            encoder.set_color(colour);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.set_compression(compression);
            if let Some(palette) = palette {
                encoder.set_palette(palette);
            }
            for (keyword, value) in text {
                encoder.add_itxt_chunk((*keyword).to_owned(), (*value).to_owned())?;
            }
            let mut writer = encoder.write_header()?;
            writer.write_image_data(&data)?;
            writer.finish()
        };
        match encode(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(ReportError::Png { width: self.width, height: self.height, source }),
        }
    }

    /// Encodes the canvas and writes it, whole or not at all.
    pub fn write_png(&self, path: &Path, text: &[(&str, &str)]) -> Result<(), ReportError> {
        Ok(pig_files::write(path, &self.encode_png(text)?)?)
    }

    /// Like [`Self::write_png`], in a fraction of the time and with a somewhat larger file: for a picture beside each of many others.
    pub fn write_png_quickly(&self, path: &Path, text: &[(&str, &str)]) -> Result<(), ReportError> {
        Ok(pig_files::write(path, &self.encoded(text, png::Compression::Balanced)?)?)
    }

    /// The most compact of gray, indexed and RGB that preserves every pixel.
    fn packed(&self) -> (png::ColorType, Option<Vec<u8>>, Vec<u8>) {
        if self.pixels.iter().all(|[r, g, b]| r == g && g == b) {
            return (png::ColorType::Grayscale, None, self.pixels.iter().map(|pixel| pixel[0]).collect());
        }
        let mut colours: BTreeMap<[u8; 3], u8> = BTreeMap::new();
        for &pixel in &self.pixels {
            colours.insert(pixel, 0);
            if colours.len() > 256 {
                return (png::ColorType::Rgb, None, self.pixels.as_flattened().to_vec());
            }
        }
        for (index, value) in colours.values_mut().enumerate() {
            *value = index as u8;
        }
        let palette = colours.keys().flatten().copied().collect();
        (png::ColorType::Indexed, Some(palette), self.pixels.iter().map(|pixel| colours[pixel]).collect())
    }
}

/// Mixes `ink` and `ground`; the ground is visible if `shade` is below [`SHADES`].
fn mixed(ground: u8, ink: u8, shade: u8) -> u8 {
    let (ground, ink, shade, full) = (u16::from(ground), u16::from(ink), u16::from(shade), u16::from(SHADES));
    ((ground * (full - shade) + ink * shade + full / 2) / full) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: [u8; 3] = [255, 170, 0];

    /// Decodes a PNG to RGB, and its text chunks.
    fn decode(bytes: &[u8]) -> (u32, u32, Vec<u8>, Vec<(String, String)>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        data.truncate(info.buffer_size());
        if info.color_type == png::ColorType::Grayscale {
            data = data.iter().flat_map(|&v| [v; 3]).collect();
        }
        let text = &reader.info().utf8_text;
        let text = text.iter().map(|c| (c.keyword.clone(), c.get_text().unwrap())).collect();
        (info.width, info.height, data, text)
    }

    #[test]
    fn png_keeps_every_pixel_in_gray_indexed_and_rgb() {
        let gray = Picture::from_bytes(&(0..=255).collect::<Vec<u8>>(), 16, 16, 1).unwrap();
        let colours = Picture::from_bytes(&(0..=254).collect::<Vec<u8>>(), 5, 17, 3).unwrap();
        let many: Vec<u8> = (0..32 * 32 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let many = Picture::from_bytes(&many, 32, 32, 3).unwrap();
        for (picture, colour_type) in [(gray, 0), (colours, 3), (many, 2)] {
            let mut canvas = Canvas::new(picture.width() * 2 + 1, picture.height() * 2, [9; 3]);
            canvas.picture((1, 0), &picture, 2);
            for compression in [png::Compression::High, png::Compression::Balanced] {
                let bytes = canvas.encoded(&[SYNTHETIC, ("seed", "7")], compression).unwrap();
                assert_eq!(bytes[25], colour_type, "colour type in IHDR");
                let (width, height, data, text) = decode(&bytes);
                assert_eq!((width as usize, height as usize), (canvas.width(), canvas.height()));
                assert_eq!(data, canvas.pixels.as_flattened());
                let expected = [("synthetic", "yes"), ("seed", "7")].map(|(k, v)| (k.to_owned(), v.to_owned()));
                assert_eq!(text, expected);
            }
        }
    }

    #[test]
    fn each_pixel_becomes_a_square() {
        let picture = Picture::from_bytes(&[10, 20, 30, 40, 50, 60], 2, 3, 1).unwrap();
        let mut canvas = Canvas::new(12, 9, [0; 3]);
        canvas.picture((2, 1), &picture, 3);
        for y in 0..6 {
            for x in 0..9 {
                assert_eq!(canvas.pixel(2 + x, 1 + y), picture.pixel(y / 3, x / 3));
            }
        }
        assert_eq!((canvas.pixel(1, 1), canvas.pixel(2, 0), canvas.pixel(11, 1)), ([0; 3], [0; 3], [0; 3]));
    }

    #[test]
    fn outline_lies_on_the_boundary_and_never_inside() {
        let (height, width) = (9, 11);
        let mask: Vec<bool> = (0..height * width)
            .map(|i| {
                let (r, c) = (i / width, i % width);
                (r as i32 - 4).pow(2) + (c as i32 - 4).pow(2) < 8 || (r == 0 && c > 8) || (r == 7 && c == 9)
            })
            .collect();
        let inside = |r: i32, c: i32| {
            r >= 0 && c >= 0 && r < height as i32 && c < width as i32 && mask[r as usize * width + c as usize]
        };
        for scale in [1_usize, 2, 4, 12] {
            let line = (scale / 6).max(1) as i32;
            let mut canvas = Canvas::new(width * scale, height * scale, [0; 3]);
            canvas.outline((0, 0), &mask, width, scale, LINE);
            let s = scale as i32;
            for y in 0..canvas.height() as i32 {
                for x in 0..canvas.width() as i32 {
                    // A pixel is on the line when it is outside the mask and within `line` of it, by rows and columns.
                    let near = (-line..=line)
                        .any(|dy| (-line..=line).any(|dx| inside((y + dy).div_euclid(s), (x + dx).div_euclid(s))));
                    let expected = near && !inside(y / s, x / s);
                    let drawn = canvas.pixel(x as usize, y as usize) == LINE;
                    assert_eq!(drawn, expected, "scale {scale}, x {x}, y {y}");
                }
            }
        }
    }

    #[test]
    fn text_is_drawn_where_it_is_said_to_be() {
        let written = |text: &str| {
            let mut canvas = Canvas::new(40, 30, [0; 3]);
            canvas.text((4, 2), text, TextSize::Title, LINE);
            canvas
        };
        let canvas = written("I");
        let drawn = |(_, pixel): &(usize, &[u8; 3])| **pixel != [0; 3];
        assert!(canvas.pixels.iter().enumerate().filter(drawn).count() > 20);
        let (width, line) = (TextSize::Title.width("I"), TextSize::Title.line());
        for (index, _) in canvas.pixels.iter().enumerate().filter(drawn) {
            let (x, y) = (index % 40, index / 40);
            assert!((4..4 + width).contains(&x) && (2..2 + line).contains(&y));
        }
        // The font has neither alpha nor the sign for a tree, so both are drawn as its box.
        let unknown = written("\u{3b1}");
        assert_eq!(unknown, written("\u{6728}"));
        assert!(unknown.pixels.iter().enumerate().any(|pixel| drawn(&pixel)) && unknown != written("?"));
    }

    #[test]
    fn drawing_beyond_the_canvas_is_cut_off() {
        let mut canvas = Canvas::new(5, 5, [0; 3]);
        canvas.rectangle((3, 3), (100, 100), LINE);
        canvas.text((4, 0), "WW", TextSize::Title, LINE);
        canvas.rectangle((50, 50), (2, 2), LINE);
        assert_eq!(canvas.pixel(4, 4), LINE);
        assert_eq!(canvas.pixel(2, 4), [0; 3]);
    }
}
