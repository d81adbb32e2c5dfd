//! A prediction shown on its picture, in panels: the picture alone, with the true outline, with the predicted outline, and
//! with both.

use crate::ReportError;
use crate::canvas::Canvas;
use crate::contact_sheet::{ClassColour, GROUND, INK, SPACE, comfortable_scale, draw_legend, legend_size, outlines};
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
    /// The true label map, row-major, if it is known: 0 is no lesion, the others are those of the classes.
    pub truth: Option<Vec<u8>>,
    /// The predicted label map.
    pub prediction: Vec<u8>,
    /// The text under the image.
    pub label: String,
    /// The classes of lesion, with a legend; without any, all lesions are one.
    pub classes: Vec<ClassColour>,
}

/// Draws the panels side by side: the image, the truth, the prediction, and both. Without a known truth, only the image and the
/// prediction. Of several classes there is no panel with both, since their colours tell classes apart.
pub fn overlay(shown: &Overlay) -> Result<Canvas, ReportError> {
    let (width, height) = (shown.image.width(), shown.image.height());
    for mask in shown.truth.iter().chain([&shown.prediction]) {
        if mask.len() != width * height {
            let (label, found, expected) = (shown.label.clone(), mask.len(), width * height);
            return Err(ReportError::MaskShape { label, found, expected });
        }
    }
    let drawn = |labels: &[u8], one| outlines(labels, &shown.classes, one).collect::<Vec<_>>();
    let truth = shown.truth.as_ref().map(|labels| drawn(labels, TRUTH));
    let prediction = drawn(&shown.prediction, PREDICTION);
    let both = truth.clone().filter(|_| shown.classes.is_empty()).map(|truth| [truth, prediction.clone()].concat());
    let mut panels = vec![(shown.label.as_str(), Vec::new())];
    panels.extend(truth.map(|truth| ("truth", truth)));
    panels.push(("predicted", prediction));
    panels.extend(both.map(|both| ("both", both)));
    let scale = comfortable_scale(width, height);
    let step = width * scale + SPACE;
    let (legend, bottom) = (legend_size(&shown.classes), height * scale + 2 * SPACE + TextSize::Label.line());
    let mut canvas = Canvas::new((SPACE + panels.len() * step).max(SPACE + legend.0), bottom + legend.1, GROUND);
    for (index, (label, outlines)) in panels.into_iter().enumerate() {
        let at = (SPACE + index * step, SPACE);
        canvas.picture(at, &shown.image, scale);
        for (mask, colour) in outlines {
            canvas.outline(at, &mask, width, scale, colour);
        }
        let label = TextSize::Label.fitted(label, width * scale);
        canvas.text((at.0, at.1 + height * scale), &label, TextSize::Label, INK);
    }
    draw_legend(&mut canvas, (SPACE, bottom), &shown.classes);
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(truth: bool) -> Overlay {
        let square = |from: usize| {
            (0..64).map(|i| u8::from((from..from + 3).contains(&(i % 8)) && (2..5).contains(&(i / 8)))).collect()
        };
        Overlay {
            image: Picture::from_bytes(&[90; 64], 8, 8, 1).unwrap(),
            truth: truth.then(|| square(1)),
            prediction: square(4),
            label: "case".to_owned(),
            classes: Vec::new(),
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
