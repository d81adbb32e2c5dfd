//! Searches for possible burnt-in text: rows of small, equally high, bright and sharp components, like letters.
//!
//! The result is a hint for a person and proves nothing: text that is dark, slanted or joined is not found.

use pig_metrics::components::{Connectivity, components};

/// Letters are at least as bright as this share of the image's brightest pixel.
const BRIGHT: f32 = 0.85;

/// The least height of letters in pixels, and the greatest: the image's height divided by this.
const LEAST_HEIGHT: usize = 6;
const GREATEST_SHARE: usize = 12;

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
}

/// The number of letters in the longest row of letters, in a picture of `size` = (height, width) with values from 0 to 1; 0 if
/// there is no row of at least four.
pub fn longest_word(values: &[f32], size: [usize; 2]) -> usize {
    let letters = letters(values, size);
    let longest = (0..letters.len()).map(|start| word_length(start, &letters)).max().unwrap_or(0);
    if longest >= LETTERS { longest } else { 0 }
}

fn letters(values: &[f32], size: [usize; 2]) -> Vec<Letter> {
    let brightest = values.iter().copied().fold(0.0, f32::max);
    let bright: Vec<bool> = values.iter().map(|&value| value >= BRIGHT * brightest && brightest > 0.0).collect();
    let found = components(&bright, size[0], size[1], Connectivity::Eight);
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
    boxes.retain(|letter| {
        let (height, width) = (letter.height(), letter.width());
        let filled = letter.area as f64 / (height * width) as f64;
        (LEAST_HEIGHT..=(size[0] / GREATEST_SHARE).max(LEAST_HEIGHT)).contains(&height)
            && width <= 2 * height
            && (0.15..0.95).contains(&filled)
            && is_sharp(letter, values, size)
    });
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

/// The length of the word that begins with the letter at `start`: each next letter is on the same line and near the one before.
/// Letters are sorted from the left.
fn word_length(start: usize, letters: &[Letter]) -> usize {
    let first = letters[start];
    let (mut last, mut count) = (first, 1);
    for letter in &letters[start + 1..] {
        let gap = letter.left.saturating_sub(last.right);
        if gap > first.height() {
            break;
        }
        let same_line = letter.bottom.abs_diff(last.bottom) * 5 <= first.height();
        let same_height = letter.height().abs_diff(first.height()) * 3 <= first.height();
        if same_line && same_height && letter.left > last.right {
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
        assert_eq!(longest_word(&values, size), 0);
        let mut canvas = Canvas::new(300, 200, [0; 3]);
        canvas.text((12, 8), "LEFT MLO", TextSize::Title, [255; 3]);
        for (index, value) in values.iter_mut().enumerate() {
            if canvas.pixel(index % 300, index / 300)[0] > 127 {
                *value = 1.0;
            }
        }
        assert!(longest_word(&values, size) >= 4, "{}", longest_word(&values, size));
    }
}
