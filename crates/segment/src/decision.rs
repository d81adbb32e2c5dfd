//! From a segmenter's probabilities to labels.

use pig_data::classes::Coding;

/// How the probabilities of a segmenter become labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The classes.
    pub coding: Coding,
    /// A threshold for each class; of classes that exclude each other, the first is that of lesion.
    pub thresholds: Vec<f64>,
}

impl Decision {
    /// The decision for so many classes that exclude each other.
    pub fn exclusive(classes: usize, threshold: f64) -> Self {
        Self { coding: Coding::exclusive(classes), thresholds: vec![threshold; classes] }
    }

    /// The mask of lesion, of whatever class; `probabilities` has a value for each class at each pixel.
    pub fn lesion(&self, probabilities: &[f32]) -> Vec<bool> {
        self.labels(probabilities).into_iter().map(|label| label > 0).collect()
    }

    /// The label map: where the probability of lesion is above the threshold, the most probable class (the first of equal ones), else 0.
    /// Where classes may overlap, every class whose probability is above its threshold.
    pub fn labels(&self, probabilities: &[f32]) -> Vec<u8> {
        let Self { coding, thresholds } = self;
        let each = |pixel: &[f32]| {
            let above =
                pixel.iter().zip(thresholds).enumerate().filter(|(_, (p, threshold))| f64::from(**p) > **threshold);
            above.fold(0, |label, (class, _)| label | coding.label(class))
        };
        let least = vec![f32::NEG_INFINITY; coding.classes];
        let most = |pixel: &[f32]| {
            let sum: f64 = pixel.iter().map(|&p| f64::from(p)).sum();
            if sum > thresholds[0] { coding.labels(pixel, &least)[0] } else { 0 }
        };
        let pixels = probabilities.chunks_exact(coding.classes);
        if coding.overlap { pixels.map(each).collect() } else { pixels.map(most).collect() }
    }
}
