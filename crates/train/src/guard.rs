//! What a training says of itself when it goes wrong: losses that rise.

use crate::{
    meter::mean,
    observer::{Observer, warn},
    role::Role,
};

/// Validation losses after which a training that only gets worse is told.
const RISES: usize = 3;

/// Images over which training losses are averaged before they are compared. Noise levels are drawn at random, so the loss of one step says
/// little; the mean of so many varies by a few hundredths.
const IMAGES: usize = 800;

/// The fewest steps over which they are averaged.
const LEAST_STEPS: usize = 50;

/// So many times its lowest mean before is a training loss that is told. Two networks that collapsed reached 2.0 and 1.27 times, and those that
/// did not at most 1.16 (docs/APPENDIX.md).
const COLLAPSED: f64 = 1.25;

/// Looks at the losses of a network's training and warns when they rise. It begins anew with each process.
#[derive(Debug)]
pub(crate) struct Guard {
    name: &'static str,
    /// The validation losses of a leg; none if it began in an earlier process.
    validated: Option<Vec<f64>>,
    /// Steps over which training losses are averaged.
    window: usize,
    /// The training losses since the last mean.
    losses: Vec<f32>,
    /// The lowest mean, and the step at its end.
    lowest: Option<(usize, f64)>,
    is_told: bool,
}

impl Guard {
    /// The guard of the network of `role`, which is shown so many images a step; `is_new` at the first step of a leg.
    pub(crate) fn new(role: Role, images_in_step: usize, is_new: bool) -> Self {
        Self {
            name: role.name(),
            validated: is_new.then(Vec::new),
            window: IMAGES.div_ceil(images_in_step.max(1)).max(LEAST_STEPS),
            losses: Vec::new(),
            lowest: None,
            is_told: false,
        }
    }

    /// Takes the training loss of a step, and warns once if the losses have risen far above what they were.
    pub(crate) fn trained(&mut self, step: usize, loss: f32, observer: &dyn Observer) {
        self.losses.push(loss);
        if self.losses.len() < self.window {
            return;
        }
        let mean = mean(&std::mem::take(&mut self.losses));
        match self.lowest {
            Some((at, lowest)) if mean > COLLAPSED * lowest && !self.is_told => {
                self.is_told = true;
                warn(
                    observer,
                    format!(
                        "{}: the training loss was {lowest:.5} in the {} steps before step {at}, and is {mean:.5} in those before step {step}: the \
                         network may have collapsed. Look at its previews; a smaller train.learning_rate or a longer train.warmup_steps may \
                         avoid it",
                        self.name, self.window
                    ),
                );
            }
            Some((_, lowest)) if mean >= lowest => {}
            _ => self.lowest = Some((step, mean)),
        }
    }

    /// Takes a validation loss, and warns of a training that has got worse from its beginning on.
    pub(crate) fn validated(&mut self, loss: f64, observer: &dyn Observer) {
        let Some(losses) = &mut self.validated else { return };
        losses.push(loss);
        if losses.len() == RISES && losses.is_sorted_by(|a, b| a < b) {
            let losses: Vec<String> = losses.iter().map(|loss| format!("{loss:.5}")).collect();
            let advice = "try a smaller train.learning_rate, or look whether training and validating images are alike";
            let losses = losses.join(", ");
            warn(observer, format!("{}: the validation loss has risen from the start ({losses}); {advice}", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Event;
    use std::{iter::repeat_n, sync::Mutex};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
        fn event(&self, event: Event) {
            if let Event::Warning(text) = event {
                self.0.lock().unwrap().push(text);
            }
        }
    }

    /// What a training with these losses, of 8 images a step, is told.
    fn told(losses: impl IntoIterator<Item = f32>) -> Vec<String> {
        let (mut guard, heard) = (Guard::new(Role::ModelX, 8, true), Heard::default());
        for (index, loss) in losses.into_iter().enumerate() {
            guard.trained(index + 1, loss, &heard);
        }
        heard.0.into_inner().unwrap()
    }

    #[test]
    fn a_loss_that_jumps_up_and_stays_there_is_told_once() {
        let collapsed = repeat_n(0.3, 100).chain(repeat_n(0.125, 100)).chain(repeat_n(0.25, 400));
        let text = told(collapsed);
        assert_eq!(text.len(), 1, "{text:?}");
        assert!(
            text[0].starts_with("model_x: the training loss was 0.12500 in the 100 steps before step 200"),
            "{text:?}"
        );
        assert!(text[0].contains("is 0.25000 in those before step 300"), "{text:?}");
    }

    #[test]
    fn a_loss_that_falls_or_varies_is_not_told() {
        assert_eq!(told((0..2000_u16).map(|step| 1.0 / f32::from(step + 1))), [""; 0]);
        // Single steps vary by a factor of 10, as steps of a few noise levels do.
        assert_eq!(told((0..2000_u16).map(|step| if step % 7 == 0 { 1.0 } else { 0.1 })), [""; 0]);
        // A rise by less than a quarter.
        assert_eq!(told(repeat_n(0.1, 100).chain(repeat_n(0.124, 300))), [""; 0]);
    }
}
