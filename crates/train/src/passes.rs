//! How often sampling passes through each network, for forecasts of its time.

use crate::{
    Config, Result,
    role::{NetworkKind, Role},
};

/// Forward passes through the network of `role` in which one sample is made, from noise or for a mask: one for each evaluation of the sampler,
/// and a second one where classifier-free guidance acts. Autoguidance adds as many through the worse network, which count like those of the
/// network itself. The scale that `sample.match_contrast` finds may turn out to be none; its passes are counted. `sample.second_pass` makes images, and so takes the network that makes them, twice; images for a given mask are made once. The
/// autoencoder of `ldm` decodes once.
///
/// Of `sample.guidance_interval`, the steps of the schedule that lie in it are counted. `sample.guide_every` leaves passes of the guider out
/// that are counted here, so its number is the greatest that can be. Masks for given images take other passes.
///
/// # Errors
/// When the noise levels of `[schedule]` and `[sample]` are not possible.
pub fn passes(config: &Config, role: Role) -> Result<usize> {
    if role.kind() == NetworkKind::Autoencoder {
        return Ok(1);
    }
    let sample = &config.sample;
    let has_null = config.method.is_mask_conditioned() && role != Role::ModelX;
    let may_guide = sample.guidance_scale != 1.0 || sample.match_contrast;
    let with_null = if has_null && may_guide { 2 } else { 1 };
    let is_moved = sample.autoguidance.is_on() && sample.autoguidance.members.have(role);
    let with_weak = if is_moved { 2 } else { 1 };
    let (schedule, timesteps) = config.levels()?;
    let interval = sample.guided_levels(&schedule);
    let makes_images = role != Role::ModelX || !config.knows_clean_masks();
    let times = if sample.second_pass && makes_images { 2 } else { 1 };
    let once: usize =
        timesteps.iter().map(|at| if interval.contains(&[at.t]) { with_null * with_weak } else { 1 }).sum();
    Ok(times * once)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    /// Passes through each network of a sampling of eight steps.
    fn found(sets: &[&str]) -> Vec<(&'static str, usize)> {
        let sets = ["sample.num_inference_steps=8"].iter().chain(sets).map(|&set| set.to_owned()).collect();
        let config = Layers { file: None, sets }.load().unwrap();
        config.roles().iter().map(|&role| (role.name(), passes(&config, role).unwrap())).collect()
    }

    #[test]
    fn guidance_passes_twice_where_it_acts() {
        let (null, weak) = ("sample.guidance_scale=2", "sample.autoguidance.scale=2");
        let [image, mask] = ["image", "mask"].map(|member| format!("sample.autoguidance.members={member}"));
        assert_eq!(found(&[]), [("model_x", 8), ("model_y", 8)]);
        // The guider has no null condition.
        assert_eq!(found(&[null]), [("model_x", 8), ("model_y", 16)]);
        let matched = ["sample.match_contrast=true", "train.condition_dropout=0.1"];
        assert_eq!(found(&matched), [("model_x", 8), ("model_y", 16)]);
        assert_eq!(found(&[weak]), [("model_x", 16), ("model_y", 16)]);
        assert_eq!(found(&[weak, &image]), [("model_x", 8), ("model_y", 16)]);
        assert_eq!(found(&[weak, &mask]), [("model_x", 16), ("model_y", 8)]);
        // Each of the two passes of one guidance is two of the other.
        assert_eq!(found(&[null, weak]), [("model_x", 16), ("model_y", 32)]);
        // Of t = 1024, 896, .. only the first has a sigma above 100: it is about 178 there, and then about 53.
        let first = "sample.guidance_interval=[100.0, 1000.0]";
        assert_eq!(found(&[null, weak, first]), [("model_x", 9), ("model_y", 11)]);
        let twice = "sample.second_pass=true";
        assert_eq!(found(&[twice, null, "model_y.conditioning=clean"]), [("model_x", 8), ("model_y", 32)]);
        // A model_y that never saw a true mask gets the guider's estimates in the second pass, too.
        assert_eq!(found(&[twice]), [("model_x", 16), ("model_y", 16)]);
        assert_eq!(found(&[twice, "method=joint", "train.noise_levels=independent"]), [("joint", 16)]);
        // Heun's method evaluates twice in each step but the last.
        assert_eq!(found(&[null, "sample.sampler=heun"]), [("model_x", 15), ("model_y", 30)]);
    }

    #[test]
    fn each_method_has_its_own_passes() {
        let null = "sample.guidance_scale=2";
        assert_eq!(found(&["method=joint", null]), [("joint", 8)]);
        assert_eq!(found(&["method=ddim", null]), [("unconditional", 8)]);
        assert_eq!(found(&["method=seg-guided", null]), [("seg_guided", 16)]);
        // The control steers its base, which runs with and without it too.
        assert_eq!(found(&["method=controlnet", null]), [("unconditional", 16), ("control", 16)]);
        assert_eq!(found(&["method=ldm", null]), [("autoencoder", 1), ("latent", 16)]);
    }
}
