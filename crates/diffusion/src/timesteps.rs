//! Which of the T noise levels a sampler visits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// How N of T timesteps are chosen; names as in diffusers and in Table 2 of Lin et al. 2024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// 1, 1 + T/N, .. (counted from 0: 0, T/N, ..), as in DDIM's reference code. It does not visit T unless N = T.
    Leading,
    /// T, T - T/N, ..: always starts at T.
    Trailing,
    /// N evenly spaced values from 1 to T, both included, rounded to the nearest integer.
    Linspace,
}

/// A request for more steps than there are noise levels, or for no steps.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("sample.num_inference_steps is {steps}, expected 1 to {most} (schedule.num_train_timesteps is {train})")]
pub struct StepCountError {
    /// The requested number of steps.
    pub steps: usize,
    /// The largest possible number of steps.
    pub most: usize,
    /// T of the schedule.
    pub train: usize,
}

/// One move of the reverse process: from t to the next kept timestep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The timestep of the noisy input, 1..=T.
    pub t: usize,
    /// The timestep of the result; 0 is the clean image. It is below `t`, except in [`Timesteps::corrected`].
    pub t_prev: usize,
}

/// The kept timesteps, from the noisiest to the cleanest, as moves.
#[derive(Clone, Debug)]
pub struct Timesteps {
    moves: Vec<Transition>,
    /// Ends walks along the moves once it is set.
    stop: Option<Arc<AtomicBool>>,
}

impl PartialEq for Timesteps {
    fn eq(&self, other: &Self) -> bool {
        self.moves == other.moves
    }
}

impl Eq for Timesteps {}

impl Timesteps {
    /// Keeps `steps` of `train` timesteps, chosen by `spacing`; the last move ends at 0, the clean image.
    pub fn new(train: usize, steps: usize, spacing: TimestepSpacing) -> Result<Self, StepCountError> {
        check_count(steps, train, train)?;
        let ratio = train as f64 / steps as f64;
        let kept: Vec<usize> = match spacing {
            // diffusers uses the integer part of T/N here, so that leading steps are evenly spaced.
            TimestepSpacing::Leading => (0..steps).rev().map(|i| 1 + i * (train / steps)).collect(),
            TimestepSpacing::Trailing => {
                (0..steps).map(|i| libm::rint(train as f64 - i as f64 * ratio) as usize).collect()
            }
            TimestepSpacing::Linspace => {
                let gap = if steps == 1 { 0.0 } else { (train - 1) as f64 / (steps - 1) as f64 };
                (0..steps).rev().map(|i| 1 + libm::rint(i as f64 * gap) as usize).collect()
            }
        };
        Ok(Self::from_kept(&kept))
    }

    /// The timesteps that diffusers keeps for DPM-Solver++ and UniPC. The clean image is one of the N + 1 levels of their
    /// grid: leading and linspace choose N + 1 timesteps and replace the cleanest one with the clean image. Trailing is the
    /// same as for the other samplers.
    pub fn multistep(train: usize, steps: usize, spacing: TimestepSpacing) -> Result<Self, StepCountError> {
        if spacing == TimestepSpacing::Trailing {
            return Self::new(train, steps, spacing);
        }
        check_count(steps, train.saturating_sub(1), train)?;
        let mut moves = Self::new(train, steps + 1, spacing)?.moves;
        moves.pop();
        let kept: Vec<usize> = moves.iter().map(|at| at.t).collect();
        Ok(Self::from_kept(&kept))
    }

    /// These moves with a second evaluation for each move but the last, as Heun's method needs: the move from t to t-1 is
    /// followed by a transition from t-1 to `raised(t-1)`, the timestep up to which noise is added before the next move. If
    /// `raised(t-1)` is t-1, no noise is added.
    #[must_use]
    pub fn corrected(&self, raised: impl Fn(usize) -> usize) -> Self {
        let mut moves = Vec::with_capacity(2 * self.len());
        let mut start = self.first();
        for at in self.iter() {
            moves.push(Transition { t: start, t_prev: at.t_prev });
            if at.t_prev > 0 {
                start = raised(at.t_prev);
                moves.push(Transition { t: at.t_prev, t_prev: start });
            }
        }
        Self { moves, stop: None }
    }

    /// Moves through the `kept` timesteps, given in decreasing order, and from the last one to 0.
    pub fn from_kept(kept: &[usize]) -> Self {
        let next = kept.iter().skip(1).copied().chain([0]);
        Self { moves: kept.iter().zip(next).map(|(&t, t_prev)| Transition { t, t_prev }).collect(), stop: None }
    }

    /// The same moves; a walk along them ends after the move in which `stop` is set, and what it has reached by then is to be discarded.
    #[must_use]
    pub fn until(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The moves in the order of sampling.
    pub fn iter(&self) -> impl Iterator<Item = Transition> + '_ {
        self.repeated(1).map(|(at, _)| at)
    }

    /// The moves in the order of sampling, each `looks` times, with the number of the look from 1.
    pub fn repeated(&self, looks: usize) -> impl Iterator<Item = (Transition, usize)> + '_ {
        let walk = self.moves.iter().flat_map(move |&at| (1..=looks).map(move |look| (at, look)));
        walk.take_while(|_| !self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)))
    }

    /// The timestep at which sampling starts: the noise level of x_T and y_T.
    pub fn first(&self) -> usize {
        self.moves[0].t
    }

    /// The number of moves, which is the number of evaluations of the networks.
    pub fn len(&self) -> usize {
        self.moves.len()
    }

    /// Never true: at least one step is kept.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The largest kept timestep below `t`, for any t in 1..=T: the next one of the reverse process; 0 if there is none.
    /// Training with the condition x_{t-1} uses it.
    pub fn previous(&self, t: usize) -> usize {
        self.moves.iter().map(|m| m.t).find(|&kept| kept < t).unwrap_or(0)
    }
}

fn check_count(steps: usize, most: usize, train: usize) -> Result<(), StepCountError> {
    if (1..=most).contains(&steps) { Ok(()) } else { Err(StepCountError { steps, most, train }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(spacing: TimestepSpacing, train: usize, steps: usize) -> Vec<usize> {
        Timesteps::new(train, steps, spacing).unwrap().iter().map(|m| m.t).collect()
    }

    #[test]
    fn a_walk_ends_after_the_move_in_which_it_is_stopped() {
        let stop = Arc::new(AtomicBool::new(false));
        let timesteps = Timesteps::new(8, 4, TimestepSpacing::Trailing).unwrap();
        let stopping = timesteps.clone().until(Arc::clone(&stop));
        assert_eq!(timesteps, stopping);
        let walked: Vec<(usize, usize)> = stopping
            .repeated(3)
            .map(|(at, look)| {
                stop.store((at.t, look) == (6, 2), Ordering::Relaxed);
                (at.t, look)
            })
            .collect();
        assert_eq!(walked, [(8, 1), (8, 2), (8, 3), (6, 1), (6, 2)]);
        assert_eq!((stopping.iter().count(), stopping.len(), timesteps.iter().count()), (0, 4, 4));
    }

    #[test]
    fn spacings_are_those_of_the_paper_and_of_the_reference_code() {
        let leading = kept(TimestepSpacing::Leading, 1024, 256);
        assert_eq!((leading[0], leading[1], leading[255]), (1021, 1017, 1));
        let trailing = kept(TimestepSpacing::Trailing, 1024, 256);
        assert_eq!((trailing[0], trailing[1], trailing[255]), (1024, 1020, 4));
        let linspace = kept(TimestepSpacing::Linspace, 1024, 256);
        assert_eq!((linspace[0], linspace[255], linspace.len()), (1024, 1, 256));
    }

    #[test]
    fn all_steps_are_the_paper_s_loop_in_every_spacing() {
        for spacing in [TimestepSpacing::Leading, TimestepSpacing::Trailing, TimestepSpacing::Linspace] {
            assert_eq!(kept(spacing, 100, 100), (1..=100).rev().collect::<Vec<_>>());
        }
    }

    #[test]
    fn moves_are_chained_and_end_at_zero() {
        for (train, steps) in [(1024, 256), (1000, 50), (1024, 1), (10, 7)] {
            for spacing in [TimestepSpacing::Leading, TimestepSpacing::Trailing, TimestepSpacing::Linspace] {
                let moves: Vec<_> = Timesteps::new(train, steps, spacing).unwrap().iter().collect();
                assert!(moves.windows(2).all(|w| w[0].t_prev == w[1].t && w[1].t < w[0].t));
                assert_eq!(moves.last().unwrap().t_prev, 0);
                assert!(moves[0].t <= train);
            }
        }
    }

    #[test]
    fn previous_finds_the_next_kept_step_from_anywhere() {
        let timesteps = Timesteps::new(16, 4, TimestepSpacing::Trailing).unwrap();
        assert_eq!(
            (1..=16).map(|t| timesteps.previous(t)).collect::<Vec<_>>(),
            [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12]
        );
    }

    #[test]
    fn multistep_solvers_keep_one_more_and_end_clean() {
        let kept = |train, steps, spacing| -> Vec<usize> {
            Timesteps::multistep(train, steps, spacing).unwrap().iter().map(|m| m.t).collect()
        };
        assert_eq!(kept(1000, 4, TimestepSpacing::Leading), [801, 601, 401, 201]);
        assert_eq!(kept(1000, 3, TimestepSpacing::Linspace), [1000, 667, 334]);
        assert_eq!(kept(1000, 4, TimestepSpacing::Trailing), [1000, 750, 500, 250]);
        assert_eq!(kept(10, 9, TimestepSpacing::Leading), [10, 9, 8, 7, 6, 5, 4, 3, 2]);
        assert_eq!(
            Timesteps::multistep(10, 10, TimestepSpacing::Leading),
            Err(StepCountError { steps: 10, most: 9, train: 10 })
        );
    }

    #[test]
    fn second_looks_stand_between_the_moves() {
        let timesteps = Timesteps::from_kept(&[9, 6, 3]);
        let moves = |timesteps: Timesteps| timesteps.iter().map(|at| (at.t, at.t_prev)).collect::<Vec<_>>();
        assert_eq!(moves(timesteps.corrected(|t| t)), [(9, 6), (6, 6), (6, 3), (3, 3), (3, 0)]);
        let raised = |t| if t == 6 { 8 } else { t };
        assert_eq!(moves(timesteps.corrected(raised)), [(9, 6), (6, 8), (8, 3), (3, 3), (3, 0)]);
        assert_eq!(moves(Timesteps::from_kept(&[9]).corrected(|t| t)), [(9, 0)]);
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(Timesteps::new(10, 0, TimestepSpacing::Leading).is_err());
        assert!(Timesteps::new(10, 11, TimestepSpacing::Leading).is_err());
    }
}
