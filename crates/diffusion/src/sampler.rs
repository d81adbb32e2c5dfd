//! Selects the reverse step of a sampling and its noise levels.

use crate::{
    karras::{Churn, KarrasError, edm_levels, karras_levels},
    noise::{NoiseSource, Stream},
    schedule::Schedule,
    step::{Ddim, Ddpm, DpmSolver, Heun, Step, UniPc, VarianceType},
    timesteps::{StepCountError, TimestepSpacing, Timesteps},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reverse step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// DDIM (Song et al. 2021) with `eta`; the paper uses eta 0.
    #[default]
    Ddim,
    /// Ancestral sampling (Ho et al. 2020).
    Ddpm,
    /// DPM-Solver++(2M) (Lu et al. 2022): second order, deterministic, one evaluation of the networks per step.
    #[serde(rename = "dpm-solver++")]
    DpmSolver,
    /// SDE-DPM-Solver++(2M), the stochastic form of DPM-Solver++(2M).
    #[serde(rename = "dpm-solver++-sde")]
    DpmSolverSde,
    /// UniPC (Zhao et al. 2023, with "bh2") of order `solver_order`: one evaluation of the networks per step.
    UniPc,
    /// Heun's method, second order: two evaluations of the networks per step, one in the last step.
    Heun,
    /// Karras et al. 2022, Algorithm 2: Heun's method at their noise levels, with their added noise (`s_churn`).
    Edm,
}

impl SamplerKind {
    /// Whether the networks are evaluated twice per step.
    pub fn looks_twice(self) -> bool {
        matches!(self, Self::Heun | Self::Edm)
    }
}

/// The settings that determine the steps of a sampling.
#[derive(Clone, Copy, Debug)]
pub struct SamplerSettings {
    /// The reverse step.
    pub sampler: SamplerKind,
    /// The number of kept timesteps.
    pub num_inference_steps: usize,
    /// Which timesteps are kept.
    pub timestep_spacing: TimestepSpacing,
    /// Whether the noise levels are those of Karras et al. 2022.
    pub use_karras_sigmas: bool,
    /// The order of UniPC: 1, 2 or 3.
    pub solver_order: usize,
    /// How much noise EDM adds, and at which levels.
    pub churn: Churn,
    /// The standard deviation of the noise that EDM adds.
    pub s_noise: f64,
    /// The eta of DDIM: how much noise it adds.
    pub eta: f64,
    /// The variance of ancestral sampling.
    pub variance_type: VarianceType,
    /// Whether DDIM's last step ends at alpha_bar = 1.
    pub set_alpha_to_one: bool,
}

/// The number of sampling steps is not possible with the noise levels.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LevelsError {
    /// More sampling steps than timesteps, or none.
    #[error(transparent)]
    Steps(#[from] StepCountError),
    /// So many sampling steps that two of Karras et al.'s levels have the same nearest timestep.
    #[error(transparent)]
    Karras(#[from] KarrasError),
}

impl SamplerSettings {
    /// The schedule with the noise levels of sampling, and the moves: one for each evaluation of the networks. `trained` is
    /// the schedule of training.
    pub fn levels(&self, trained: &Schedule) -> Result<(Schedule, Timesteps), LevelsError> {
        let (train, steps, spacing) = (trained.num_train_timesteps(), self.num_inference_steps, self.timestep_spacing);
        let plain = || trained.clone();
        Ok(match (self.sampler, self.use_karras_sigmas) {
            (SamplerKind::Ddim | SamplerKind::Ddpm, _) => (plain(), Timesteps::new(train, steps, spacing)?),
            (SamplerKind::Edm, _) => edm_levels(trained, steps, self.churn)?,
            (SamplerKind::Heun, true) => {
                let (levels, timesteps) = karras_levels(trained, steps)?;
                (levels, timesteps.corrected(|t| t))
            }
            (SamplerKind::Heun, false) => (plain(), Timesteps::new(train, steps, spacing)?.corrected(|t| t)),
            (SamplerKind::DpmSolver | SamplerKind::DpmSolverSde | SamplerKind::UniPc, true) => {
                karras_levels(trained, steps)?
            }
            (SamplerKind::DpmSolver | SamplerKind::DpmSolverSde | SamplerKind::UniPc, false) => {
                (plain(), Timesteps::multistep(train, steps, spacing)?)
            }
        })
    }

    /// The reverse step for a new chain. `noise` is the noise source and the stream of this chain, for samplers that add
    /// noise.
    pub fn step<'a>(&self, schedule: &'a Schedule, noise: (NoiseSource, Stream)) -> Box<dyn Step + 'a> {
        match self.sampler {
            SamplerKind::Ddim => {
                Box::new(Ddim { schedule, eta: self.eta, set_alpha_to_one: self.set_alpha_to_one, noise })
            }
            SamplerKind::Ddpm => Box::new(Ddpm { schedule, variance: self.variance_type, noise }),
            SamplerKind::DpmSolver => Box::new(DpmSolver::new(schedule, None)),
            SamplerKind::DpmSolverSde => Box::new(DpmSolver::new(schedule, Some(noise))),
            SamplerKind::UniPc => Box::new(UniPc::new(schedule, self.solver_order, self.num_inference_steps)),
            SamplerKind::Heun => Box::new(Heun::new(schedule, 1.0, noise)),
            SamplerKind::Edm => Box::new(Heun::new(schedule, self.s_noise, noise)),
        }
    }
}
