//! Progress strips, the rows of the paper's Fig. 3: what the two networks expect the clean mask (x_0-hat) and the clean image
//! (y_0-hat) to be, at spaced steps of the sampling loop.

use crate::ReportError;
use crate::canvas::{CHARACTER, Canvas};
use crate::contact_sheet::{GROUND, INK, SPACE, comfortable_scale};
use crate::picture::Picture;

/// Strips are enlarged no further than this width.
const COMFORTABLE_WIDTH: usize = 1280;
/// Characters for which room is kept at the left: the sample's label, "mask" and "image".
const GUTTER: usize = 9;

/// Expectations at one step.
#[derive(Debug, Clone)]
pub struct StripStep {
    /// Timestep, 1-based as in the paper.
    pub t: usize,
    /// x_0-hat: the expected mask.
    pub mask: Picture,
    /// y_0-hat: the expected image.
    pub image: Picture,
}

/// Steps of one sample, from noise to result.
#[derive(Debug, Clone)]
pub struct Strip {
    /// Such as "seed 17".
    pub label: String,
    /// In sampling order, from the largest t down.
    pub steps: Vec<StripStep>,
}

/// Draws two rows a sample, masks above images, each step labelled with its t. `scale` of `None` enlarges small pictures
/// to a comfortable size.
pub fn progress_strips(strips: &[Strip], scale: Option<usize>) -> Result<Canvas, ReportError> {
    let pictures = || strips.iter().flat_map(|strip| &strip.steps).flat_map(|step| [&step.mask, &step.image]);
    let widest = pictures().map(Picture::width).max().filter(|&width| width > 0);
    let widest = widest.ok_or(ReportError::Empty { what: "progress strips" })?;
    let highest = pictures().map(Picture::height).max().unwrap_or(0);
    let steps = strips.iter().map(|strip| strip.steps.len()).max().unwrap_or(0);
    let fitting = (COMFORTABLE_WIDTH - GUTTER * CHARACTER) / (steps * widest);
    let scale = scale.unwrap_or_else(|| comfortable_scale(widest, highest).min(fitting)).max(1);
    let longest = strips.iter().flat_map(|strip| &strip.steps).map(|step| step_label(step).len()).max().unwrap_or(1);
    // Labels are enlarged with the pictures as far as they fit above them.
    let label_scale = (widest * scale / (longest * CHARACTER)).clamp(1, 2);
    let character = CHARACTER * label_scale;
    let gutter = GUTTER * character;
    let cell = (widest * scale).max(longest * character) + SPACE / 2;
    let row = highest * scale;
    let strip_height = character + SPACE / 2 + 2 * row + SPACE / 2 + SPACE * 2;
    let mut canvas = Canvas::new(gutter + steps * cell + SPACE, SPACE + strips.len() * strip_height, GROUND);
    for (index, strip) in strips.iter().enumerate() {
        let y = SPACE + index * strip_height;
        let masks = y + character + SPACE / 2;
        let images = masks + row + SPACE / 2;
        let middle = row.saturating_sub(character) / 2;
        let fitting: String = strip.label.chars().take(GUTTER - 1).collect();
        canvas.text((SPACE, y), &fitting, label_scale, INK);
        canvas.text((SPACE, masks + middle), "mask", label_scale, INK);
        canvas.text((SPACE, images + middle), "image", label_scale, INK);
        for (column, step) in strip.steps.iter().enumerate() {
            let x = gutter + column * cell;
            canvas.text((x, y), &step_label(step), label_scale, INK);
            canvas.picture((x, masks), &step.mask, scale);
            canvas.picture((x, images), &step.image, scale);
        }
    }
    Ok(canvas)
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
        // Five cells of 64 + 4; each strip is 8 + 4 + 64 + 4 + 64 + 16 high.
        assert_eq!((canvas.width(), canvas.height()), (72 + 5 * 68 + 8, 8 + 2 * 160));
        for i in 0..5 {
            let x = 72 + i * 68 + 30;
            assert_eq!(canvas.pixel(x, 8 + 12 + 30), [50 + i as u8; 3]);
            assert_eq!(canvas.pixel(x, 8 + 12 + 64 + 4 + 30), [150 + i as u8; 3]);
        }
        // The shorter strip leaves its last cells empty.
        assert_eq!(canvas.pixel(72 + 4 * 68 + 30, 8 + 160 + 12 + 30), GROUND);
    }

    #[test]
    fn labels_keep_their_room_over_small_pictures() {
        let canvas = progress_strips(&[strip(4, 3)], Some(1)).unwrap();
        // "t=1024" is 48 pixels wide.
        assert_eq!(canvas.width(), 72 + 4 * 52 + 8);
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        assert!(matches!(progress_strips(&[], None), Err(ReportError::Empty { .. })));
        assert!(progress_strips(&[Strip { label: "x".into(), steps: Vec::new() }], None).is_err());
    }
}
