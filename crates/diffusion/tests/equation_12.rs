//! Tests Eq. (12) in the Gaussian case: one ancestral step with p_x(x_{t-1} | x_t, y_t) and then one with
//! p_y(y_{t-1} | x_{t-1}, y_t) give the exact joint covariance of (x_{t-1}, y_{t-1}), both given (x_t, y_t) and without
//! this condition.
//!
//! An exact reverse step draws x_0 from its Gaussian posterior and x_{t-1} from q(x_{t-1} | x_t, x_0), which is
//! `ddpm_step` with the posterior's variance. Both steps are linear in (x_t, y_t) and in four independent normal draws, so
//! together they are a 2x6 matrix: running them on the six unit vectors gives the covariance without sampling error.

mod common;

use burn::tensor::{DType, Tensor};
use common::{GaussianPair, paper_schedule, tensor, values};
use pig_diffusion::{
    prediction::Estimate,
    schedule::Schedule,
    step::{VarianceType, ddpm_step},
};

/// Rows x_{t-1} and y_{t-1}; columns x_t, y_t, and the draws of x_0, x_{t-1}, y_0, y_{t-1}.
type Map = [Vec<f64>; 2];

/// The condition of the y chain in one step.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// x_{t-1}: Eq. (12).
    PreviousX,
    /// x_0-hat, a function of (x_t, y_t): the paper's Algorithm 2.
    PredictedX0,
}

fn ancestral(schedule: &Schedule, pair: GaussianPair, [t, t_prev]: [usize; 2], told: Told) -> Map {
    let unit = |i: usize| {
        let mut one = [0.0; 6];
        one[i] = 1.0;
        tensor(&one, [6, 1, 1, 1], DType::F64)
    };
    let [x_t, y_t] = [unit(0), unit(1)];
    let (a, b) = (schedule.alpha_bar(t), schedule.alpha_bar(t_prev));
    // The posterior of x_0 or y_0 is N(p u + q v, variance); eps does not enter an ancestral step.
    let step = |chain: &Tensor<4>, other: &Tensor<4>, (p, q): (f64, f64), variance: f64, draws: [usize; 2]| {
        let x_0 = chain.clone().mul_scalar(p)
            + other.clone().mul_scalar(q)
            + unit(draws[0]).mul_scalar(variance.max(0.0).sqrt());
        let estimate = Estimate { eps: x_0.zeros_like(), x_0 };
        ddpm_step(chain, &estimate, a, b, VarianceType::FixedSmall, Some(&unit(draws[1])))
    };
    let of_x = pair.clean_given_noisy(a);
    let left_x = GaussianPair::residual_variance(of_x, (a.sqrt(), a.sqrt() * pair.rho));
    let x_prev = step(&x_t, &y_t, of_x, left_x, [2, 3]);
    let y_prev = match told {
        Told::PreviousX => {
            let of_y = pair.clean_given_other_level(a, b);
            let left_y = GaussianPair::residual_variance(of_y, (a.sqrt(), b.sqrt() * pair.rho));
            step(&y_t, &x_prev, of_y, left_y, [4, 5])
        }
        // E[y_0 | x_0-hat, y_t] = E[y_0 | x_t, y_t], because x_0-hat and y_t give x_t.
        Told::PredictedX0 => step(&y_t, &x_t, of_x, left_x, [4, 5]),
    };
    [values(&x_prev), values(&y_prev)]
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Covariance of both rows given (x_t, y_t): [Var x, Var y, Cov].
fn conditional_covariance([x, y]: &Map) -> [f64; 3] {
    [dot(&x[2..], &x[2..]), dot(&y[2..], &y[2..]), dot(&x[2..], &y[2..])]
}

/// The exact mean matrix and covariance of (x_{t-1}, y_{t-1}) given (x_t, y_t), from the forward process only:
/// Cov(x_{t-1}, x_t) = sqrt(a / b), Cov(x_{t-1}, y_t) = rho sqrt(a b), Cov(x_t, y_t) = rho a,
/// Cov(x_{t-1}, y_{t-1}) = rho b.
fn exact(pair: GaussianPair, a: f64, b: f64) -> ([f64; 2], [f64; 3]) {
    let (same, across, now, next) = ((a / b).sqrt(), pair.rho * (a * b).sqrt(), pair.rho * a, pair.rho * b);
    let determinant = 1.0 - now * now;
    let (on_own, on_other) = ((same - across * now) / determinant, (across - same * now) / determinant);
    let variance = 1.0 - on_own * same - on_other * across;
    ([on_own, on_other], [variance, variance, next - on_own * across - on_other * same])
}

const MOVES: [[usize; 2]; 8] =
    [[1024, 1023], [1024, 1020], [1024, 512], [600, 596], [300, 100], [40, 36], [4, 0], [1, 0]];

#[test]
fn one_step_has_the_exact_covariance_given_x_t_and_y_t() {
    let schedule = paper_schedule();
    for rho in [0.0, 0.5, 0.9, -0.7] {
        for [t, t_prev] in MOVES {
            let pair = GaussianPair { rho };
            let map = ancestral(&schedule, pair, [t, t_prev], Told::PreviousX);
            let (mean, covariance) = exact(pair, schedule.alpha_bar(t), schedule.alpha_bar(t_prev));
            let found = conditional_covariance(&map);
            for i in 0..3 {
                assert!((found[i] - covariance[i]).abs() < 1e-12, "{rho}, {t}: {found:?}, expected {covariance:?}");
            }
            for (found, wanted) in
                [(map[0][0], mean[0]), (map[0][1], mean[1]), (map[1][1], mean[0]), (map[1][0], mean[1])]
            {
                assert!((found - wanted).abs() < 1e-12, "{rho}, {t} to {t_prev}: mean {map:?}, expected {mean:?}");
            }
        }
    }
}

/// If (x_t, y_t) are distributed as in the forward process, then (x_{t-1}, y_{t-1}) after the step are, too.
#[test]
fn one_step_has_the_exact_covariance_in_all() {
    let schedule = paper_schedule();
    for rho in [0.0, 0.5, 0.9, -0.7] {
        for [t, t_prev] in MOVES {
            let pair = GaussianPair { rho };
            let (a, b) = (schedule.alpha_bar(t), schedule.alpha_bar(t_prev));
            let [x, y] = ancestral(&schedule, pair, [t, t_prev], Told::PreviousX);
            let covariance = |u: &[f64], v: &[f64]| dot(u, v) + rho * a * (u[0] * v[1] + u[1] * v[0]);
            let x_t = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            let y_t = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
            for (name, found, wanted) in [
                ("Var x_{t-1}", covariance(&x, &x), 1.0),
                ("Var y_{t-1}", covariance(&y, &y), 1.0),
                ("Cov(x_{t-1}, y_{t-1})", covariance(&x, &y), rho * b),
                ("Cov(x_{t-1}, x_t)", covariance(&x, &x_t), (a / b).sqrt()),
                ("Cov(y_{t-1}, y_t)", covariance(&y, &y_t), (a / b).sqrt()),
                ("Cov(x_{t-1}, y_t)", covariance(&x, &y_t), rho * (a * b).sqrt()),
                ("Cov(y_{t-1}, x_t)", covariance(&y, &x_t), rho * (a * b).sqrt()),
            ] {
                assert!((found - wanted).abs() < 1e-12, "{name} at rho {rho}, {t} to {t_prev}: {found}, not {wanted}");
            }
        }
    }
}

/// With x_0-hat instead of x_{t-1}, an ancestral step draws the two members independently: the covariance that Eq. (12)
/// produces within the step is lost. The loss is small between neighbouring timesteps and large for a wide stride. With
/// sigma = 0, as in the paper, nothing is drawn and nothing is lost.
#[test]
fn x_0_hat_in_place_of_x_t_minus_1_loses_covariance_within_the_step() {
    let schedule = paper_schedule();
    let pair = GaussianPair { rho: 0.9 };
    let lost = |[t, t_prev]: [usize; 2]| {
        let map = ancestral(&schedule, pair, [t, t_prev], Told::PredictedX0);
        let (_, exact) = exact(pair, schedule.alpha_bar(t), schedule.alpha_bar(t_prev));
        let found = conditional_covariance(&map);
        assert!(found[2].abs() < 1e-15, "the members must be drawn independently");
        assert!((found[0] - exact[0]).abs() < 1e-12 && (found[1] - exact[1]).abs() < 1e-12, "variances must be exact");
        exact[2]
    };
    assert!(lost([600, 100]) > 0.3, "{}", lost([600, 100]));
    assert!(lost([600, 599]) < 1e-3, "{}", lost([600, 599]));
}
