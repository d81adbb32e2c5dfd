//! Keys that only some methods use. A key is refused if the method of the configuration ignores it.

use crate::{
    Error, Result,
    config::{
        Config, GivenKind, Members, Method, ModelYConfig, NoiseLevels, SampleConfig, TimestepSampling, TrainConfig,
        check::require,
    },
    role::Role,
};
use pig_diffusion::sampler::SamplerKind;
use pig_nn::{autoencoder::AutoencoderConfig, control::ControlConfig};

impl Config {
    /// Refuses keys that the method would ignore, and sampling steps that it does not allow.
    ///
    /// The sections `[model_x]` and `[model_y]` may describe networks that the method does not have: methods can share a file.
    pub(super) fn check_belonging(&self) -> Result<()> {
        let (train, sample, method) = (&self.train, &self.sample, self.method);
        let (no_train, no_sample, no_model_y) =
            (TrainConfig::default(), SampleConfig::default(), ModelYConfig::default());
        let is_pig = method == Method::Pig;
        let belongs = |key: &str, belongs: bool, is_default: bool, to: &str| {
            if belongs || is_default {
                return Ok(());
            }
            Err(Error::Foreign { key: key.to_owned(), method: method.word(), to: to.to_owned() })
        };
        let pig = "method = \"pig\"";
        belongs("model_y.conditioning", is_pig, self.model_y.conditioning == no_model_y.conditioning, pig)?;
        belongs("model_y.frozen", is_pig, self.model_y.frozen == no_model_y.frozen, pig)?;
        let has_model = self.model_y.frozen.model.is_some();
        let model = "a frozen model (set model_y.frozen.model to use one)";
        belongs("model_y.frozen", has_model, self.model_y.frozen == no_model_y.frozen, model)?;
        belongs("model_y.loss_weight", is_pig, self.model_y.loss_weight == no_model_y.loss_weight, pig)?;
        belongs(
            "train.clean_condition_prob",
            is_pig,
            train.clean_condition_prob == no_train.clean_condition_prob,
            pig,
        )?;
        belongs("train.model_x_steps", is_pig, train.model_x_steps == no_train.model_x_steps, pig)?;
        belongs("sample.guide_threshold", is_pig, sample.guide_threshold == no_sample.guide_threshold, pig)?;
        belongs(
            "sample.second_pass",
            method.makes_masks() && self.takes(GivenKind::Masks),
            !sample.second_pass,
            "methods that make pairs, and images for masks: \"pig\", and \"joint\" with train.noise_levels = \"independent\"",
        )?;
        belongs(
            "train.condition_dropout",
            method.is_mask_conditioned(),
            train.condition_dropout == no_train.condition_dropout,
            "methods whose image network is conditioned on a mask",
        )?;
        belongs(
            "train.mask_ablation_prob",
            method == Method::SegGuided,
            train.mask_ablation_prob == no_train.mask_ablation_prob,
            "method = \"seg-guided\"",
        )?;
        belongs(
            "train.unlabelled",
            self.trained_roles().any(Role::takes_unlabelled),
            train.unlabelled == no_train.unlabelled,
            "methods with an image network of their own that can do without the mask (not \"joint\", and not a frozen model_y)",
        )?;
        belongs(
            "data.augment.told",
            !has_control_or_latents(self),
            !self.data.augment.told.is_on(),
            "methods whose networks are all U-Nets on pixels (not \"controlnet\", \"ldm\" or a frozen model_y)",
        )?;
        let is_log_normal = train.timestep_sampling == TimestepSampling::LogNormal;
        let log_normal = "train.timestep_sampling = \"log-normal\"";
        belongs("train.log_normal_mean", is_log_normal, train.log_normal_mean == no_train.log_normal_mean, log_normal)?;
        belongs("train.log_normal_std", is_log_normal, train.log_normal_std == no_train.log_normal_std, log_normal)?;
        let controlnet = "method = \"controlnet\"";
        let has_control = method == Method::Controlnet;
        belongs("control", has_control, self.control == ControlConfig::default(), controlnet)?;
        belongs("train.base_steps", has_control, train.base_steps == no_train.base_steps, controlnet)?;
        let (joint, is_joint) = ("method = \"joint\"", method == Method::Joint);
        belongs("train.noise_levels", is_joint, train.noise_levels == no_train.noise_levels, joint)?;
        let is_independent = train.noise_levels == NoiseLevels::Independent;
        let has_default = train.clean_level_prob == no_train.clean_level_prob;
        belongs("train.clean_level_prob", is_independent, has_default, "train.noise_levels = \"independent\"")?;
        let all_unets = !has_control && method != Method::Ldm && train.noise_levels == NoiseLevels::Shared;
        belongs(
            "train.gradient_checkpointing",
            all_unets,
            !train.gradient_checkpointing,
            "methods whose networks are all U-Nets with one timestep as input",
        )?;
        belongs(
            "train.min_snr_members",
            train.min_snr_gamma.is_some() && is_pig,
            train.min_snr_members == Members::Pair,
            "train.min_snr_gamma with method = \"pig\"",
        )?;
        let (ldm, is_ldm) = ("method = \"ldm\"", method == Method::Ldm);
        let has_autoencoder = is_ldm || self.model_y.frozen.autoencoder.is_some();
        belongs("autoencoder", has_autoencoder, self.autoencoder == AutoencoderConfig::default(), ldm)?;
        belongs("train.autoencoder_steps", is_ldm, train.autoencoder_steps == no_train.autoencoder_steps, ldm)?;
        belongs("train.kl_weight", is_ldm, train.kl_weight == no_train.kl_weight, ldm)?;
        belongs("train.pyramid_weight", is_ldm, train.pyramid_weight == no_train.pyramid_weight, ldm)?;
        let pixels = "methods that denoise pixels, since latents are not limited to -1 to 1";
        belongs("sample.clip_sample", !self.has_latents(), sample.clip_sample == no_sample.clip_sample, pixels)?;
        self.check_steps_of_ddpm()
    }

    /// `ddpm` is ancestral sampling at all timesteps by definition; anything else on its network is `ddim`.
    fn check_steps_of_ddpm(&self) -> Result<()> {
        let (sample, last) = (&self.sample, self.schedule.num_train_timesteps);
        let word = |kind: SamplerKind| serde_json::to_string(&kind).unwrap_or_default();
        let is_ddpm = sample.sampler == SamplerKind::Ddpm;
        if self.method == Method::Ddpm {
            let other = "with method = \"ddpm\"; `--set method=ddim` samples the same network in other ways";
            require(is_ddpm, "sample.sampler", word(sample.sampler), &format!("ddpm {other}"))?;
            require(
                sample.num_inference_steps == last,
                "sample.num_inference_steps",
                sample.num_inference_steps,
                &format!("all {last} {other}"),
            )?;
        }
        require(
            self.method != Method::Ddim || !is_ddpm,
            "sample.sampler",
            word(sample.sampler),
            "another sampler with method = \"ddim\"; ancestral sampling is method = \"ddpm\"",
        )
    }
}

fn has_control_or_latents(config: &Config) -> bool {
    config.method == Method::Controlnet || config.has_latents() || config.is_frozen(Role::ModelY)
}
