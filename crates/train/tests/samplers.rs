//! Every sampler on trained networks, for the pair of networks and for one network; and settings that exclude each other.

mod common;

use common::{SIDE, config, device, folder, trained};
use pig_train::{loaded::LoadedRun, sampler::Sampler, samples::Samples};
use std::path::Path;

/// Settings of the section sample, and how often the networks are then evaluated.
const SAMPLERS: [(&[&str], usize); 12] = [
    (&["sampler=ddim"], 8),
    (&["sampler=ddpm"], 8),
    (&["sampler=dpm-solver++"], 8),
    (&["sampler=dpm-solver++", "use_karras_sigmas=true"], 8),
    (&["sampler=dpm-solver++-sde", "timestep_spacing=leading"], 8),
    (&["sampler=uni-pc"], 8),
    (&["sampler=uni-pc", "solver_order=3", "timestep_spacing=linspace"], 8),
    (&["sampler=uni-pc", "solver_order=1", "use_karras_sigmas=true"], 8),
    (&["sampler=heun"], 15),
    (&["sampler=heun", "use_karras_sigmas=true"], 15),
    (&["sampler=edm"], 15),
    (&["sampler=edm", "s_churn=4.0", "s_tmin=0.05", "s_tmax=50.0", "s_noise=1.003"], 15),
];

fn sampled(run: &Path, sets: &[&str], ids: &[u64]) -> (Samples, usize) {
    let sets: Vec<String> = sets.iter().map(|set| format!("sample.{set}")).collect();
    let loaded = LoadedRun::open(run, &sets, &device()).unwrap();
    let (device, mut turns) = (device(), 0);
    let samples = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device)
        .unwrap()
        .pairs(ids, &mut |_| turns += 1)
        .unwrap();
    (samples, turns)
}

fn furthest(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    a.concat().iter().zip(b.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Checks that the values of pairs are finite, and that a pair is the same alone and in a batch.
fn check(name: &str, sets: &[&str]) {
    let folder = folder();
    let run = trained(folder.path(), name, &config(sets));
    let mut first: Vec<(String, Vec<f32>)> = Vec::new();
    for (sampler, asked) in SAMPLERS {
        let what = format!("{name}, {sampler:?}");
        let (samples, turns) = sampled(&run, sampler, &[3, 9, 4]);
        assert_eq!(turns, asked, "{what}");
        let values = || samples.masks.iter().chain(&samples.images).flatten();
        assert!(values().all(|value| value.is_finite()) && values().count() == 6 * SIDE * SIDE, "{what}");
        let (alone, _) = sampled(&run, sampler, &[9]);
        let moved = furthest(&alone.images, &samples.images[1..2]).max(furthest(&alone.masks, &samples.masks[1..2]));
        assert!(moved <= 1e-3, "{what}: a sample changes by {moved} with its batch");
        let image = samples.images[0].clone();
        for (other, theirs) in &first {
            // Without added noise, EDM is Heun's method on the noise levels of Karras et al.
            let alike = sampler == ["sampler=edm"] && other.contains("heun") && other.contains("karras");
            assert!((&image == theirs) == alike, "{what} against {other}");
        }
        first.push((what, image));
    }
}

#[test]
fn every_sampler_makes_pairs() {
    check("xhat", &["model_x.prediction_type=v_prediction", "model_y.prediction_type=v_prediction"]);
}

#[test]
fn every_sampler_makes_pairs_with_one_network() {
    check("joint", &["method=joint", "model_x.prediction_type=v_prediction", "sample.clip_sample=true"]);
}

#[test]
fn a_guider_asked_less_often_and_noise_on_the_condition_change_what_is_made() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["train.condition_augmentation=10"]));
    let made = |sets: &[&str]| sampled(&run, sets, &[1]).0;
    let plain = made(&[]);
    assert_eq!(
        made(&["guide_every=4", "guide_every_alpha_bar=1"]),
        plain,
        "no step has so little noise that the guider is skipped"
    );
    let (sparse, noisy) = (made(&["guide_every=4"]), made(&["condition_augmentation=10"]));
    assert!(sparse.masks != plain.masks && sparse.images != plain.images);
    assert!(noisy.images != plain.images && made(&["condition_augmentation=5"]).images != noisy.images);
}

/// (settings, the key that the message names, the advice that it gives).
const REFUSED: [(&[&str], &str, &str); 20] = [
    (&["sample.sampler=ddpm", "sample.use_karras_sigmas=true"], "sample.use_karras_sigmas", "false"),
    (&["sample.sampler=uni-pc", "sample.solver_order=4"], "sample.solver_order = 4", "1, 2 or 3"),
    (&["sample.sampler=heun", "sample.s_churn=1.0"], "sample.s_churn = 1", "edm"),
    (&["sample.sampler=edm", "sample.s_tmin=2.0", "sample.s_tmax=1.0"], "sample.s_tmax", "s_tmin"),
    (&["sample.sampler=uni-pc", "sample.set_alpha_to_one=false"], "sample.set_alpha_to_one", "ddim"),
    (&["sample.sampler=heun", "model_y.conditioning=xprev"], "sample.sampler = \"heun\"", "xprev"),
    (&["sample.sampler=uni-pc", "sample.use_karras_sigmas=true", "model_y.conditioning=xprev"], "use_karras", "xprev"),
    (&["sample.sampler=dpm-solver++", "sample.timestep_spacing=leading", "sample.num_inference_steps=64"], "64", "63"),
    (&["sample.sampler=edm", "sample.num_inference_steps=60"], "60", "timestep"),
    (&["method=joint", "sample.guide_every=2"], "sample.guide_every = 2", "1 without a guider"),
    (&["method=joint", "sample.second_pass=true"], "sample.second_pass", "independent"),
    (&["method=seg-guided", "sample.second_pass=true"], "sample.second_pass", "\"pig\""),
    (&["sample.guide_every=0"], "sample.guide_every = 0", "1 or more"),
    (&["sample.condition_augmentation=5"], "sample.condition_augmentation = 5", "train.condition_augmentation"),
    (&["method=joint", "train.condition_augmentation=5"], "train.condition_augmentation", "model_y"),
    (&["train.min_snr_gamma=0.0"], "train.min_snr_gamma", "above 0"),
    (&["train.min_snr_members=image"], "train.min_snr_members", "train.min_snr_gamma"),
    (
        &["model_y.frozen.model=a", "train.min_snr_gamma=5.0", "train.min_snr_members=image"],
        "train.min_snr_members = \"image\"",
        "model_y.frozen",
    ),
    (&["train.noise_offset=-0.1"], "train.noise_offset", "0 or more"),
    (&["train.condition_augmentation=65"], "train.condition_augmentation = 65", "num_train_timesteps"),
];

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for (sets, named, advised) in REFUSED {
        let message = config(sets).check().unwrap_err().to_string();
        assert!(message.contains(named) && message.contains(advised), "{sets:?}: {message}");
    }
}

/// Zero terminal SNR needs a network that predicts v or x_0, and a chain that starts at T.
#[test]
fn zero_terminal_snr_is_kept_to_what_it_needs() {
    const ZERO: [&str; 3] = [
        "schedule.rescale_zero_terminal_snr=true",
        "model_x.prediction_type=v_prediction",
        "model_y.prediction_type=v_prediction",
    ];
    let checked = |sets: &[&str]| config(&ZERO.iter().chain(sets).copied().collect::<Vec<_>>()).check();
    for sampler in ["ddim", "ddpm", "dpm-solver++", "dpm-solver++-sde", "uni-pc"] {
        checked(&[&format!("sample.sampler={sampler}")]).unwrap();
    }
    for (set, advised) in [
        ("sample.timestep_spacing=leading", "\"trailing\""),
        ("model_x.prediction_type=epsilon", "v_prediction"),
        ("sample.sampler=heun", "another"),
        ("sample.sampler=edm", "another"),
        ("train.min_snr_gamma=5.0", "t = T would weigh 0"),
    ] {
        let message = checked(&[set]).unwrap_err().to_string();
        let key = set.split('=').next().unwrap();
        let key = if key == "model_x.prediction_type" { "schedule.rescale_zero_terminal_snr" } else { key };
        assert!(message.contains(key) && message.contains(advised), "{set}: {message}");
    }
    let folder = folder();
    let run = trained(folder.path(), "zero", &config(&ZERO));
    for sampler in ["ddim", "ddpm", "dpm-solver++", "dpm-solver++-sde", "uni-pc"] {
        let (samples, _) = sampled(&run, &[&format!("sampler={sampler}")], &[0]);
        assert!(samples.masks.iter().chain(&samples.images).flatten().all(|v| v.is_finite()), "{sampler}");
    }
}
