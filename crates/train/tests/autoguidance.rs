//! `sample.autoguidance`: sampling moves away from a worse version of the same networks.

mod common;

use common::{config, device, folder, trained};
use pig_train::{
    Result,
    loaded::LoadedRun,
    sampler::Sampler,
    samples::{Given, Samples},
};
use std::path::Path;

/// One step of sampling, whose result is an affine function of the networks' outputs.
const ONE_STEP: [&str; 2] = ["sample.num_inference_steps=1", "sample.clip_sample=false"];

fn sampled(run: &Path, sets: &[String], given: Given<'_>) -> Result<Samples> {
    let device = device();
    let loaded = LoadedRun::open(run, sets, &device)?;
    Sampler::new(&loaded.config, loaded.networks.as_ref(), &device)?.sample(given, &[0, 1, 2], &mut |_| {})
}

fn furthest(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.concat().len(), b.concat().len());
    a.concat().iter().zip(b.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// `a + scale (b - a)`.
fn moved(a: &[Vec<f32>], b: &[Vec<f32>], scale: f32) -> Vec<Vec<f32>> {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + scale * (b - a)).collect()).collect()
}

fn sets(more: &[&str]) -> Vec<String> {
    ONE_STEP.iter().chain(more).map(|&set| set.to_owned()).collect()
}

const KEPT: [&str; 4] =
    ["train.keep_checkpoints=[2]", "train.learning_rate=1e-2", "train.ema_decay=0", "train.validate_every=0"];

#[test]
fn one_step_moves_away_from_the_earlier_checkpoint() {
    let folder = folder();
    for (method, given) in [("joint", false), ("ddim", false), ("seg-guided", true)] {
        let asked = format!("method={method}");
        let run = trained(folder.path(), method, &config(&[&KEPT[..], &[&asked]].concat()));
        let masks = vec![vec![-1.0_f32; 256]; 3];
        let masks: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
        let given = if given { Given::Masks(&masks) } else { Given::Nothing };
        let plain = sampled(&run, &sets(&[]), given).unwrap();
        let guided = |scale: &str| {
            let scale = format!("sample.autoguidance.scale={scale}");
            sampled(&run, &sets(&["sample.autoguidance.step=2", &scale]), given).unwrap()
        };
        // Scale 0 is the earlier network alone; what lies between and beyond is on the line through both.
        let weak = guided("0");
        assert!(furthest(&weak.images, &plain.images) > 1e-2, "{method}");
        for (scale, value) in [("0.5", 0.5), ("3", 3.0)] {
            let expected = moved(&weak.images, &plain.images, value);
            let size = expected.concat().iter().fold(1.0_f32, |most, value| most.max(value.abs()));
            let found = furthest(&guided(scale).images, &expected);
            assert!(found < 1e-4 * size, "{method} at {scale}: {found} of {size}");
        }
        // Without a step, the worse network is that of the step that the training kept.
        let kept = sampled(&run, &sets(&["sample.autoguidance.scale=3"]), given).unwrap();
        assert_eq!(furthest(&kept.images, &guided("3").images), 0.0, "{method}");
        // Outside of the interval nothing changes.
        let outside =
            ["sample.autoguidance.step=2", "sample.autoguidance.scale=3", "sample.guidance_interval=[0.0, 0.01]"];
        let found = sampled(&run, &sets(&outside), given).unwrap();
        assert_eq!(furthest(&found.images, &plain.images), 0.0, "{method}");
    }
}

/// Each member has a network of its own in `pig`; the worse run may have smaller ones.
#[test]
fn a_member_is_guided_by_a_run_of_smaller_networks() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&KEPT));
    let small = ["model_x.block_out_channels=[8, 16]", "model_y.block_out_channels=[8, 16]"];
    let weak = trained(folder.path(), "weak", &config(&[&KEPT[..], &small].concat()));
    let from = format!("sample.autoguidance.run={}", weak.display());
    let guided = |members: &str| {
        let members = format!("sample.autoguidance.members={members}");
        sampled(&run, &sets(&[&from, "sample.autoguidance.scale=2", &members]), Given::Nothing).unwrap()
    };
    let plain = sampled(&run, &sets(&[]), Given::Nothing).unwrap();
    let (mask, image, pair) = (guided("mask"), guided("image"), guided("pair"));
    // The mask of the only step comes before its image, so it does not depend on the image's network.
    assert_eq!(furthest(&image.masks, &plain.masks), 0.0);
    assert!(furthest(&image.images, &plain.images) > 1e-3);
    assert!(furthest(&mask.masks, &plain.masks) > 1e-3);
    assert_eq!(furthest(&pair.masks, &mask.masks), 0.0);
    assert!(furthest(&pair.images, &mask.images) > 1e-3);

    let hash = |sets: &[String]| LoadedRun::open(&run, sets, &device()).unwrap().model_hash;
    assert_ne!(hash(&sets(&[&from, "sample.autoguidance.scale=2"])), hash(&sets(&[])));
}

/// Two runs of `ldm` have two autoencoders, whose latents have one form and two meanings. The checkpoints of one run share theirs.
#[test]
fn latents_are_guided_by_those_of_their_autoencoder() {
    let folder = folder();
    let latent = ["method=ldm", "autoencoder.block_out_channels=[16, 16]", "autoencoder.norm_num_groups=8"];
    let settings = |seed: &str| config(&[&KEPT[..], &latent, &[seed]].concat());
    let run = trained(folder.path(), "run", &settings("train.seed=0"));
    let other = trained(folder.path(), "other", &settings("train.seed=1"));
    let masks = vec![vec![-1.0_f32; 256]; 3];
    let masks: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
    let sampled = |more: &str| sampled(&run, &sets(&["sample.autoguidance.scale=2", more]), Given::Masks(&masks));
    sampled("sample.autoguidance.step=2").unwrap();
    let error = sampled(&format!("sample.autoguidance.run={}", other.display())).unwrap_err().to_string();
    assert!(error.contains("the autoencoder's SHA-256 for autoguidance"), "{error}");
}

#[test]
fn what_cannot_guide_is_refused() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&KEPT));
    let joint = trained(folder.path(), "joint", &config(&["method=joint"]));
    let other = trained(folder.path(), "other", &config(&["model_y.prediction_type=v_prediction"]));
    let from = |run: &Path| format!("sample.autoguidance.run={}", run.display());
    let (joint, other) = (from(&joint), from(&other));
    for (more, expected) in [
        (&["sample.autoguidance.step=2"][..], "another value than 1"),
        (&["sample.autoguidance.scale=2", "sample.autoguidance.step=11"], "at most 10, the steps of the network"),
        (&["sample.autoguidance.scale=2", "sample.autoguidance.step=7"], "there is none of step 7"),
        (&["sample.autoguidance.scale=2", &joint], "no model_x in"),
        (&["sample.autoguidance.scale=2", &other], "prediction_type for autoguidance"),
        (&["sample.guidance_interval=[3.0, 1.0]"], "the least and the greatest sigma"),
    ] {
        let error = sampled(&run, &sets(more), Given::Nothing).unwrap_err().to_string();
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    let keeps_none = trained(folder.path(), "keeps-none", &config(&[]));
    let error = sampled(&keeps_none, &sets(&["sample.autoguidance.scale=2"]), Given::Nothing).unwrap_err().to_string();
    assert!(error.contains("1 without sample.autoguidance.step"), "{error}");
}
