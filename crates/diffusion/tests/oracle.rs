//! A closed-form test of Algorithm 2.
//!
//! Unit-variance Gaussian pairs with correlation rho have exact linear denoisers (the formulas are in
//! `common::GaussianPair`), so the whole loop is a linear map of (x_T, y_T). Running it on (1, 0) and (0, 1) gives this map,
//! and from it the variance of y_0 and the correlation of x_0 and y_0, without sampling error.
//!
//! E[y_0 | x_0, y_t] is affine in x_0, so `xhat`, `clean` and `joint` give the same values here: this tests the loop, not the
//! mode (`recording.rs` and `toy.rs` test the mode).

mod common;

use burn::tensor::{DType, Tensor};
use common::{
    GaussianPair, device,
    linear::{JointLinear, Linear},
    paper_schedule, tensor, values,
};
use pig_device::testing;
use pig_diffusion::{
    guide::{Guide, PredictedX0, PreviousX},
    joint::sample_joint,
    noise::{NoiseSource, Stream},
    pair::algorithm_2,
    prediction::PredictionType,
    schedule::Schedule,
    step::Ddim,
    timesteps::{TimestepSpacing, Timesteps},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Xhat,
    Clean,
    Joint,
}

const MODES: [Mode; 3] = [Mode::Xhat, Mode::Clean, Mode::Joint];

/// The settings of one run.
#[derive(Clone, Copy, Debug)]
struct Case {
    rho: f64,
    steps: usize,
    spacing: TimestepSpacing,
    kind: PredictionType,
    dtype: DType,
}

fn basis(dtype: DType) -> (Tensor<4>, Tensor<4>) {
    (tensor(&[1.0, 0.0], [2, 1, 1, 1], dtype), tensor(&[0.0, 1.0], [2, 1, 1, 1], dtype))
}

fn steppers(schedule: &Schedule, dtype: DType) -> (Ddim<'_>, Ddim<'_>) {
    let noise = NoiseSource::new(0, vec![0, 1], &device(dtype)).with_dtype(dtype);
    let step = |stream| Ddim { schedule, eta: 0.0, set_alpha_to_one: true, noise: (noise.clone(), stream) };
    (step(Stream::X), step(Stream::Y))
}

/// (variance of y_0, correlation of x_0 and y_0) for standard normal (x_T, y_T), from the results for the basis vectors.
fn moments(x_0: &Tensor<4>, y_0: &Tensor<4>) -> (f64, f64) {
    let (x, y) = (values(x_0), values(y_0));
    let dot = |a: &[f64], b: &[f64]| a[0] * b[0] + a[1] * b[1];
    (dot(&y, &y), dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt())
}

fn run_pair(case: Case, clean: bool, guide: &impl Guide) -> (f64, f64) {
    let schedule = paper_schedule();
    let pair = GaussianPair { rho: case.rho };
    let kind = case.kind;
    let model_x = Linear { schedule: &schedule, kind, coefficients: |a| pair.clean_given_noisy(a) };
    let coefficients = |a| if clean { pair.clean_given_clean(a) } else { pair.clean_given_estimate(a) };
    let model_y = Linear { schedule: &schedule, kind, coefficients };
    let timesteps = Timesteps::new(1024, case.steps, case.spacing).unwrap();
    let (mut step_x, mut step_y) = steppers(&schedule, case.dtype);
    let mut turns = 0;
    let (x_0, y_0) = algorithm_2(
        &model_x,
        &model_y,
        &schedule,
        &timesteps,
        guide,
        (&mut step_x, &mut step_y),
        basis(case.dtype),
        &mut |_| turns += 1,
    );
    assert_eq!(turns, case.steps);
    moments(&x_0, &y_0)
}

fn run_joint(case: Case) -> (f64, f64) {
    let schedule = paper_schedule();
    let model = JointLinear { schedule: &schedule, kind: case.kind, pair: GaussianPair { rho: case.rho } };
    let timesteps = Timesteps::new(1024, case.steps, case.spacing).unwrap();
    let (mut step_x, mut step_y) = steppers(&schedule, case.dtype);
    let steps = (&mut step_x, &mut step_y);
    let (x_0, y_0) = sample_joint(&model, &schedule, &timesteps, steps, basis(case.dtype), false, &mut |_| {});
    moments(&x_0, &y_0)
}

fn run(mode: Mode, case: Case) -> (f64, f64) {
    match mode {
        Mode::Xhat => run_pair(case, false, &PredictedX0),
        Mode::Clean => run_pair(case, true, &PredictedX0),
        Mode::Joint => run_joint(case),
    }
}

/// (rho, steps, spacing, variance of y_0, correlation), computed outside this project as products of 2x2 matrices.
const EXPECTED: [(f64, usize, TimestepSpacing, f64, f64); 5] = [
    (0.5, 1024, TimestepSpacing::Trailing, 0.996_312_27, 0.500_433_33),
    (0.5, 256, TimestepSpacing::Trailing, 0.985_455_30, 0.501_716_73),
    (0.5, 256, TimestepSpacing::Leading, 0.985_653_44, 0.501_615_38),
    (0.9, 256, TimestepSpacing::Trailing, 0.985_997_06, 0.902_138_34),
    (0.9, 256, TimestepSpacing::Leading, 0.986_192_47, 0.901_960_12),
];

fn check(kind: PredictionType, dtype: DType, tolerance: f64) {
    for (rho, steps, spacing, variance, correlation) in EXPECTED {
        for mode in MODES {
            let found = run(mode, Case { rho, steps, spacing, kind, dtype });
            assert!(
                (found.0 - variance).abs() < tolerance && (found.1 - correlation).abs() < tolerance,
                "{mode:?}, rho {rho}, {steps} {spacing:?} steps, {kind:?}: {found:?}, expected {:?}",
                (variance, correlation)
            );
        }
    }
}

/// The requirement for f64 is 1e-4; the loops are accurate to 1e-7.
#[test]
fn loops_are_the_closed_form_in_f64() {
    check(PredictionType::Epsilon, DType::F64, 1e-7);
}

#[test]
fn loops_are_the_closed_form_in_f32() {
    check(PredictionType::Epsilon, DType::F32, testing::tolerance(5e-4));
}

#[test]
fn loops_are_the_closed_form_when_networks_predict_v_or_x_0() {
    check(PredictionType::VPrediction, DType::F64, 1e-7);
    check(PredictionType::Sample, DType::F64, 1e-7);
}

/// This test can fail: the result deviates from the closed form if model_y receives x_{t-1} instead of x_0-hat.
#[test]
fn a_wrong_guide_leaves_the_closed_form() {
    let case = Case {
        rho: 0.5,
        steps: 256,
        spacing: TimestepSpacing::Trailing,
        kind: PredictionType::Epsilon,
        dtype: DType::F64,
    };
    let (variance, correlation) = run_pair(case, false, &PreviousX);
    assert!((correlation - 0.501_716_73).abs() > 0.05, "variance {variance}, correlation {correlation}");
}
