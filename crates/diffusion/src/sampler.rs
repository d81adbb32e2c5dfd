//! Which reverse step a sampling takes, and at which noise levels.

use crate::{
    karras::{Churn, KarrasError, edm_levels, karras_levels},
    noise::{NoiseSource, Stream},
    schedule::Schedule,
    step::{Ddim, Ddpm, DpmSolver, Heun, Step, UniPc, VarianceType},
    timesteps::{StepCountError, TimestepSpacing, Timesteps},
};
use serde::{Deserialize, Serialize};

/// The reverse step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// DDIM (Song et al. 2021) with `eta`: the paper, with eta 0.
    #[default]
    Ddim,
    /// Ancestral sampling (Ho et al. 2020).
    Ddpm,
    /// DPM-Solver++(2M) (Lu et al. 2022): second order, deterministic, the networks asked once a step.
    #[serde(rename = "dpm-solver++")]
    DpmSolver,
    /// Its stochastic form, SDE-DPM-Solver++(2M).
    #[serde(rename = "dpm-solver++-sde")]
    DpmSolverSde,
    /// UniPC (Zhao et al. 2023, with "bh2") of `solver_order`: the networks asked once a step.
    UniPc,
    /// Heun's method, second order: the networks asked twice a step, once in the last.
    Heun,
    /// Karras et al. 2022, Algorithm 2: Heun's method on their noise levels, with their noise (`s_churn`).
    Edm,
}

impl SamplerKind {
    /// Whether the networks are asked twice a step.
    pub fn looks_twice(self) -> bool {
        matches!(self, Self::Heun | Self::Edm)
    }
}

/// What decides the steps of a sampling.
#[derive(Clone, Copy, Debug)]
pub struct SamplerSettings {
    /// The reverse step.
    pub sampler: SamplerKind,
    /// Kept timesteps.
    pub num_inference_steps: usize,
    /// Which timesteps are kept.
    pub timestep_spacing: TimestepSpacing,
    /// Whether the noise levels are those of Karras et al. 2022.
    pub use_karras_sigmas: bool,
    /// Order of UniPC: 1, 2 or 3.
    pub solver_order: usize,
    /// Where EDM adds noise.
    pub churn: Churn,
    /// Deviation of the noise that EDM adds.
    pub s_noise: f64,
    /// Noise of DDIM.
    pub eta: f64,
    /// Variance of ancestral sampling.
    pub variance_type: VarianceType,
    /// Whether DDIM's last step ends at alpha_bar = 1.
    pub set_alpha_to_one: bool,
}

/// More steps than there are noise levels.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LevelsError {
    /// More sampling steps than timesteps.
    #[error(transparent)]
    Steps(#[from] StepCountError),
    /// More sampling steps than Karras et al.'s levels can be told apart.
    #[error(transparent)]
    Karras(#[from] KarrasError),
}

impl SamplerSettings {
    /// The schedule at whose noise levels sampling walks, and its moves: one for each time that the networks are asked.
    /// `trained` is the schedule of the training.
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

    /// One chain at its start; `noise` says which, and names the noise of samplers that add some.
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
