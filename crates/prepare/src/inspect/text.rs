//! Searches for possible burnt-in text: rows of small, equally high marks, like letters. Two kinds of marks are searched: bright and
//! sharp ones on dark ground, and ones that are only whiter than what is around them, as an endoscope writes on tissue.
//!
//! The result is a hint for a person and proves nothing: text that is dark, slanted or joined is not found.

use pig_metrics::components::{Connectivity, components};

/// Letters on dark ground are at least as bright as this share of the image's brightest pixel.
const BRIGHT: f32 = 0.85;

/// Letters on tissue are whiter than the mean around them by this share of the range.
const WHITER: f32 = 0.1;

/// The mean around a pixel is that of a square which reaches this far: the image's shorter side divided by this, at least so many pixels.
const AROUND_SHARE: usize = 40;
const LEAST_AROUND: usize = 4;

/// The least height of letters in pixels, and the greatest: the image's height divided by this.
const LEAST_HEIGHT: usize = 6;
const GREATEST_SHARE: usize = 12;

/// The least height of letters on tissue, whose rows are judged more strictly.
const LEAST_HEIGHT_ON_TISSUE: usize = 5;

/// How many letters in a row make a word.
const LETTERS: usize = 4;

/// The box around a component.
#[derive(Debug, Clone, Copy)]
struct Letter {
    top: usize,
    left: usize,
    bottom: usize,
    right: usize,
    area: usize,
}

impl Letter {
    fn height(&self) -> usize {
        self.bottom - self.top + 1
    }

    fn width(&self) -> usize {
        self.right - self.left + 1
    }

    /// The share of its box that it fills.
    fn filled(&self) -> f64 {
        self.area as f64 / (self.height() * self.width()) as f64
    }

    /// Whether it is as high, as narrow and as full as a letter can be.
    fn has_shape(&self, least: usize, size: [usize; 2]) -> bool {
        (least..=(size[0] / GREATEST_SHARE).max(LEAST_HEIGHT)).contains(&self.height())
            && self.width() <= 2 * self.height()
            && self.filled() >= 0.15
    }
}

/// The number of letters in the longest row of letters, in a picture of shape (height, width, channels) with values from 0 to 1; 0 if
/// there is no row of at least four. Of a picture in colour, a pixel counts as the least of its channels, because letters are white and
/// tissue is not.
pub fn longest_word(values: &[f32], size: [usize; 2], channels: usize) -> usize {
    let white: Vec<f32> =
        values.chunks_exact(channels).map(|pixel| pixel.iter().copied().fold(f32::INFINITY, f32::min)).collect();
    let longest =
        longest_row(&bright_letters(&white, size), on_one_line).max(longest_row(&white_letters(&white, size), level));
    if longest >= LETTERS { longest } else { 0 }
}

fn longest_row(letters: &[Letter], fits: fn(&Letter, &Letter, &Letter) -> bool) -> usize {
    (0..letters.len()).map(|start| word_length(start, letters, fits)).max().unwrap_or(0)
}

/// Letters on dark ground.
fn bright_letters(values: &[f32], size: [usize; 2]) -> Vec<Letter> {
    let brightest = values.iter().copied().fold(0.0, f32::max);
    let bright: Vec<bool> = values.iter().map(|&value| value >= BRIGHT * brightest && brightest > 0.0).collect();
    let mut letters = marks(&bright, size);
    letters.retain(|letter| {
        letter.has_shape(LEAST_HEIGHT, size) && letter.filled() < 0.95 && is_sharp(letter, values, size)
    });
    letters
}

/// Letters on tissue.
fn white_letters(values: &[f32], size: [usize; 2]) -> Vec<Letter> {
    let around = means(values, size, (size[0].min(size[1]) / AROUND_SHARE).max(LEAST_AROUND));
    let white: Vec<bool> = values.iter().zip(around).map(|(&value, mean)| value - mean > WHITER).collect();
    let mut letters = marks(&white, size);
    letters.retain(|letter| letter.has_shape(LEAST_HEIGHT_ON_TISSUE, size) && letter.filled() < 0.98);
    letters
}

/// The mean of the square around each pixel that reaches `reach` pixels in each direction, or to the border.
fn means(values: &[f32], [height, width]: [usize; 2], reach: usize) -> Vec<f32> {
    // Sums of all pixels above and to the left, with a first row and column of zeros.
    let mut sums = vec![0.0_f64; (height + 1) * (width + 1)];
    for row in 0..height {
        let mut line = 0.0;
        for column in 0..width {
            line += f64::from(values[row * width + column]);
            sums[(row + 1) * (width + 1) + column + 1] = sums[row * (width + 1) + column + 1] + line;
        }
    }
    let at = |row: usize, column: usize| sums[row * (width + 1) + column];
    let mean = |index: usize| {
        let (row, column) = (index / width, index % width);
        let (top, left) = (row.saturating_sub(reach), column.saturating_sub(reach));
        let (bottom, right) = ((row + reach + 1).min(height), (column + reach + 1).min(width));
        let sum = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left);
        (sum / ((bottom - top) * (right - left)) as f64) as f32
    };
    (0..height * width).map(mean).collect()
}

/// The boxes around the components of a mask, sorted from the left.
fn marks(mask: &[bool], size: [usize; 2]) -> Vec<Letter> {
    let found = components(mask, size[0], size[1], Connectivity::Eight);
    let mut boxes: Vec<Letter> = found
        .areas
        .iter()
        .map(|&area| Letter { top: usize::MAX, left: usize::MAX, bottom: 0, right: 0, area })
        .collect();
    for (index, &label) in found.labels.iter().enumerate().filter(|(_, label)| **label != 0) {
        let (row, column) = (index / size[1], index % size[1]);
        let letter = &mut boxes[label as usize - 1];
        letter.top = letter.top.min(row);
        letter.bottom = letter.bottom.max(row);
        letter.left = letter.left.min(column);
        letter.right = letter.right.max(column);
    }
    boxes.sort_by_key(|letter| (letter.left, letter.top));
    boxes
}

/// Whether the pixels around a letter's box are much darker than the letter: text has sharp edges, tissue fades.
fn is_sharp(letter: &Letter, values: &[f32], size: [usize; 2]) -> bool {
    let (top, left) = (letter.top.saturating_sub(2), letter.left.saturating_sub(2));
    let (bottom, right) = ((letter.bottom + 2).min(size[0] - 1), (letter.right + 2).min(size[1] - 1));
    let (mut sum, mut count) = (0.0, 0);
    for row in top..=bottom {
        for column in left..=right {
            let inside = (letter.top..=letter.bottom).contains(&row) && (letter.left..=letter.right).contains(&column);
            if !inside {
                sum += values[row * size[1] + column];
                count += 1;
            }
        }
    }
    count > 0 && sum / (count as f32) < 0.4 * BRIGHT
}

/// Whether a letter is on the line of the one before and about as high as the first of the word.
fn on_one_line(first: &Letter, last: &Letter, letter: &Letter) -> bool {
    letter.bottom.abs_diff(last.bottom) * 5 <= first.height()
        && letter.height().abs_diff(first.height()) * 3 <= first.height()
}

/// Whether a letter begins and ends at the height of the one before and is as high as the first of the word, each within a pixel.
/// Highlights on tissue hardly ever are.
fn level(first: &Letter, last: &Letter, letter: &Letter) -> bool {
    letter.bottom.abs_diff(last.bottom) <= 1
        && letter.top.abs_diff(last.top) <= 1
        && letter.height().abs_diff(first.height()) <= 1
}

/// The length of the word that begins with the letter at `start`: each next letter fits the word and is near the one before. Letters
/// are sorted from the left.
fn word_length(start: usize, letters: &[Letter], fits: fn(&Letter, &Letter, &Letter) -> bool) -> usize {
    let first = letters[start];
    let (mut last, mut count) = (first, 1);
    for letter in &letters[start + 1..] {
        let gap = letter.left.saturating_sub(last.right);
        if gap > first.height() {
            break;
        }
        if letter.left > last.right && fits(&first, &last, letter) {
            last = *letter;
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_report::{Canvas, TextSize};

    fn noise(size: [usize; 2]) -> Vec<f32> {
        (0..size[0] * size[1]).map(|index| 0.3 * ((index * 7919 % 1009) as f32 / 1009.0)).collect()
    }

    #[test]
    fn words_are_found_and_tissue_is_not() {
        let size = [200, 300];
        let mut values = noise(size);
        // A bright round lesion and four specks are not a word.
        for (index, value) in values.iter_mut().enumerate() {
            let (row, column) = (index / 300, index % 300);
            if (row as i32 - 120).pow(2) + (column as i32 - 150).pow(2) < 900 {
                *value = 1.0;
            }
        }
        for speck in 0..4 {
            values[20 * 300 + 40 + speck * 9] = 1.0;
        }
        assert_eq!(longest_word(&values, size, 1), 0);
        let mut canvas = Canvas::new(300, 200, [0; 3]);
        canvas.text((12, 8), "LEFT MLO", TextSize::Title, [255; 3]);
        for (index, value) in values.iter_mut().enumerate() {
            if canvas.pixel(index % 300, index / 300)[0] > 127 {
                *value = 1.0;
            }
        }
        assert!(longest_word(&values, size, 1) >= 4, "{}", longest_word(&values, size, 1));
    }

    #[test]
    fn white_words_on_tissue_are_found_and_highlights_are_not() {
        let size = [240, 240];
        // Bright red tissue with a gradient, on which letters are white, blurred and far from the greatest value.
        let tissue = |index: usize| {
            let shade = 0.1 * (index % 240) as f32 / 240.0 + 0.02 * ((index * 7919 % 1009) as f32 / 1009.0);
            [0.75 + shade, 0.4 + shade, 0.35 + shade]
        };
        let mut canvas = Canvas::new(240, 240, [0; 3]);
        canvas.text((12, 100), "27/02/2012", TextSize::Label, [255; 3]);
        let written = |index: usize| canvas.pixel(index % 240, index / 240)[0] > 127;
        let draw = |is_white: &dyn Fn(usize) -> bool| -> Vec<f32> {
            (0..240 * 240)
                .flat_map(|index| tissue(index).map(|value| if is_white(index) { value.max(0.7) } else { value }))
                .collect()
        };
        let words = draw(&written);
        assert!(longest_word(&words, size, 3) >= 4, "{}", longest_word(&words, size, 3));
        // Round highlights of different sizes at different heights.
        let highlights = draw(&|index| {
            let (row, column) = ((index / 240) as i32, (index % 240) as i32);
            (0..9).any(|n| (row - 60 - 13 * (n % 4)).pow(2) + (column - 20 - 22 * n).pow(2) < (2 + n % 3).pow(2) * 3)
        });
        assert_eq!(longest_word(&highlights, size, 3), 0);
    }
}
