//! Tests every sampler on the closed-form pairs of `oracle.rs`, in every loop: deterministic samplers against the exact
//! solution of the probability-flow ODE, stochastic samplers against the exact covariance, both without sampling error. The
//! number of steps is doubled several times, and the error must decrease with the order of the sampler.
//!
//! The levels are evenly spaced in lambda and end at sigma = 1e-4. The last move, to the clean image, is of first order in
//! every sampler; because of the small sigma its error is only about 1e-8.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{
    GaussianPair,
    linear::{JointLinear, Linear},
    tensor, values,
};
use pig_diffusion::{
    guide::PredictedX0,
    joint::sample_joint,
    karras::{Churn, edm_levels},
    level::Level,
    noise::{NoiseSource, Stream},
    pair::algorithm_2,
    prediction::{Estimate, PredictionType},
    schedule::Schedule,
    single::sample_conditional,
    step::{Ddim, DpmSolver, Heun, Step, UniPc, VarianceType, ddpm_step, dpm_solver_sde_step},
    timesteps::{Timesteps, Transition},
};

const T: usize = 1921;
const PAIR: GaussianPair = GaussianPair { rho: 0.8 };
/// The numbers of moves, without the last move to the clean image.
const MOVES: [usize; 4] = [15, 30, 60, 120];

/// lambda decreases from 9.21 at t = 1 to -4 at t = T.
fn schedule() -> Schedule {
    let (most, least) = (1e4_f64.ln(), -4.0);
    let lambda = |t: usize| most + (least - most) * (t - 1) as f64 / (T - 1) as f64;
    let levels: Vec<(usize, f64)> = (1..=T).map(|t| (t, 1.0 / (1.0 + (-2.0 * lambda(t)).exp()))).collect();
    Schedule::from_betas(vec![0.5; T]).with_alpha_bars(&levels)
}

/// Moves between levels that are evenly spaced in lambda, and the move to the clean image.
fn even(moves: usize) -> Timesteps {
    let kept: Vec<usize> = (0..=moves).map(|i| T - i * (T - 1) / moves).collect();
    Timesteps::from_kept(&kept)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sampler {
    Ddim,
    DpmSolver,
    UniPc(usize),
    Heun,
    Edm,
}

impl Sampler {
    fn grid(self, moves: usize) -> (Schedule, Timesteps) {
        match self {
            Self::Heun => (schedule(), even(moves).corrected(|t| t)),
            Self::Edm => {
                edm_levels(&schedule(), moves + 1, Churn { s_churn: 0.0, s_tmin: 0.0, s_tmax: f64::INFINITY }).unwrap()
            }
            _ => (schedule(), even(moves)),
        }
    }

    fn step(self, schedule: &Schedule, moves: usize) -> Box<dyn Step + '_> {
        let noise = (NoiseSource::new(0, Vec::new(), &Device::flex()), Stream::X);
        match self {
            Self::Ddim => Box::new(Ddim { schedule, eta: 0.0, set_alpha_to_one: true, noise }),
            Self::DpmSolver => Box::new(DpmSolver::new(schedule, None)),
            Self::UniPc(order) => Box::new(UniPc::new(schedule, order, moves + 1)),
            Self::Heun | Self::Edm => Box::new(Heun::new(schedule, 1.0, noise)),
        }
    }
}

/// The sampling loop and its networks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loop {
    /// Algorithm 2 with the exact networks for `xhat`.
    Pair,
    /// One exact network for x and y.
    Joint,
    /// Only y, for a given x_0.
    Single,
}

fn unit(index: usize, count: usize) -> Tensor<4> {
    let mut one = vec![0.0; count];
    one[index] = 1.0;
    tensor(&one, [count, 1, 1, 1], DType::F64)
}

const KIND: PredictionType = PredictionType::Epsilon;

/// (x_0, y_0) from the starts, one sample per batch entry; in [`Loop::Single`] x does not change.
fn walk(
    which: Loop,
    (schedule, timesteps): (&Schedule, &Timesteps),
    (step_x, step_y): (&mut impl Step, &mut impl Step),
    (x, y): (Tensor<4>, Tensor<4>),
) -> (Tensor<4>, Tensor<4>) {
    match which {
        Loop::Pair => algorithm_2(
            &Linear { schedule, kind: KIND, coefficients: |a| PAIR.clean_given_noisy(a) },
            &Linear { schedule, kind: KIND, coefficients: |a| PAIR.clean_given_estimate(a) },
            schedule,
            timesteps,
            &PredictedX0,
            (step_x, step_y),
            (x, y),
            &mut |_| {},
        ),
        Loop::Joint => {
            let model = JointLinear { schedule, kind: KIND, pair: PAIR };
            sample_joint(&model, schedule, timesteps, (step_x, step_y), (x, y), false, &mut |_| {})
        }
        Loop::Single => {
            let model = Linear { schedule, kind: KIND, coefficients: |a| PAIR.clean_given_clean(a) };
            let y_0 = sample_conditional(&model, schedule, timesteps, &x, step_y, y, &mut |_, _| {});
            (x, y_0)
        }
    }
}

/// The exact solution of the ODE for the starts (1, 0) and (0, 1): [x_0 from each start, y_0 from each start].
///
/// Along the ODE every principal component of a Gaussian keeps its value in units of its standard deviation. The components
/// of the pair are (1, 1) and (1, -1) with variances 1 + rho and 1 - rho; y given x_0 has mean rho x_0 and variance 1 - rho^2.
fn exact(which: Loop, alpha_bar: f64) -> [[f64; 2]; 2] {
    let scale = |variance: f64| (variance / (alpha_bar * variance + 1.0 - alpha_bar)).sqrt();
    if which == Loop::Single {
        let s = scale(1.0 - PAIR.rho * PAIR.rho);
        return [[1.0, 0.0], [PAIR.rho * (1.0 - s * alpha_bar.sqrt()), s]];
    }
    let (sum, difference) = (scale(1.0 + PAIR.rho), scale(1.0 - PAIR.rho));
    let (same, other) = (0.5 * (sum + difference), 0.5 * (sum - difference));
    [[same, other], [other, same]]
}

fn error(sampler: Sampler, which: Loop, moves: usize) -> f64 {
    let (schedule, timesteps) = sampler.grid(moves);
    let (mut step_x, mut step_y) = (sampler.step(&schedule, moves), sampler.step(&schedule, moves));
    let start = (unit(0, 2), unit(1, 2));
    let (x_0, y_0) = walk(which, (&schedule, &timesteps), (&mut step_x, &mut step_y), start);
    let wanted = exact(which, schedule.alpha_bar(T));
    let pairs = values(&x_0).into_iter().zip(wanted[0]).chain(values(&y_0).into_iter().zip(wanted[1]));
    pairs.map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f64::max)
}

/// The observed orders: log2 of each error divided by the next error.
fn orders(errors: &[f64]) -> Vec<f64> {
    errors.windows(2).map(|pair| (pair[0] / pair[1]).log2()).collect()
}

/// (sampler, the order of its global error, the largest error at 120 moves).
const DETERMINISTIC: [(Sampler, f64, f64); 7] = [
    (Sampler::Ddim, 1.0, 0.05),
    (Sampler::DpmSolver, 2.0, 5e-3),
    (Sampler::UniPc(1), 2.0, 5e-3),
    (Sampler::UniPc(2), 3.0, 5e-4),
    (Sampler::UniPc(3), 3.0, 5e-4),
    (Sampler::Heun, 2.0, 5e-3),
    (Sampler::Edm, 2.0, 5e-3),
];

#[test]
fn deterministic_samplers_converge_at_their_order() {
    for (sampler, order, most) in DETERMINISTIC {
        for which in [Loop::Pair, Loop::Joint, Loop::Single] {
            let errors = MOVES.map(|moves| error(sampler, which, moves));
            let observed = orders(&errors);
            println!("{sampler:?} {which:?}: errors {errors:?}, orders {observed:.2?}");
            assert!(observed[2] > order - 0.25, "{sampler:?} {which:?}: orders {observed:?}");
            assert!(errors[3] < most, "{sampler:?} {which:?}: errors {errors:?}");
        }
    }
}

/// A stochastic step that uses a separate batch entry for the noise of each call, so that the outputs give the covariance
/// exactly.
struct Injected<'a> {
    schedule: &'a Schedule,
    second_order: bool,
    /// 0 for x, 1 for y.
    chain: usize,
    call: usize,
    before: Option<(Tensor<4>, Level)>,
}

impl Step for Injected<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let noise = unit(2 + 2 * self.call + self.chain, x_t.dims()[0]);
        let noise = (at.t_prev > 0).then_some(&noise);
        self.call += 1;
        let (a, b) = (self.schedule.alpha_bar(at.t), self.schedule.alpha_bar(at.t_prev));
        if !self.second_order {
            return ddpm_step(x_t, estimate, a, b, VarianceType::FixedSmall, noise);
        }
        let (from, to) = (Level::new(a), Level::new(b));
        let x_prev = dpm_solver_sde_step(x_t, &estimate.x_0, self.before.as_ref(), from, to, noise);
        self.before = Some((estimate.x_0.clone(), from));
        x_prev
    }
}

/// The largest error of [Var x_0, Var y_0, Cov(x_0, y_0)], from starts with the exact covariance at t = T.
fn covariance_error(second_order: bool, which: Loop, moves: usize) -> f64 {
    let (schedule, timesteps) = (schedule(), even(moves));
    let count = 2 + 2 * timesteps.len();
    let c = schedule.alpha_bar(T) * PAIR.rho;
    let start = (unit(0, count), unit(0, count).mul_scalar(c) + unit(1, count).mul_scalar((1.0 - c * c).sqrt()));
    let step = |chain| Injected { schedule: &schedule, second_order, chain, call: 0, before: None };
    let (x_0, y_0) = walk(which, (&schedule, &timesteps), (&mut step(0), &mut step(1)), start);
    let (x, y) = (values(&x_0), values(&y_0));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let found = [(dot(&x, &x), 1.0), (dot(&y, &y), 1.0), (dot(&x, &y), PAIR.rho)];
    found.iter().map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f64::max)
}

#[test]
fn stochastic_samplers_converge_to_the_exact_covariance() {
    for (second_order, order, most) in [(false, 1.0, 0.15), (true, 2.0, 5e-3)] {
        for which in [Loop::Pair, Loop::Joint] {
            let errors = MOVES.map(|moves| covariance_error(second_order, which, moves));
            let observed = orders(&errors);
            println!("second order {second_order}, {which:?}: errors {errors:?}, orders {observed:.2?}");
            assert!(observed[2] > order - 0.25, "second order {second_order}, {which:?}: orders {observed:?}");
            assert!(errors[3] < most, "second order {second_order}, {which:?}: errors {errors:?}");
        }
    }
}
