//! The settings of a plan, each with its reason. The numbers in them are those of the rules.

use crate::recipe::rules::{
    AVERAGED_SHARE, CONDITION_DROPOUT, FEW_PAIRS, Facts, GUIDER_SHARE, IMAGES_OF_A_WORKER, LEARNING_RATE,
    LEAST_LESION_AT_64, Length, MOST_EPOCHS, MOST_UNLABELLED, OPTIMIZER, SIZES, Shape, VALIDATIONS, WARM_UP_SHARE,
    WORSE_SHARE,
};

/// A setting with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The section, such as `train`.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// The value in TOML.
    pub value: String,
    /// Why, with the figure that decided.
    pub reason: String,
}

impl Facts {
    /// The settings of a training of `shape`.
    pub fn settings(&self, shape: &Shape, length: Length) -> Vec<Setting> {
        let mut settings = self.data(shape);
        settings.extend(self.networks(shape));
        settings.extend(self.training(length));
        settings.extend(Self::sampling(shape, length));
        settings
    }

    fn data(&self, shape: &Shape) -> Vec<Setting> {
        let (survey, side) = (&self.survey, self.shorter_side());
        let add = |key, value: String, reason: String| Setting { section: "data", key, value, reason };
        let mut settings = vec![
            add("size", shape.size.to_string(), self.size_reason(shape.size, side)),
            add(
                "channels",
                self.channels().to_string(),
                format!("{} of {} images are in colour", survey.colours.coloured, survey.colours.total),
            ),
        ];
        if self.is_padded() {
            let reason = "some images are not square, and stretching would change the form of lesions";
            settings.push(add("resize", "\"pad\"".to_owned(), reason.to_owned()));
        }
        if let pig_data::GroupSource::Column(name) = &survey.by {
            let reason = format!("the split keeps its {} groups together", survey.groups);
            settings.push(add("group_column", format!("{name:?}"), reason));
        }
        if let Some(threshold) = self.mask_threshold {
            let reason = "the masks have gray values at their edges, as JPEG and resampling leave them";
            settings.push(add("mask_threshold", threshold.to_string(), reason.to_owned()));
        }
        if shape.haar_levels > 0 {
            let grid = shape.size >> shape.haar_levels;
            let reason = format!(
                "the networks work on Haar coefficients of {grid} x {grid}, which costs a fraction of the pixels"
            );
            settings.push(add("space", "\"haar\"".to_owned(), reason));
            settings.push(add(
                "haar_levels",
                shape.haar_levels.to_string(),
                format!("{} / 2^{} = {grid}", shape.size, shape.haar_levels),
            ));
            settings.push(Setting {
                section: "preconditioning",
                key: "kind",
                value: "\"strength\"".to_owned(),
                // Other sizes and numbers of levels were not compared with and without it.
                reason: "networks that need not copy noise made smoother pictures in as many steps (FID 170 instead of 226, on LGG at \
                         64 x 64 with one level, one training each)"
                    .to_owned(),
            });
        }
        let turn_off = "turn the flip off if left and right differ in your images";
        let (value, reason) = if self.training < FEW_PAIRS {
            let value =
                "{ horizontal_flip = true, shift = 0.05, told = { rotation = 10.0, scale = 0.1, gamma = 0.2 } }";
            (
                value,
                format!(
                    "{} training pairs are few; networks are told of what is turned and enlarged; {turn_off}",
                    self.training
                ),
            )
        } else {
            ("{ horizontal_flip = true, shift = 0.05 }", format!("mirrored and shifted copies; {turn_off}"))
        };
        settings.push(add("augment", value.to_owned(), reason));
        settings
    }

    fn size_reason(&self, size: usize, side: usize) -> String {
        if self.size.is_some() {
            format!("as it was asked for; the shorter side of most images has {side} pixels")
        } else if self.enlarges(size) {
            format!(
                "the smallest size that is planned; the shorter side of most images has {side} pixels, so they are enlarged"
            )
        } else if size == SIZES[0] {
            format!("the smallest size that is planned; the shorter side of most images has {side} pixels")
        } else if SIZES.iter().all(|&other| other <= size || other > side) {
            format!("the largest planned size within {side} pixels, the shorter side of most images")
        } else {
            format!(
                "the largest size for which {} hours show images enough; the shorter side of most images has {side} pixels",
                self.hours
            )
        }
    }

    fn networks(&self, shape: &Shape) -> Vec<Setting> {
        let is_few = self.training < FEW_PAIRS;
        let widths = format!("{:?}", shape.widths);
        ["model_x", "model_y"]
            .into_iter()
            .flat_map(|section| {
                let add = |key, value: String, reason: String| Setting { section, key, value, reason };
                let mut settings = vec![
                    add("block_out_channels", widths.clone(), self.width_reason(shape)),
                    add("layers_per_block", "1".to_owned(), "as in configs/hq.toml".to_owned()),
                    add("attention_levels", "[3]".to_owned(), "where the grid is smallest".to_owned()),
                    add(
                        "prediction_type",
                        "\"v_prediction\"".to_owned(),
                        "networks that predict eps drift to black or white after short trainings".to_owned(),
                    ),
                ];
                if is_few {
                    let reason = format!(
                        "{} training pairs are few: without it networks learn pictures by heart",
                        self.training
                    );
                    settings.push(add("dropout", "0.1".to_owned(), reason));
                }
                if section == "model_y" {
                    let reason = "true masks in training measured better than the guider's estimates at one budget";
                    settings.push(add("conditioning", "\"clean\"".to_owned(), reason.to_owned()));
                }
                settings
            })
            .collect()
    }

    fn width_reason(&self, shape: &Shape) -> String {
        if !self.is_narrowest(shape) {
            "the time allows a wider network than the narrowest".to_owned()
        } else if self.training < FEW_PAIRS {
            format!("{} training pairs are few: a wider network learns them by heart", self.training)
        } else {
            "a wider network would be shown too few images in the time".to_owned()
        }
    }

    fn training(&self, length: Length) -> Vec<Setting> {
        let steps = length.steps;
        let add = |key, value: String, reason: String| Setting { section: "train", key, value, reason };
        let (batch, averaged) = (self.batch_size(), (AVERAGED_SHARE * steps as f64).max(10.0));
        let between = Self::between_validations(steps);
        let share = |share: f64| ((steps as f64 * share).round() as usize).max(1);
        let mut settings = vec![
            add(
                "steps",
                steps.to_string(),
                if length.is_capped {
                    format!(
                        "every training pair is shown {MOST_EPOCHS:.0} times; more would make copies rather than better pictures"
                    )
                } else {
                    format!("what {} hours allow on this machine", self.hours)
                },
            ),
            add("model_x_steps", share(GUIDER_SHARE).to_string(), "masks are simpler than images".to_owned()),
            add("batch_size", batch.to_string(), self.batch_reason()),
            add(
                "optimizer",
                format!("{OPTIMIZER:?}"),
                "after as many steps FID was lower than with AdamW, on LGG and on Kvasir-SEG".to_owned(),
            ),
            add("learning_rate", format!("{LEARNING_RATE:e}"), "as in configs/hq.toml".to_owned()),
            add("lr_schedule", "\"cosine\"".to_owned(), "the end of the training is known".to_owned()),
            add(
                "warmup_steps",
                share(WARM_UP_SHARE).to_string(),
                "about the first fiftieth of the training".to_owned(),
            ),
            add(
                "ema_decay",
                format!("{:.5}", 1.0 - 1.0 / averaged),
                format!("the average looks back {averaged:.0} steps"),
            ),
            add("min_snr_gamma", "20.0".to_owned(), "measured on LGG".to_owned()),
            add("min_snr_members", "\"image\"".to_owned(), "weights on masks make empty masks rare".to_owned()),
            add(
                "validate_every",
                between.to_string(),
                format!("validations of the image network: {}", steps.div_ceil(between)),
            ),
            add(
                "validation_samples",
                "48".to_owned(),
                "a validation costs about as much as 64 training images".to_owned(),
            ),
            add(
                "preview_every",
                steps.div_ceil(length.previews.max(1)).max(1).to_string(),
                format!("at most {} previews, which take about a tenth of the time", length.previews),
            ),
            add("checkpoint_every", (steps / VALIDATIONS).max(100).to_string(), "what a power cut may cost".to_owned()),
            add(
                "keep_checkpoints",
                format!("[{}]", share(WORSE_SHARE)),
                "for sample.autoguidance: nearer to real images in two data sets, but less contrast under masks in one"
                    .to_owned(),
            ),
        ];
        if !length.watches {
            let reason =
                "in so short a training, measuring the pairs of previews would take too much of the time".to_owned();
            settings.push(add("watch_samples", "0".to_owned(), reason));
        }
        if self.unlabelled > 0 {
            let reason = format!(
                "{} images without masks beside {} training pairs, and at most {MOST_UNLABELLED}",
                self.unlabelled, self.training
            );
            settings.push(add("unlabelled_share", format!("{:.2}", self.unlabelled_share()), reason));
        }
        if self.unlabelled > 0 || length.matches {
            let reason = if self.unlabelled > 0 {
                "the null condition must not mean \"an image without a mask\" alone"
            } else {
                "for sample.match_contrast: the network must know images without a mask to be guided away from them"
            };
            settings.push(add("condition_dropout", CONDITION_DROPOUT.to_string(), reason.to_owned()));
        }
        settings
    }

    fn batch_reason(&self) -> String {
        match self.batch_size() / IMAGES_OF_A_WORKER {
            workers if workers > self.threads => "the least that is planned, whatever the number of workers".to_owned(),
            workers => format!("four images for each of {workers} workers"),
        }
    }

    fn sampling(shape: &Shape, length: Length) -> Vec<Setting> {
        let add = |key, value: String, reason: String| Setting { section: "sample", key, value, reason };
        let area = (LEAST_LESION_AT_64 * (shape.size as f64 / 64.0).powi(2)).round().max(1.0);
        let mut settings = vec![
            add("clip_sample", "true".to_owned(), "keeps pictures from drifting after short trainings".to_owned()),
            add(
                "sampler",
                "\"dpm-solver++\"".to_owned(),
                "20 of its steps measured like 64 of DDIM (docs/APPENDIX.md)".to_owned(),
            ),
            add("num_inference_steps", "30".to_owned(), "as in configs/hq.toml".to_owned()),
            add("batch_size", "16".to_owned(), "changes no result".to_owned()),
            add(
                "min_component_area",
                format!("{area:.0}"),
                format!("4 pixels at 64 x 64, as large a lesion at {} x {}", shape.size, shape.size),
            ),
            add(
                "second_pass",
                "true".to_owned(),
                "lesions then had 98 to 110 % of the real contrast instead of 77 to 87 % on LGG, and 65 % instead of 51 % on Kvasir-SEG"
                    .to_owned(),
            ),
        ];
        if length.matches {
            let reason = "the scale of guidance at which lesions stand out as real ones do: 1.0 and 1.1 on LGG, 1.7 and 2.0 on Kvasir-SEG (docs/APPENDIX.md)";
            settings.push(add("match_contrast", "true".to_owned(), reason.to_owned()));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::rules::{
        PREVIEWS,
        tests::{facts, seconds},
    };
    use pig_data::GroupSource;

    const LENGTH: Length = Length { steps: 1000, is_capped: false, previews: PREVIEWS, watches: true, matches: true };

    fn value(settings: &[Setting], key: &str) -> Option<String> {
        settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.clone())
    }

    /// Few pairs are not shown without end, and get dropout; three times as many change the plan, and so does half of the time.
    #[test]
    fn pairs_and_hours_change_the_plan() {
        let (few, more) = (facts(12, 64, false, 10.0), facts(3 * 120, 64, false, 10.0));
        let (shape, images) = few.chosen(seconds);
        assert_eq!(images, 12.0 * MOST_EPOCHS);
        assert_eq!(value(&few.settings(&shape, LENGTH), "dropout"), Some("0.1".to_owned()));
        let (wider, shown) = more.chosen(seconds);
        assert!(shown > images && wider.widths != shape.widths);
        assert_eq!(value(&more.settings(&wider, LENGTH), "dropout"), None);
        let halved = facts(3 * 120, 64, false, 5.0).chosen(seconds).1;
        assert!(halved < shown);
    }

    /// Of ten pairs beside a thousand images, seven samples of ten are images: the pairs are shown as often as they may be, and no more.
    #[test]
    fn images_without_masks_do_not_show_pairs_more_often() {
        let mut all = facts(10, 64, false, 500.0);
        all.unlabelled = 990;
        let shown_pairs = all.chosen(seconds).1 * 0.3;
        assert!((shown_pairs / 10.0 - MOST_EPOCHS).abs() < 1e-6, "{shown_pairs}");
        all.unlabelled = 10;
        assert!((all.most_images() - 20.0 * MOST_EPOCHS).abs() < 1e-6);
    }

    /// Pictures of 30 x 150 are padded to squares, so that 32 x 32 makes them smaller.
    #[test]
    fn padded_pictures_are_as_large_as_their_longer_side() {
        let mut tall = facts(14, 30, false, 0.1);
        let reason = |facts: &Facts| {
            let settings = facts.settings(&facts.chosen(seconds).0, LENGTH);
            settings.into_iter().find(|setting| setting.key == "size").unwrap().reason
        };
        assert!(reason(&tall).contains("so they are enlarged"), "{}", reason(&tall));
        tall.survey.sizes = [([150, 30], 14)].into();
        assert!(!reason(&tall).contains("enlarged"), "{}", reason(&tall));
    }

    /// The figure that speaks for preconditioning was measured once, and is given with where, whatever is planned.
    #[test]
    fn the_reason_for_preconditioning_says_where_it_was_measured() {
        for (size, haar_levels) in [(64, 1), (512, 3)] {
            let shape = Shape { size, haar_levels, widths: [64, 64, 64, 128] };
            let settings = facts(500, 512, false, 1.0).settings(&shape, LENGTH);
            let found = settings.iter().find(|setting| setting.section == "preconditioning").unwrap();
            assert!(found.reason.contains("on LGG at 64 x 64 with one level, one training each"), "{found:?}");
        }
    }

    #[test]
    fn what_the_data_show_becomes_settings_with_reasons() {
        let mut all = facts(500, 128, true, 1.0);
        all.survey.sizes.insert([128, 160], 20);
        all.survey.by = GroupSource::Column("patient".to_owned());
        (all.unlabelled, all.mask_threshold, all.threads) = (1500, Some(128.0), 16);
        let shape = all.chosen(seconds).0;
        let settings = all.settings(&shape, Length { steps: 20_000, ..LENGTH });
        for (key, expected) in [
            ("channels", "3"),
            ("resize", "\"pad\""),
            ("group_column", "\"patient\""),
            ("mask_threshold", "128"),
            ("unlabelled_share", "0.70"),
            ("condition_dropout", "0.1"),
            ("steps", "20000"),
            ("model_x_steps", "10000"),
            ("batch_size", "32"),
            ("ema_decay", "0.99925"),
            ("validate_every", "1000"),
        ] {
            assert_eq!(value(&settings, key).as_deref(), Some(expected), "{key}");
        }
        assert!(settings.iter().all(|setting| !setting.reason.is_empty()));
        // The reason of a batch is true of every number of threads.
        for (threads, batch, reason) in [
            (1, "8", "the least that is planned"),
            (2, "8", "of 2 workers"),
            (6, "24", "of 6 workers"),
            (64, "32", "of 8 workers"),
        ] {
            all.threads = threads;
            let settings = all.settings(&shape, LENGTH);
            let found =
                settings.iter().find(|setting| setting.key == "batch_size" && setting.section == "train").unwrap();
            assert!(found.value == batch && found.reason.contains(reason), "{threads}: {found:?}");
        }
        // One image without masks has a share that is above 0 as it is written.
        (all.unlabelled, all.threads) = (1, 2);
        assert_eq!(value(&all.settings(&shape, LENGTH), "unlabelled_share").as_deref(), Some("0.01"));
        let plain = facts(500, 128, false, 1.0);
        let settings = plain.settings(&plain.chosen(seconds).0, Length { steps: 100, ..LENGTH });
        for key in ["resize", "group_column", "mask_threshold", "unlabelled_share"] {
            assert_eq!(value(&settings, key), None, "{key}");
        }
        // Guidance needs dropout; a training that is too short to look for its scale has neither.
        let guided = |settings: &[Setting]| ["condition_dropout", "match_contrast"].map(|key| value(settings, key));
        assert_eq!(guided(&settings), ["0.1", "true"].map(|value| Some(value.to_owned())));
        let short = plain.settings(&plain.chosen(seconds).0, Length { matches: false, ..LENGTH });
        assert_eq!(guided(&short), [None, None]);
        assert_eq!(value(&settings, "validate_every").as_deref(), Some("25"));
    }
}
