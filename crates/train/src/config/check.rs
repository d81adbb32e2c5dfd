//! The rules that a configuration must satisfy beyond the types of its keys.

use crate::{
    Error, Result,
    config::{AutoguidedMembers, Conditioning, Config, FrozenCondition, Members, Method, PreconditioningKind, word},
    role::{NetworkKind, Role},
};
use pig_data::{DataConfig, SpaceKind};
use pig_diffusion::{prediction::PredictionType, schedule::Schedule};
use pig_nn::space::MOST_HAAR_LEVELS;

/// The largest batch, or other number of things that are made at once.
pub const MOST_AT_ONCE: usize = 1_000_000;
/// The largest number of optimiser steps of one network.
pub const MOST_STEPS: usize = 1_000_000_000;
/// The most channels of a level of a network.
const MOST_CHANNELS: usize = 65_536;
/// The most levels of a network; each halves height and width.
const MOST_LEVELS: usize = 16;
/// The most blocks in a level of a network.
const MOST_LAYERS: usize = 1_000;

impl Config {
    /// Checks ranges, and settings that cannot be used together.
    pub fn check(&self) -> Result<()> {
        self.data.check()?;
        Schedule::new(&self.schedule)?;
        self.check_networks()?;
        self.check_levels()?;
        self.timesteps()?;
        if self.has_latents() {
            self.autoencoder.validate(self.data.slice_size())?;
        }
        self.check_space()?;
        self.check_preconditioning()?;
        self.check_volumes()?;
        for role in self.unet_roles() {
            let unet = self.unet(role);
            unet.validate()?;
            let is_told_more = unet.embedding_width() != unet.time_embedding_width();
            require(
                self.is_frozen(role) || !is_told_more,
                "include_*_input",
                true,
                "false: networks with these inputs can be imported, but not trained",
            )?;
            let [_, height, width] = self.extent(role);
            self.unet(role).check_size([height, width])?;
        }
        self.check_belonging()?;
        self.check_classes()?;
        self.check_frozen()?;
        self.check_train()?;
        self.check_sample()?;
        self.check_sampler()?;
        self.check_refinements()?;
        self.check_schedule()
    }

    /// Refuses networks that are too large for any machine, before anything is computed from their numbers.
    fn check_networks(&self) -> Result<()> {
        for (key, unet) in [("model_x", &self.model_x), ("model_y", &self.model_y.unet)] {
            require_channels(&format!("{key}.block_out_channels"), &unet.block_out_channels)?;
            require_count(&format!("{key}.layers_per_block"), unet.layers_per_block, MOST_LAYERS)?;
            require_count(&format!("{key}.num_class_embeds"), unet.num_class_embeds.unwrap_or(1), MOST_AT_ONCE)?;
        }
        let embedding = &self.control.conditioning_embedding_out_channels;
        require_channels("control.conditioning_embedding_out_channels", embedding)?;
        let autoencoder = &self.autoencoder;
        require_channels("autoencoder.block_out_channels", &autoencoder.block_out_channels)?;
        require_count("autoencoder.layers_per_block", autoencoder.layers_per_block, MOST_LAYERS)?;
        let decoder = autoencoder.decoder_layers_per_block.unwrap_or(autoencoder.layers_per_block);
        require_count("autoencoder.decoder_layers_per_block", decoder, MOST_LAYERS)?;
        require_count("autoencoder.latent_channels", autoencoder.latent_channels, MOST_CHANNELS)
    }

    /// The networks that `[model_x]` or `[model_y]` describes.
    fn unet_roles(&self) -> impl Iterator<Item = Role> {
        self.roles().iter().copied().filter(|role| role.kind() != NetworkKind::Autoencoder)
    }

    /// Checks that the pictures consist of whole blocks of the Haar transform, and that the first level of each network has a channel for
    /// each band that it predicts.
    fn check_space(&self) -> Result<()> {
        let levels = self.data.haar_levels;
        if self.data.space == SpaceKind::Pixels {
            let expected = "no such key with data.space = \"pixels\"";
            return require(levels == DataConfig::default().haar_levels, "data.haar_levels", levels, expected);
        }
        let pixels = "\"pixels\" with an autoencoder: its latents are a smaller grid already";
        require(!self.has_latents(), "data.space", "\"haar\"", pixels)?;
        require_count("data.haar_levels", levels, MOST_HAAR_LEVELS)?;
        let side = 1 << levels;
        let ([height, width], slices) = (self.data.slice_size(), self.data.slices);
        let expected = format!("multiples of {side} with data.haar_levels = {levels}");
        let size = format!("{height} x {width}");
        require(height.is_multiple_of(side) && width.is_multiple_of(side), "data.size", size, &expected)?;
        let are_whole = !self.has_volumes() || slices.is_multiple_of(side);
        require(are_whole, "data.slices", slices, &format!("a multiple of {side} with data.haar_levels = {levels}"))?;
        for role in self.unet_roles() {
            let (unet, [_, predicted]) = (self.unet(role), self.unet_channels(role));
            let first = unet.block_out_channels.first().copied().unwrap_or(0);
            // Noise of more channels than the first level has cannot pass through it, and to predict the noise it must.
            // With preconditioning, a network need not copy the noise.
            let passes = first >= predicted
                || unet.prediction_type == PredictionType::Sample
                || self.preconditioning.kind == PreconditioningKind::Strength;
            let key = format!("{}.block_out_channels", role.section().key());
            let expected = format!(
                "at least {predicted} in the first level with data.haar_levels = {levels}, prediction_type = \"sample\", or \
                 preconditioning.kind = \"strength\""
            );
            require(passes, &key, first, &expected)?;
        }
        Ok(())
    }

    /// Checks that all networks have the axes of the data, and that volumes can be halved at every level of the networks.
    fn check_volumes(&self) -> Result<()> {
        let slices = self.data.slices;
        let (axes, expected) = if self.has_volumes() {
            (3, "3: with data.slices above 1 the pictures are volumes")
        } else {
            (2, "2: the data are pictures; set data.slices for volumes, whose slices lie below each other")
        };
        if self.has_latents() {
            let found = self.autoencoder.spatial_dims;
            require(found == axes, "autoencoder.spatial_dims", found, expected)?;
            let factor = if self.has_volumes() { self.autoencoder.factor() } else { 1 };
            require(slices.is_multiple_of(factor), "data.slices", slices, &format!("a multiple of {factor}"))?;
        }
        let can_deepen = self.method.has_volumes();
        let others = "1 with this method; only pig, joint, ddpm, ddim and seg-guided are trained on volumes";
        require(can_deepen || !self.has_volumes(), "data.slices", slices, others)?;
        for role in self.unet_roles() {
            let found = self.unet(role).spatial_dims;
            let key = role.section().key();
            require(found == axes, &format!("{key}.spatial_dims"), found, expected)?;
            let divisor = 1 << (self.unet(role).block_out_channels.len().max(1) - 1);
            let multiple = slices / self.extent(role)[0].max(1) * divisor;
            let halved = format!("a multiple of {multiple}, so that {key} can halve the slices at each level");
            require(!self.has_volumes() || slices.is_multiple_of(multiple), "data.slices", slices, &halved)?;
        }
        Ok(())
    }

    /// Checks the settings of a model_y that was trained elsewhere.
    pub(crate) fn check_frozen(&self) -> Result<()> {
        let (model_y, frozen) = (&self.model_y, &self.model_y.frozen);
        require(
            model_y.conditioning != Conditioning::Xprev || frozen.model.is_none(),
            "model_y.conditioning",
            "\"xprev\"",
            "\"xhat\" or \"clean\" with model_y.frozen.model, which was not trained on x_{t-1} with any stride",
        )?;
        let dropout = self.train.condition_dropout;
        let is_whole = frozen.model.is_none() || dropout == 0.0;
        require(is_whole, "train.condition_dropout", dropout, "0 with model_y.frozen.model, which is not trained")?;
        let is_weighted = frozen.model.is_none() || self.train.min_snr_members == Members::Pair;
        let expected =
            "\"pair\" with model_y.frozen.model: only masks are learned, and \"image\" gives their errors no weights";
        require(is_weighted, "train.min_snr_members", "\"image\"", expected)?;
        let has_control = frozen.control.is_some();
        let is_controlled = frozen.condition == FrozenCondition::Controlnet;
        let expected = if is_controlled { "the control network's folder with" } else { "no such key without" };
        require(
            has_control == is_controlled,
            "model_y.frozen.control",
            if has_control { "a path" } else { "nothing" },
            &format!("{expected} model_y.frozen.condition = \"controlnet\""),
        )?;
        let (classes, areas) = (&frozen.classes, &frozen.class_areas);
        let fits = match frozen.condition {
            FrozenCondition::Class => classes.len() == areas.len() + 1,
            FrozenCondition::Channels | FrozenCondition::Controlnet => classes.len() <= 1,
        };
        require(
            fits,
            "model_y.frozen.classes",
            format!("{classes:?}"),
            "one class more than frozen.class_areas with frozen.condition = \"class\", and one or none without it",
        )?;
        require(
            (classes.len() > areas.len() || areas.is_empty())
                && areas.iter().all(|area| (0.0..1.0).contains(area))
                && areas.windows(2).all(|pair| pair[0] < pair[1]),
            "model_y.frozen.class_areas",
            format!("{areas:?}"),
            "rising shares of the picture, 0 or more and below 1, with frozen.condition = \"class\"",
        )?;
        if let Some(labels) = &frozen.labels {
            let differ = labels.iter().enumerate().all(|(index, label)| !labels[..index].contains(label));
            let count = 1 + self.data.mask_channels();
            // Before the data are read, how many classes there are may not be known.
            let fits = labels.len() == count || self.data.may_find_classes() && labels.len() >= 2;
            require(
                is_controlled && differ && fits && frozen.mask_values.is_none(),
                "model_y.frozen.labels",
                format!("{labels:?}"),
                &format!(
                    "{count} different labels, with frozen.condition = \"controlnet\" and without frozen.mask_values"
                ),
            )?;
        }
        let values = frozen.mask_values.unwrap_or([-1.0, 1.0]);
        require(
            values.iter().all(|value| value.is_finite()) && values[0] != values[1],
            "model_y.frozen.mask_values",
            format!("{values:?}"),
            "two different numbers, for background and for lesion",
        )
    }

    fn check_train(&self) -> Result<()> {
        let train = &self.train;
        for (key, value) in [
            ("train.batch_size", train.batch_size),
            ("train.gradient_accumulation_steps", train.gradient_accumulation_steps),
            ("sample.batch_size", self.sample.batch_size),
            ("sample.jump_n_sample", self.sample.jump_n_sample),
        ] {
            require_count(key, value, MOST_AT_ONCE)?;
        }
        require(
            train.micro_batch_size <= MOST_AT_ONCE,
            "train.micro_batch_size",
            train.micro_batch_size,
            &format!("0 (a whole batch) to {MOST_AT_ONCE}"),
        )?;
        require(train.log_every > 0, "train.log_every", train.log_every, "1 or more")?;
        for (key, steps) in [
            ("train.steps", Some(train.steps)),
            ("train.model_x_steps", train.model_x_steps),
            ("train.base_steps", train.base_steps),
            ("train.autoencoder_steps", train.autoencoder_steps),
        ] {
            let steps = steps.unwrap_or(0);
            require(steps <= MOST_STEPS, key, steps, &format!("at most {MOST_STEPS}"))?;
            // Images are numbered.
            let images = [train.batch_size, train.gradient_accumulation_steps]
                .iter()
                .try_fold(steps, |product, &factor| product.checked_mul(factor));
            let expected =
                "fewer images: train.batch_size * train.gradient_accumulation_steps * steps must be below 2^63";
            require(images.is_some_and(|images| i64::try_from(images).is_ok()), key, steps, expected)?;
        }
        let share = |key, value: f64| require((0.0..1.0).contains(&value), key, value, "0 or more and below 1");
        share("train.adam_beta1", train.adam_beta1)?;
        share("train.adam_beta2", train.adam_beta2)?;
        share("train.ema_decay", train.ema_decay)?;
        share("model_x.dropout", self.model_x.dropout)?;
        share("model_y.dropout", self.model_y.unet.dropout)?;
        let probability = train.clean_condition_prob;
        require((0.0..=1.0).contains(&probability), "train.clean_condition_prob", probability, "0 to 1")?;
        share("train.condition_dropout", train.condition_dropout)?;
        share("train.mask_ablation_prob", train.mask_ablation_prob)?;
        share("train.clean_level_prob", train.clean_level_prob)?;
        let unlabelled = train.unlabelled_share;
        require(
            unlabelled > 0.0 && unlabelled < 1.0,
            "train.unlabelled_share",
            unlabelled,
            "above 0 and below 1; without images that have no masks it changes nothing",
        )?;
        let positive = |key, value: f64| require(value.is_finite() && value > 0.0, key, value, "a number above 0");
        positive("train.learning_rate", train.learning_rate)?;
        positive("train.plateau_factor", train.plateau_factor)?;
        positive("train.log_normal_std", train.log_normal_std)?;
        let (watched, previews) = (train.watch_samples, train.preview_every);
        require(watched <= MOST_AT_ONCE, "train.watch_samples", watched, &format!("0 to {MOST_AT_ONCE}"))?;
        if let Some(share) = train.stop_on_copies {
            let key = "train.stop_on_copies";
            require(share > 0.05 && share <= 1.0, key, share, "above 0.05, which is expected, and at most 1")?;
            let expected = "no such key without train.preview_every and train.watch_samples";
            require(watched > 0 && previews > 0, key, share, expected)?;
        }
        positive("train.planned_hours", train.planned_hours.unwrap_or(1.0))?;
        let mean = train.log_normal_mean;
        require(mean.is_finite(), "train.log_normal_mean", mean, "a number")?;
        let not_negative = |key, value: f64| require(value.is_finite() && value >= 0.0, key, value, "0 or more");
        not_negative("train.weight_decay", train.weight_decay)?;
        not_negative("train.kl_weight", train.kl_weight)?;
        not_negative("train.pyramid_weight", train.pyramid_weight)?;
        not_negative("train.clip_grad_norm", train.clip_grad_norm)
    }

    fn check_sample(&self) -> Result<()> {
        let sample = &self.sample;
        require((0.0..=1.0).contains(&sample.eta), "sample.eta", sample.eta, "0 to 1")?;
        require(
            (-1.0..=1.0).contains(&sample.mask_threshold),
            "sample.mask_threshold",
            sample.mask_threshold,
            "-1 to 1",
        )?;
        require(
            sample.guidance_scale.is_finite() && sample.guidance_scale >= 0.0,
            "sample.guidance_scale",
            sample.guidance_scale,
            "0 or more",
        )?;
        require(
            sample.guidance_scale == 1.0 || self.train.condition_dropout > 0.0,
            "sample.guidance_scale",
            sample.guidance_scale,
            "1 without train.condition_dropout: the network never saw the null condition",
        )?;
        require(
            !sample.match_contrast || self.train.condition_dropout > 0.0,
            "sample.match_contrast",
            sample.match_contrast,
            "false without train.condition_dropout: the network never saw the null condition",
        )?;
        require(
            !sample.match_contrast || sample.guidance_scale == 1.0,
            "sample.guidance_scale",
            sample.guidance_scale,
            "1 with sample.match_contrast, which finds the scale; for a scale of your own, set sample.match_contrast to false",
        )?;
        self.check_autoguidance()?;
        require(
            self.model_y.conditioning != Conditioning::Xprev || !sample.guide_threshold,
            "sample.guide_threshold",
            sample.guide_threshold,
            "false with model_y.conditioning = \"xprev\", whose guide is x_{t-1}",
        )
    }

    fn check_autoguidance(&self) -> Result<()> {
        let guidance = &self.sample.autoguidance;
        if let Some([low, high]) = self.sample.guidance_interval {
            require(
                low >= 0.0 && high > low,
                "sample.guidance_interval",
                format!("[{low}, {high}]"),
                "the least and the greatest sigma, such as [0.2, 3.0]",
            )?;
        }
        let (scale, key) = (guidance.scale, "sample.autoguidance.scale");
        require(scale.is_finite() && scale >= 0.0, key, scale, "0 or more; 1 for no autoguidance")?;
        let has_source = guidance.step.is_some() || guidance.run.is_some();
        let keeps = !self.train.keep_checkpoints.is_empty();
        let expected = "1 without sample.autoguidance.step, sample.autoguidance.run or train.keep_checkpoints, which name the worse networks";
        require(!guidance.is_on() || has_source || keeps, key, scale, expected)?;
        let expected = "another value than 1 with sample.autoguidance.step or sample.autoguidance.run";
        require(guidance.is_on() || !has_source, key, scale, expected)?;
        let needs_mask = guidance.members == AutoguidedMembers::Mask;
        let has_guider = self.method == Method::Pig;
        let key = "sample.autoguidance.members";
        require(!needs_mask || has_guider, key, "\"mask\"", "another value without a guider")?;
        let is_apart = self.method != Method::Joint || guidance.members == AutoguidedMembers::Pair;
        require(
            is_apart,
            key,
            format!("{:?}", word(&guidance.members)),
            "\"pair\" with method = \"joint\", whose one network makes both",
        )?;
        let is_controlled = guidance.is_on() && self.method == Method::Controlnet;
        let expected = "1 with method = \"controlnet\"";
        require(!is_controlled, "sample.autoguidance.scale", scale, expected)?;
        let is_frozen = self.is_frozen(Role::ModelY) && guidance.is_on();
        let own = !is_frozen || needs_mask;
        require(
            own,
            key,
            format!("{:?}", word(&guidance.members)),
            "\"mask\" with model_y.frozen.model, of which there is no worse version",
        )?;
        // A training must not end in networks that cannot be sampled as their configuration says.
        let guided = self.trained_roles().filter(|&role| guidance.is_on() && guidance.members.have(role));
        let (least, step) =
            (guided.map(|role| self.steps(role)).min(), guidance.worse_step(&self.train.keep_checkpoints));
        if let (Some(least), Some(step), None) = (least, step, &guidance.run) {
            let key = if guidance.step.is_some() { "sample.autoguidance.step" } else { "train.keep_checkpoints" };
            require(
                step <= least,
                key,
                step,
                &format!(
                    "at most {least}, the steps of the network that autoguidance guides; --steps-scale changes all steps together"
                ),
            )?;
        }
        Ok(())
    }

    /// Checks min-SNR weights, offset noise, noise on the condition, and a guider that is evaluated less often.
    fn check_refinements(&self) -> Result<()> {
        let (train, sample) = (&self.train, &self.sample);
        let not_negative = |key, value: f64| require(value.is_finite() && value >= 0.0, key, value, "0 or more");
        not_negative("train.noise_offset", train.noise_offset)?;
        if let Some(gamma) = train.min_snr_gamma {
            let key = "train.min_snr_gamma";
            require(gamma.is_finite() && gamma > 0.0, key, gamma, "a number above 0, or no such key")?;
            let zero = self.schedule.rescale_zero_terminal_snr;
            require(!zero, key, gamma, "no such key with schedule.rescale_zero_terminal_snr: t = T would weigh 0")?;
        }
        let (trained, sampled) = (train.condition_augmentation, sample.condition_augmentation);
        let most = self.schedule.num_train_timesteps;
        let is_pig = self.method == Method::Pig && self.model_y.conditioning != Conditioning::Xprev;
        let key = "train.condition_augmentation";
        require(trained <= most, key, trained, "0 to schedule.num_train_timesteps")?;
        let unless = "0 unless method = \"pig\" and model_y.conditioning is \"xhat\" or \"clean\"";
        require(trained == 0 || is_pig, key, trained, unless)?;
        let key = "sample.condition_augmentation";
        require(
            sampled <= trained,
            key,
            sampled,
            "at most train.condition_augmentation, since model_y saw no more noise in training",
        )?;
        require(sample.guide_every > 0, "sample.guide_every", sample.guide_every, "1 or more")?;
        let has_guider = self.method == Method::Pig;
        require(sample.guide_every == 1 || has_guider, "sample.guide_every", sample.guide_every, "1 without a guider")?;
        let from = sample.guide_every_alpha_bar;
        require((0.0..=1.0).contains(&from), "sample.guide_every_alpha_bar", from, "0 to 1")
    }

    /// Refuses networks that predict the noise if alpha_bar_T = 0: there the noise says nothing about the image.
    fn check_schedule(&self) -> Result<()> {
        for role in self.unet_roles() {
            let prediction = self.unet(role).prediction_type;
            require(
                !self.schedule.rescale_zero_terminal_snr || prediction != PredictionType::Epsilon,
                "schedule.rescale_zero_terminal_snr",
                true,
                "false with prediction_type = \"epsilon\", or prediction_type \"v_prediction\" or \"sample\"",
            )?;
        }
        Ok(())
    }
}

/// Fails unless `found` is a number from 1 to `most`.
pub fn require_count(key: &str, found: usize, most: usize) -> Result<()> {
    require((1..=most).contains(&found), key, found, &format!("1 to {most}"))
}

/// Fails unless these can be the channels of a network's levels.
pub fn require_channels(key: &str, channels: &[usize]) -> Result<()> {
    require(
        channels.len() <= MOST_LEVELS,
        key,
        format!("{} levels", channels.len()),
        &format!("at most {MOST_LEVELS}"),
    )?;
    channels.iter().try_for_each(|&channels| require_count(key, channels, MOST_CHANNELS))
}

/// Unless `holds`, fails with the key, its value and the expected value.
pub fn require(holds: bool, key: &str, found: impl std::fmt::Display, expected: &str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Setting { key: key.to_owned(), found: found.to_string(), expected: expected.to_owned() })
}

#[cfg(test)]
mod tests {
    use crate::config::Layers;

    #[test]
    fn absurd_numbers_are_refused_by_their_key() {
        let huge = "9000000000000000000";
        let levels = format!("[{}]", vec!["8"; 65].join(", "));
        for (key, value, expected) in [
            ("schedule.num_train_timesteps", "4000000000", "1 to 100000"),
            ("train.batch_size", huge, "1 to 1000000"),
            ("train.gradient_accumulation_steps", huge, "1 to 1000000"),
            ("train.steps", huge, "at most 1000000000"),
            ("train.model_x_steps", huge, "at most 1000000000"),
            ("sample.batch_size", huge, "1 to 1000000"),
            ("sample.jump_n_sample", huge, "1 to 1000000"),
            ("sample.num_inference_steps", huge, "1 to 1024"),
            ("model_x.layers_per_block", huge, "1 to 1000"),
            ("model_y.block_out_channels", "[9000000000000000000]", "1 to 65536"),
            ("model_y.block_out_channels", &levels, "at most 16"),
            ("autoencoder.latent_channels", huge, "1 to 65536"),
            ("control.conditioning_embedding_out_channels", "[9000000000000000000]", "1 to 65536"),
        ] {
            let config = Layers { file: None, sets: vec![format!("{key}={value}")] }.load().unwrap();
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(key) && message.contains(expected), "{key} = {value}: {message}");
        }
        let sets = ["train.batch_size=1000000", "train.gradient_accumulation_steps=1000000", "train.steps=1000000000"];
        let config = Layers { file: None, sets: sets.map(str::to_owned).to_vec() }.load().unwrap();
        assert!(config.check().unwrap_err().to_string().contains("fewer images"));
        let sets =
            ["sample.use_karras_sigmas=true", "sample.sampler=heun", "sample.num_inference_steps=9000000000000000000"];
        let config = Layers { file: None, sets: sets.map(str::to_owned).to_vec() }.load().unwrap();
        assert!(config.check().unwrap_err().to_string().contains("sample.num_inference_steps"));
    }
}
