//! The reverse step that a configuration asks for.

use crate::config::{SampleConfig, SamplerKind};
use pig_diffusion::{
    noise::{NoiseSource, Stream},
    schedule::Schedule,
    step::{Ddim, Ddpm, DpmSolver, Heun, Step, UniPc},
};

/// One chain at its start; `noise` says which, and names the noise of samplers that add some.
pub(crate) fn stepper<'a>(
    sample: &SampleConfig,
    schedule: &'a Schedule,
    noise: (NoiseSource, Stream),
) -> Box<dyn Step + 'a> {
    match sample.sampler {
        SamplerKind::Ddim => {
            Box::new(Ddim { schedule, eta: sample.eta, set_alpha_to_one: sample.set_alpha_to_one, noise })
        }
        SamplerKind::Ddpm => Box::new(Ddpm { schedule, variance: sample.variance_type, noise }),
        SamplerKind::DpmSolver => Box::new(DpmSolver::new(schedule, None)),
        SamplerKind::DpmSolverSde => Box::new(DpmSolver::new(schedule, Some(noise))),
        SamplerKind::UniPc => Box::new(UniPc::new(schedule, sample.solver_order, sample.num_inference_steps)),
        SamplerKind::Heun => Box::new(Heun::new(schedule, 1.0, noise)),
        SamplerKind::Edm => Box::new(Heun::new(schedule, sample.s_noise, noise)),
    }
}
