//! The optimiser and the moving average in one pass over the parameters.

use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};

/// Settings of one step of Adam or AdamW and of the exponential moving average after it. They are `f64`, because `1 - beta` is
/// computed in `f64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// The step size.
    pub learning_rate: f64,
    /// The decay of the mean of gradients, usually 0.9.
    pub beta1: f64,
    /// The decay of the mean of squared gradients, usually 0.999.
    pub beta2: f64,
    /// The value added to the root of the mean of squares.
    pub eps: f64,
    /// Decoupled weight decay (AdamW): the fraction `learning_rate * weight_decay` of each parameter is subtracted. 0 is Adam.
    pub weight_decay: f64,
    /// The number of this step, starting with 1, for the bias correction.
    pub step: u32,
    /// The factor of every gradient, for example for gradient clipping.
    pub gradient_scale: f64,
    /// The decay of the moving average in this step: `average = decay average + (1 - decay) parameter`.
    pub ema_decay: f64,
}

/// Values per job.
const CHUNK: usize = 1 << 14;

/// Updates a parameter, its two moments and, if given, its moving average; each is read and written once.
///
/// It matches PyTorch's `Adam` and `AdamW` without amsgrad: `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`,
/// `p = p (1 - lr decay) - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)`. The result does not depend on the number of
/// threads.
///
/// # Panics
/// When the lengths differ, or `step` is 0.
pub fn adam(
    level: Level,
    settings: &AdamStep,
    gradient: &[f32],
    parameter: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    average: Option<&mut [f32]>,
) {
    let len = gradient.len();
    assert!(settings.step > 0, "the step number must be at least 1");
    assert!(parameter.len() == len && first.len() == len && second.len() == len, "length of the state");
    assert!(average.as_ref().is_none_or(|average| average.len() == len), "length of the moving average");
    let correction = |beta: f64| 1.0 - beta.powi(settings.step as i32);
    let rate = (settings.learning_rate / correction(settings.beta1)) as f32;
    let root = (1.0 / correction(settings.beta2).sqrt()) as f32;
    let [parameter, first, second] = [parameter, first, second].map(SharedMut::new);
    let average = average.map(SharedMut::new);
    for_each_job(len.div_ceil(CHUNK), 4 * len, |job| {
        let (start, size) = (job * CHUNK, CHUNK.min(len - job * CHUNK));
        // SAFETY: each job has its own chunk of every tensor.
        let [parameter, first, second] = [parameter, first, second].map(|x| unsafe { x.slice(start, size) });
        // SAFETY: as above.
        let average = average.map(|x| unsafe { x.slice(start, size) });
        let gradient = &gradient[start..start + size];
        level.dispatch(Update { settings, rate, root, gradient, parameter, first, second, average });
    });
}

struct Update<'a> {
    settings: &'a AdamStep,
    rate: f32,
    root: f32,
    gradient: &'a [f32],
    parameter: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    average: Option<&'a mut [f32]>,
}

impl Kernel for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let set = self.settings;
        let splat = |x: f64| s.splat(x as f32);
        let (beta1, beta2, rest1, rest2) =
            (splat(set.beta1), splat(set.beta2), splat(1.0 - set.beta1), splat(1.0 - set.beta2));
        let (rate, root, eps) = (s.splat(-self.rate), s.splat(self.root), splat(set.eps));
        let keep = splat(1.0 - set.learning_rate * set.weight_decay);
        let (scale, follow) = (splat(set.gradient_scale), splat(1.0 - set.ema_decay));
        for i in (0..self.gradient.len()).step_by(LANES) {
            let g = s.mul(s.read(&self.gradient[i..]), scale);
            let m = s.fma(s.read(&self.first[i..]), beta1, s.mul(g, rest1));
            let v = s.fma(s.read(&self.second[i..]), beta2, s.mul(s.mul(g, g), rest2));
            let direction = s.div(m, s.fma(s.sqrt(v), root, eps));
            let p = s.fma(direction, rate, s.mul(s.read(&self.parameter[i..]), keep));
            s.write(&mut self.first[i..], m);
            s.write(&mut self.second[i..], v);
            s.write(&mut self.parameter[i..], p);
            if let Some(average) = &mut self.average {
                let a = s.read(&average[i..]);
                s.write(&mut average[i..], s.fma(s.sub(p, a), follow, a));
            }
        }
    }
}
