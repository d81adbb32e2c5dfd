//! How the networks of a configuration are scaled.

use super::{Config, Method, PreconditioningKind, check::require, word};
use crate::{Result, role::Role};
use pig_diffusion::schedule::Schedule;
use pig_nn::preconditioning::{Preconditioning, Second};

impl Config {
    /// The scaling of the U-Net of this role, if it is trained here with one. `schedule` is that of this configuration. Strengths that were
    /// not measured yet are 1.
    pub fn preconditioning(&self, role: Role, schedule: &Schedule) -> Option<Preconditioning> {
        let config = &self.preconditioning;
        if config.kind == PreconditioningKind::None || self.is_frozen(role) {
            return None;
        }
        let bands = self.space(role).bands();
        let or_one = |strength: &Vec<f64>, channels: usize| {
            if strength.is_empty() { vec![1.0; bands * channels] } else { strength.clone() }
        };
        let mask = or_one(&config.mask_strength, self.data.mask_channels());
        let image = or_one(&config.image_strength, self.data.channels.count());
        let schedule = schedule.clone();
        Some(match role {
            Role::ModelX | Role::Joint => Preconditioning::new(schedule, &mask, (Second::Noisy, &image)),
            _ => Preconditioning::new(schedule, &image, (Second::Clean, &mask)),
        })
    }

    pub(super) fn check_preconditioning(&self) -> Result<()> {
        let config = &self.preconditioning;
        let (key, found) = ("preconditioning.kind", word(&config.kind));
        if config.kind == PreconditioningKind::None {
            let are_empty = config.mask_strength.is_empty() && config.image_strength.is_empty();
            return require(are_empty, key, found, "\"strength\" with preconditioning.mask_strength or image_strength");
        }
        let is_known = !matches!(self.method, Method::Controlnet | Method::Ldm) && !self.has_latents();
        require(is_known, key, &found, "\"none\" with controlnet, ldm and latents: their networks are not scaled")?;
        let bands = self.trained_space().bands();
        for (key, strength, channels) in [
            ("preconditioning.mask_strength", &config.mask_strength, self.data.mask_channels()),
            ("preconditioning.image_strength", &config.image_strength, self.data.channels.count()),
        ] {
            let expected = format!(
                "{} numbers (as many as the networks have channels), or none to measure them",
                bands * channels
            );
            let is_whole = strength.is_empty() || strength.len() == bands * channels;
            require(is_whole, key, format!("{} numbers", strength.len()), &expected)?;
            let is_strength = |value: &f64| value.is_finite() && *value >= 0.0;
            require(strength.iter().all(is_strength), key, format!("{strength:?}"), "numbers of 0 or more")?;
        }
        Ok(())
    }
}
