//! Progress strips, like the rows of the paper's Fig. 3: the two networks' estimates of the clean mask (x_0-hat) and of the
//! clean image (y_0-hat) at selected steps of the sampling loop.

use crate::ReportError;
use crate::canvas::Canvas;
use crate::contact_sheet::{GROUND, INK, SPACE, comfortable_scale};
use crate::font::TextSize;
use crate::picture::Picture;

/// Strips are not enlarged beyond this width.
const COMFORTABLE_WIDTH: usize = 1280;
/// The labels of samples, at the left, are cut off at this width.
const WIDEST_LABEL: usize = 160;
/// The names of a sample's rows.
const ROWS: [&str; 2] = ["mask", "image"];

/// The estimates at one step.
#[derive(Debug, Clone)]
pub struct StripStep {
    /// Timestep, 1-based as in the paper.
    pub t: usize,
    /// x_0-hat: the estimated mask.
    pub mask: Picture,
    /// y_0-hat: the estimated image.
    pub image: Picture,
}

/// Steps of one sample, from noise to result.
#[derive(Debug, Clone)]
pub struct Strip {
    /// The label, such as "seed 17".
    pub label: String,
    /// In sampling order, from the largest t down.
    pub steps: Vec<StripStep>,
}

/// Draws two rows per sample, masks above images; each step is labelled with its t. If `scale` is `None`, small pictures are
/// enlarged to a comfortable size.
pub fn progress_strips(strips: &[Strip], scale: Option<usize>) -> Result<Canvas, ReportError> {
    let pictures = || strips.iter().flat_map(|strip| &strip.steps).flat_map(|step| [&step.mask, &step.image]);
    let widest = pictures().map(Picture::width).max().filter(|&width| width > 0);
    let widest = widest.ok_or(ReportError::Empty { what: "progress strips" })?;
    let highest = pictures().map(Picture::height).max().unwrap_or(0);
    let steps = strips.iter().map(|strip| strip.steps.len()).max().unwrap_or(0);
    let fitting = (COMFORTABLE_WIDTH - gutter(strips, TextSize::Label)) / (steps * widest);
    let scale = scale.unwrap_or_else(|| comfortable_scale(widest, highest).min(fitting)).max(1);
    let label_width = |size: TextSize| {
        strips.iter().flat_map(|strip| &strip.steps).map(|step| size.width(&step_label(step))).max().unwrap_or(0)
    };
    // The larger labels are used if they fit above the enlarged pictures.
    let size = if label_width(TextSize::Title) <= widest * scale { TextSize::Title } else { TextSize::Label };
    let gutter = gutter(strips, size);
    let cell = (widest * scale).max(label_width(size)) + SPACE / 2;
    let row = highest * scale;
    let strip_height = size.line() + 2 * (row + SPACE / 2) + SPACE;
    let mut canvas = Canvas::new(gutter + steps * cell + SPACE, SPACE + strips.len() * strip_height, GROUND);
    for (index, strip) in strips.iter().enumerate() {
        let y = SPACE + index * strip_height;
        let tops = [0, 1].map(|index| y + size.line() + index * (row + SPACE / 2));
        canvas.text((SPACE, y), &size.fitted(&strip.label, WIDEST_LABEL), size, INK);
        for (name, top) in ROWS.iter().zip(tops) {
            canvas.text((SPACE, top + row.saturating_sub(size.line()) / 2), name, size, INK);
        }
        for (column, step) in strip.steps.iter().enumerate() {
            let x = gutter + column * cell;
            canvas.text((x, y), &step_label(step), size, INK);
            for (picture, top) in [&step.mask, &step.image].into_iter().zip(tops) {
                canvas.picture((x, top), picture, scale);
            }
        }
    }
    Ok(canvas)
}

/// Width at the left for the labels of samples and rows.
fn gutter(strips: &[Strip], size: TextSize) -> usize {
    let labels = strips.iter().map(|strip| size.width(&strip.label).min(WIDEST_LABEL));
    labels.chain(ROWS.map(|name| size.width(name))).max().unwrap_or(0) + 2 * SPACE
}

fn step_label(step: &StripStep) -> String {
    format!("t={}", step.t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(count: usize, side: usize) -> Strip {
        let picture = |v: u8| Picture::from_bytes(&vec![v; side * side], side, side, 1).unwrap();
        let steps = (0..count).map(|i| StripStep {
            t: 1024 - i * 100,
            mask: picture(50 + i as u8),
            image: picture(150 + i as u8),
        });
        Strip { label: "seed 3".into(), steps: steps.collect() }
    }

    #[test]
    fn masks_stand_above_images_in_order() {
        let canvas = progress_strips(&[strip(5, 32), strip(3, 32)], Some(2)).unwrap();
        // Five cells of 64 + 4; "seed 3" is 56 pixels wide in the size of titles; each strip is 20 + 64 + 4 + 64 + 4 + 8 high.
        assert_eq!((canvas.width(), canvas.height()), (72 + 5 * 68 + 8, 8 + 2 * 164));
        for i in 0..5 {
            let x = 72 + i * 68 + 30;
            assert_eq!(canvas.pixel(x, 8 + 20 + 30), [50 + i as u8; 3]);
            assert_eq!(canvas.pixel(x, 8 + 20 + 64 + 4 + 30), [150 + i as u8; 3]);
        }
        // The shorter strip leaves its last cells empty.
        assert_eq!(canvas.pixel(72 + 4 * 68 + 30, 8 + 164 + 20 + 30), GROUND);
    }

    #[test]
    fn labels_keep_their_room_over_small_pictures() {
        let canvas = progress_strips(&[strip(4, 3)], Some(1)).unwrap();
        // "seed 3" is 37 pixels wide and "t=1024" 42.
        assert_eq!(canvas.width(), 37 + 16 + 4 * (42 + 4) + 8);
    }

    #[test]
    fn long_labels_of_samples_are_cut_and_short_ones_are_whole() {
        let width = |label: &str| {
            let strip = Strip { label: label.into(), ..strip(4, 3) };
            progress_strips(&[strip], Some(1)).unwrap().width()
        };
        assert_eq!(width(&"seed ".repeat(100)), WIDEST_LABEL + 16 + 4 * (42 + 4) + 8);
        assert!(width("seed 1234567") > width("seed 123456"));
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        assert!(matches!(progress_strips(&[], None), Err(ReportError::Empty { .. })));
        assert!(progress_strips(&[Strip { label: "x".into(), steps: Vec::new() }], None).is_err());
    }
}
