//! Tests two extensions of the paper's loop: a guider that is evaluated less often, and noise on model_y's condition.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{difference, paper_schedule, tensor, values};
use pig_diffusion::{
    condition_noise::NoisyCondition,
    denoiser::Denoiser,
    guide::{Guide, PredictedX0},
    guide_every::GuideEvery,
    noise::{NoiseSource, Stream},
    pair::algorithm_2,
    prediction::PredictionType,
    schedule::Schedule,
    step::Ddim,
    timesteps::Timesteps,
};
use std::cell::RefCell;

const DIMS: [usize; 4] = [2, 3, 3, 1];
const COUNT: usize = 18;
/// At these timesteps alpha_bar is 0.03, 0.23, 0.5, 0.74, 0.93, 0.99, 0.999.
const KEPT: [usize; 7] = [600, 380, 258, 170, 80, 20, 5];

/// A network that returns x_0-hat and records the timestep and the guide of each call.
struct Asked<'a>(&'a RefCell<Vec<(usize, Vec<f64>)>>);

impl Denoiser for Asked<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.0.borrow_mut().push((t[0], values(guide)));
        noisy.clone().mul_scalar(0.3) + guide.clone().mul_scalar(0.5) + t[0] as f64 * 1e-3
    }

    fn prediction_type(&self) -> PredictionType {
        PredictionType::Sample
    }
}

fn start(phase: f64) -> Tensor<4> {
    let wave: Vec<f64> = (0..COUNT).map(|i| (phase + 0.9 * i as f64).sin()).collect();
    tensor(&wave, DIMS, DType::F64)
}

/// The timesteps at which each network was evaluated, and the generated pair.
struct Run {
    x: Vec<usize>,
    y: Vec<usize>,
    /// The condition of model_y in each turn.
    told: Vec<Vec<f64>>,
    pair: (Vec<f64>, Vec<f64>),
}

fn run<D: Denoiser>(guider: impl Fn(Asked<'static>) -> D, guide: &impl Guide) -> Run {
    // Leaked, so that the guider can keep a network with a static lifetime.
    let (of_x, of_y) = (&*Box::leak(Box::default()), RefCell::default());
    let schedule = paper_schedule();
    let ddim = |stream| {
        let noise = (NoiseSource::new(0, vec![0, 1], &Device::flex()).with_dtype(DType::F64), stream);
        Ddim { schedule: &schedule, eta: 0.0, set_alpha_to_one: true, noise }
    };
    let (x_0, y_0) = algorithm_2(
        &guider(Asked(of_x)),
        &Asked(&of_y),
        &schedule,
        &Timesteps::from_kept(&KEPT),
        guide,
        (&mut ddim(Stream::X), &mut ddim(Stream::Y)),
        (start(0.1), start(2.0)),
        &mut |_| {},
    );
    let at = |asked: &RefCell<Vec<(usize, Vec<f64>)>>| asked.borrow().iter().map(|asked| asked.0).collect();
    Run {
        x: at(of_x),
        y: at(&of_y),
        told: of_y.borrow().iter().map(|asked| asked.1.clone()).collect(),
        pair: (values(&x_0), values(&y_0)),
    }
}

#[test]
fn a_guider_asked_every_time_changes_no_bit() {
    let plain = run(|network| network, &PredictedX0);
    for guider in [run(|network| GuideEvery::new(network, 1, 0.0), &PredictedX0), {
        // No timestep has alpha_bar = 1, so the guider is always evaluated.
        run(|network| GuideEvery::new(network, 3, 1.0), &PredictedX0)
    }] {
        assert!(guider.pair == plain.pair && guider.told == plain.told && guider.x == plain.x);
    }
}

#[test]
fn between_looks_the_mask_stays_and_model_y_is_still_asked() {
    let sparse = run(|network| GuideEvery::new(network, 3, 0.45), &PredictedX0);
    assert_eq!(sparse.x, [600, 380, 258, 20]);
    assert_eq!(sparse.y, KEPT);
    assert_eq!(sparse.told[2], sparse.told[3]);
    assert_eq!(sparse.told[2], sparse.told[4]);
    assert_ne!(sparse.told[4], sparse.told[5]);
    assert_eq!(sparse.told[5], sparse.told[6]);
    // The chain ends at the last x_0-hat, which was reused.
    assert!(difference(&sparse.pair.0, &sparse.told[6]) < 1e-12);
    let plain = run(|network| network, &PredictedX0);
    assert!(difference(&sparse.pair.1, &plain.pair.1) > 1e-3);
}

#[test]
fn noise_on_the_condition_is_equation_9_with_one_noise() {
    let schedule: &Schedule = &paper_schedule();
    let eps = start(5.0);
    let noisy = |t| NoisyCondition { guide: PredictedX0, schedule, t, eps: eps.clone() };
    let plain = run(|network| network, &PredictedX0);
    assert!(run(|network| network, &noisy(0)).pair == plain.pair, "level 0 adds none");
    let told = run(|network| network, &noisy(200)).told;
    let a = schedule.alpha_bar(200);
    // At the first turn both runs have the same x_0-hat.
    let wanted: Vec<f64> =
        plain.told[0].iter().zip(values(&eps)).map(|(x, e)| a.sqrt() * x + (1.0 - a).sqrt() * e).collect();
    assert!(difference(&told[0], &wanted) < 1e-14);
    // In the last turns x_0-hat hardly changes. The conditions hardly change either, so the noise is the same.
    let step = difference(&told[5], &told[6]);
    assert!(step < 0.3 && difference(&told[6], &plain.told[6]) > 0.3, "{step}");
}
