//! The noise levels of a sampling.

use super::{Conditioning, Config, check::require};
use crate::Result;
use pig_diffusion::{
    sampler::SamplerKind,
    schedule::Schedule,
    timesteps::{TimestepSpacing, Timesteps},
};

impl Config {
    /// The transitions of a sampling, one for each evaluation of the networks.
    pub fn timesteps(&self) -> Result<Timesteps> {
        Ok(self.levels()?.1)
    }

    /// The noise schedule of a sampling, and its transitions.
    pub fn levels(&self) -> Result<(Schedule, Timesteps)> {
        Ok(self.sample.sampler_settings().levels(&Schedule::new(&self.schedule)?)?)
    }

    /// Refuses settings that the chosen sampler does not have.
    pub(super) fn check_sampler(&self) -> Result<()> {
        let (sample, kind) = (&self.sample, self.sample.sampler);
        let (is_ddim, is_ddpm) = (kind == SamplerKind::Ddim, kind == SamplerKind::Ddpm);
        require(
            is_ddim || sample.set_alpha_to_one,
            "sample.set_alpha_to_one",
            sample.set_alpha_to_one,
            "true with any sample.sampler but \"ddim\"",
        )?;
        require(
            !(is_ddim || is_ddpm) || !sample.use_karras_sigmas,
            "sample.use_karras_sigmas",
            sample.use_karras_sigmas,
            "false with sample.sampler = \"ddim\" or \"ddpm\"",
        )?;
        let order = sample.solver_order;
        require((1..=3).contains(&order), "sample.solver_order", order, "1, 2 or 3")?;
        let not_negative = |key, value: f64| require(value.is_finite() && value >= 0.0, key, value, "0 or more");
        not_negative("sample.s_churn", sample.s_churn)?;
        not_negative("sample.s_tmin", sample.s_tmin)?;
        not_negative("sample.s_noise", sample.s_noise)?;
        let churn = sample.s_churn;
        require(churn == 0.0 || kind == SamplerKind::Edm, "sample.s_churn", churn, "0 with any sampler but \"edm\"")?;
        let most = sample.s_tmax.unwrap_or(f64::INFINITY);
        require(most > sample.s_tmin, "sample.s_tmax", most, "a number above sample.s_tmin, or no such key")
    }

    /// Refuses samplers that do not fit the model: with zero terminal SNR sampling must start at T, and with `xprev` x_{t-1} must be at
    /// a timestep of the training.
    pub(super) fn check_levels(&self) -> Result<()> {
        let (sample, kind) = (&self.sample, self.sample.sampler);
        let of_karras = sample.use_karras_sigmas || kind == SamplerKind::Edm;
        let word = toml::Value::try_from(kind).map(|word| word.to_string()).unwrap_or_default();
        if self.schedule.rescale_zero_terminal_snr {
            let leading = sample.timestep_spacing == TimestepSpacing::Leading && !of_karras;
            let expected = "\"trailing\" with schedule.rescale_zero_terminal_snr: sampling must start at t = T, \
                            where the image is nothing but noise (Lin et al. 2024)";
            require(!leading, "sample.timestep_spacing", "\"leading\"", expected)?;
            let expected =
                "another sampler with schedule.rescale_zero_terminal_snr: Heun's method needs a finite sigma at t = T";
            require(!kind.looks_twice(), "sample.sampler", &word, expected)?;
        }
        if self.model_y.conditioning == Conditioning::Xprev {
            let expected = "another sampler with model_y.conditioning = \"xprev\": \
                            the second evaluation of each step has no x_{t-1}";
            require(!kind.looks_twice(), "sample.sampler", &word, expected)?;
            let expected =
                "false with model_y.conditioning = \"xprev\", which is trained at the schedule's noise levels";
            require(!of_karras, "sample.use_karras_sigmas", true, expected)?;
        }
        Ok(())
    }
}
