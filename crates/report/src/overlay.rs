//! A prediction shown on its picture, in panels: the picture alone, with the true outline, with the predicted outline, and
//! with both.

use crate::ReportError;
use crate::canvas::Canvas;
use crate::contact_sheet::{GROUND, INK, SPACE, comfortable_scale};
use crate::font::TextSize;
use crate::picture::Picture;

/// The colour of true outlines: blue, which colour-blind readers can also distinguish from the orange of predictions.
const TRUTH: [u8; 3] = [86, 180, 233];
/// The colour of predicted outlines.
const PREDICTION: [u8; 3] = [255, 153, 0];

/// A picture with its masks.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The image.
    pub image: Picture,
    /// The true mask, row-major, if it is known.
    pub truth: Option<Vec<bool>>,
    /// The predicted mask.
    pub prediction: Vec<bool>,
    /// The text under the image.
    pub label: String,
}

/// Draws the panels side by side: the image, the truth, the prediction, and both. Without a known truth, only the image and the
/// prediction.
pub fn overlay(shown: &Overlay) -> Result<Canvas, ReportError> {
    let (width, height) = (shown.image.width(), shown.image.height());
    for mask in shown.truth.iter().chain([&shown.prediction]) {
        if mask.len() != width * height {
            let (label, found, expected) = (shown.label.clone(), mask.len(), width * height);
            return Err(ReportError::MaskShape { label, found, expected });
        }
    }
    let truth = shown.truth.as_ref().map(|mask| (mask, TRUTH));
    let prediction = (&shown.prediction, PREDICTION);
    let mut panels = vec![(shown.label.as_str(), Vec::new())];
    panels.extend(truth.map(|truth| ("truth", vec![truth])));
    panels.push(("predicted", vec![prediction]));
    panels.extend(truth.map(|truth| ("both", vec![truth, prediction])));
    let scale = comfortable_scale(width, height);
    let step = width * scale + SPACE;
    let mut canvas =
        Canvas::new(SPACE + panels.len() * step, height * scale + 2 * SPACE + TextSize::Label.line(), GROUND);
    for (index, (label, outlines)) in panels.into_iter().enumerate() {
        let at = (SPACE + index * step, SPACE);
        canvas.picture(at, &shown.image, scale);
        for (mask, colour) in outlines {
            canvas.outline(at, mask, width, scale, colour);
        }
        let label = TextSize::Label.fitted(label, width * scale);
        canvas.text((at.0, at.1 + height * scale), &label, TextSize::Label, INK);
    }
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(truth: bool) -> Overlay {
        let square =
            |from: usize| (0..64).map(|i| (from..from + 3).contains(&(i % 8)) && (2..5).contains(&(i / 8))).collect();
        Overlay {
            image: Picture::from_bytes(&[90; 64], 8, 8, 1).unwrap(),
            truth: truth.then(|| square(1)),
            prediction: square(4),
            label: "case".to_owned(),
        }
    }

    fn colours(canvas: &Canvas, panel: usize) -> [bool; 2] {
        let step = 8 * comfortable_scale(8, 8) + SPACE;
        let has = |colour| {
            let columns = SPACE + panel * step..SPACE + panel * step + step - SPACE;
            columns.into_iter().any(|x| (0..canvas.height()).any(|y| canvas.pixel(x, y) == colour))
        };
        [has(TRUTH), has(PREDICTION)]
    }

    #[test]
    fn each_panel_has_its_outlines() {
        let canvas = overlay(&shown(true)).unwrap();
        let found: Vec<[bool; 2]> = (0..4).map(|panel| colours(&canvas, panel)).collect();
        assert_eq!(found, [[false, false], [true, false], [false, true], [true, true]]);
        let canvas = overlay(&shown(false)).unwrap();
        let found: Vec<[bool; 2]> = (0..2).map(|panel| colours(&canvas, panel)).collect();
        assert_eq!(found, [[false, false], [false, true]]);
    }

    #[test]
    fn masks_of_another_size_are_refused() {
        let mut wrong = shown(true);
        wrong.prediction.pop();
        assert!(matches!(overlay(&wrong), Err(ReportError::MaskShape { found: 63, expected: 64, .. })));
    }
}
