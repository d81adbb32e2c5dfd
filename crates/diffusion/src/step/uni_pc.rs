//! UniPC (Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models"),
//! Algorithms 5 to 8 in x_0-hat with B(h) = e^h - 1 ("bh2").
//!
//! The estimate at t is used twice: to correct x_t, the result of the last move, and to predict the next move. So each step
//! evaluates the networks once. It matches diffusers' `UniPCMultistepScheduler` with `lower_order_final` and
//! `final_sigmas_type = "zero"`.

use super::Step;
use crate::{level::Level, prediction::Estimate, schedule::Schedule, timesteps::Transition};
use burn::tensor::Tensor;

/// The x_0-hats of a chain with their levels, the newest last.
type History = [(Tensor<4>, Level)];

/// UniP, the predictor: x at `to` from x at the level of the newest entry of `history`. The order is `history.len()`, 1 to 3.
///
/// At order 2 the only coefficient is 1/2, as Zhao et al. advise, instead of the solution of the equation.
pub fn uni_p_step(x: &Tensor<4>, history: &History, to: Level) -> Tensor<4> {
    let order = history.len();
    let moving = Moving::new(history, to);
    let coefficients = match order {
        1 => Vec::new(),
        2 => vec![0.5],
        _ => moving.coefficients(order - 1),
    };
    moving.apply(x, history, &coefficients)
}

/// UniC, the corrector: recomputes x at `to` from x at the level of the newest entry of `history`, using `x_0`, which was
/// estimated at `to`. The order is `history.len()`, 1 to 3.
///
/// At order 1 the only coefficient is 1/2, as Zhao et al. advise.
pub fn uni_c_step(x: &Tensor<4>, history: &History, x_0: &Tensor<4>, to: Level) -> Tensor<4> {
    let order = history.len();
    let moving = Moving::new(history, to);
    let mut coefficients = if order == 1 { vec![0.5] } else { moving.coefficients(order) };
    let last = coefficients.pop().unwrap_or_default();
    let correction = (x_0.clone() - Moving::newest(history)).mul_scalar(moving.scale * last);
    moving.apply(x, history, &coefficients) + correction
}

/// A move from the level of the newest entry of a history.
struct Moving {
    from: Level,
    to: Level,
    /// -h.
    minus_h: f64,
    /// -alpha B(-h), the common factor of x_0-hat and of all differences.
    scale: f64,
    /// The positions (lambda_i - lambda_newest) / h of the older entries, the newest of them first.
    places: Vec<f64>,
}

impl Moving {
    fn new(history: &History, to: Level) -> Self {
        let from = history[history.len() - 1].1;
        let minus_h = from.lambda() - to.lambda();
        let older = history.iter().rev().skip(1);
        let places = older.map(|(_, level)| (from.lambda() - level.lambda()) / minus_h).collect();
        Self { from, to, minus_h, scale: -to.alpha * libm::expm1(minus_h), places }
    }

    fn newest(history: &History) -> Tensor<4> {
        history[history.len() - 1].0.clone()
    }

    /// The first-order move plus the weighted differences of the older entries.
    fn apply(&self, x: &Tensor<4>, history: &History, coefficients: &[f64]) -> Tensor<4> {
        let newest = Self::newest(history);
        let mut moved = x.clone().mul_scalar(self.to.sigma / self.from.sigma) + newest.clone().mul_scalar(self.scale);
        let older = history.iter().rev().skip(1);
        for ((older, place), coefficient) in older.zip(&self.places).zip(coefficients) {
            moved = moved + (older.0.clone() - newest.clone()).mul_scalar(self.scale * coefficient / place);
        }
        moved
    }

    /// The solution of R rho = b, Eq. (11) and (12), for the first `count` positions of the list of `places` followed by 1,
    /// the position of `to`.
    fn coefficients(&self, count: usize) -> Vec<f64> {
        let places: Vec<f64> = self.places.iter().copied().chain([1.0]).take(count).collect();
        let scale = libm::expm1(self.minus_h);
        let mut phi = scale / self.minus_h - 1.0;
        let mut factorial = 1.0;
        let mut rows = Vec::with_capacity(count);
        for power in 0..count {
            let row: Vec<f64> = places.iter().map(|place| libm::pow(*place, power as f64)).collect();
            rows.push((row, phi * factorial / scale));
            factorial *= (power + 2) as f64;
            phi = phi / self.minus_h - 1.0 / factorial;
        }
        solve(rows)
    }
}

/// Solves a linear system of a few equations, each (coefficients, right side), by elimination with pivoting.
fn solve(mut rows: Vec<(Vec<f64>, f64)>) -> Vec<f64> {
    let count = rows.len();
    for column in 0..count {
        let size = |row: usize| rows[row].0[column].abs();
        let pivot = (column..count).max_by(|&a, &b| size(a).total_cmp(&size(b))).unwrap_or(column);
        rows.swap(column, pivot);
        let (first, rest) = rows.split_at_mut(column + 1);
        let (pivot, right) = &first[column];
        for (row, value) in rest {
            let factor = row[column] / pivot[column];
            row.iter_mut().zip(pivot).for_each(|(a, b)| *a -= factor * b);
            *value -= factor * right;
        }
    }
    let mut solution = vec![0.0; count];
    for row in (0..count).rev() {
        let (coefficients, right) = &rows[row];
        let known: f64 = (row + 1..count).map(|i| coefficients[i] * solution[i]).sum();
        solution[row] = (right - known) / coefficients[row];
    }
    solution
}

/// UniPC for one chain.
#[derive(Clone, Debug)]
pub struct UniPc<'a> {
    schedule: &'a Schedule,
    order: usize,
    /// The number of remaining moves.
    left: usize,
    /// The last `order` estimates.
    history: Vec<(Tensor<4>, Level)>,
    /// The corrected x at the start of the last move, and the order of that move.
    last: Option<(Tensor<4>, usize)>,
}

impl<'a> UniPc<'a> {
    /// The solver at the start of a chain: `order` is 1 to 3, and the chain will have `steps` moves.
    pub fn new(schedule: &'a Schedule, order: usize, steps: usize) -> Self {
        Self { schedule, order, left: steps, history: Vec::new(), last: None }
    }

    /// The newest `order` entries.
    fn newest(&self, order: usize) -> &History {
        &self.history[self.history.len() - order..]
    }
}

impl Step for UniPc<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (from, to) = (Level::at(self.schedule, at.t), Level::at(self.schedule, at.t_prev));
        let x_t = match &self.last {
            Some((x, order)) => uni_c_step(x, self.newest(*order), &estimate.x_0, from),
            None => x_t.clone(),
        };
        if self.history.len() == self.order {
            self.history.remove(0);
        }
        self.history.push((estimate.x_0.clone(), from));
        let order = self.history.len().min(self.left).max(1);
        self.left = self.left.saturating_sub(1);
        let x_prev = uni_p_step(&x_t, self.newest(order), to);
        self.last = Some((x_t, order));
        x_prev
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_systems_are_solved() {
        let rows = vec![(vec![0.0, 2.0, 1.0], 7.0), (vec![1.0, -1.0, 3.0], 8.0), (vec![2.0, 1.0, 0.0], 4.0)];
        for (found, wanted) in solve(rows).iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - wanted).abs() < 1e-14);
        }
    }
}
