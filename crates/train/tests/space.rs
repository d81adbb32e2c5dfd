//! Networks of Haar coefficients: every method trains and samples with them, and everything outside of the networks stays in pixels.

mod common;

use common::{SIDE, config, device, folder, trained};
use pig_data::png_file::read_png;
use pig_train::{
    Config, arrays,
    checkpoint::Store,
    generation::{Request, generate},
    given::GivenSource,
    imported::Model,
    observer::Silent,
};
use pig_weights::npz::{self, Values};
use std::path::Path;

const HAAR: &str = "data.space=haar";

/// Trains with `sets`, samples two pairs, and returns the run's folder and that of the pairs.
fn made(folder: &Path, name: &str, sets: &[&str], source: GivenSource) -> (std::path::PathBuf, std::path::PathBuf) {
    let run = trained(folder, name, &config(&[&["train.steps=3", HAAR], sets].concat()));
    let out = folder.join(format!("{name}-pairs"));
    let asked = Request { source, save_arrays: true, progress_strips: true, ..Request::new(&run, &out, &[0, 1]) };
    generate(&asked, &device(), &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
    (run, out)
}

/// The shape of the first convolution of a network.
fn first_convolution(run: &Path, network: &'static str) -> Vec<usize> {
    let (_, weights, _) = Store::new(run, network).load_ema().unwrap();
    weights["conv_in.weight"].shape.clone()
}

/// Name, settings, what is given, and the channels that each network reads.
type Case<'a> = (&'a str, &'a [&'a str], GivenSource, &'a [(&'static str, usize)]);

#[test]
fn every_method_makes_pictures_in_pixels() {
    let folder = folder();
    let colour = "data.channels=3";
    let cases: [Case<'_>; 6] = [
        ("pig", &[], GivenSource::Nothing, &[("model_x", 8), ("model_y", 8)]),
        ("joint", &["method=joint", colour], GivenSource::Nothing, &[("joint", 16)]),
        ("independent", &["method=joint", "train.noise_levels=independent"], GivenSource::Nothing, &[("joint", 8)]),
        ("ddim", &["method=ddim"], GivenSource::Nothing, &[("unconditional", 4)]),
        (
            "seg-guided",
            &["method=seg-guided", colour, "model_y.block_out_channels=[16, 16]"],
            GivenSource::TrainingMasks,
            &[("seg_guided", 16)],
        ),
        ("controlnet", &["method=controlnet"], GivenSource::TrainingMasks, &[("unconditional", 4), ("control", 4)]),
    ];
    for (name, sets, source, networks) in cases {
        let source_is_noise = matches!(source, GivenSource::Nothing);
        let (run, out) = made(folder.path(), name, sets, source);
        for &(network, channels) in networks {
            assert_eq!(first_convolution(&run, network)[1], channels, "{name}, {network}");
        }
        let picture = read_png(&out.join("images").join("000001.png")).unwrap();
        assert_eq!((picture.width, picture.height), (SIDE, SIDE), "{name}");
        // Strips show how pairs come out of the noise.
        let has_strips = source_is_noise && name != "ddim";
        assert_eq!(out.join("progress.png").is_file(), has_strips, "{name}");
    }
}

/// Two levels: the smallest grid of the networks is one pixel, and blocks are 4 by 4.
#[test]
fn several_levels_follow_each_other() {
    let folder = folder();
    let sets = ["data.haar_levels=2", "model_x.prediction_type=sample", "model_y.prediction_type=v_prediction"];
    let (run, _) = made(folder.path(), "two", &sets, GivenSource::Nothing);
    assert_eq!(first_convolution(&run, "model_y")[..2], [16, 32]);
}

#[test]
fn volumes_have_blocks_of_three_axes() {
    let folder = folder();
    let sets = ["data.slices=4", "model_x.spatial_dims=3", "model_y.spatial_dims=3"];
    let (run, _) = made(folder.path(), "deep", &sets, GivenSource::Nothing);
    assert_eq!(first_convolution(&run, "model_x")[..2], [16, 16 * 3]);
}

/// The first state of the chains is the noise of the seed, whatever the networks see.
#[test]
fn a_seed_has_the_same_noise_in_both_spaces() {
    let folder = folder();
    let starts = |name: &str, sets: &[&str]| {
        let (_, out) = made(folder.path(), name, sets, GivenSource::Nothing);
        let saved = npz::read(&arrays::path(&out, 1)).unwrap();
        ["x_t", "y_t"].map(|chain| match &saved[chain].values {
            Values::F32(values) => values[..SIDE * SIDE].to_vec(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(starts("haar", &[]), starts("pixels", &["data.space=pixels"]));
}

/// Another number of workers gives the same bits, and gradient checkpointing the same weights up to rounding.
#[test]
fn a_training_in_haar_space_does_not_depend_on_workers_or_checkpointing() {
    let folder = folder();
    let settings = config(&["train.steps=4", "train.micro_batch_size=1", HAAR]);
    let weights = |name: &str, workers: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        let run = pool.install(|| trained(folder.path(), name, &settings));
        Store::new(&run, "model_y").load_ema().unwrap().1
    };
    assert_eq!(weights("one", 1), weights("three", 3));
    let whole = config(&["train.steps=4", HAAR, "train.gradient_checkpointing=true"]);
    let plain = config(&["train.steps=4", HAAR]);
    let of = |name: &str, settings: &Config| {
        Store::new(&trained(folder.path(), name, settings), "model_x").load_ema().unwrap().1
    };
    let (recomputed, kept) = (of("recomputed", &whole), of("kept", &plain));
    for (name, array) in &kept {
        let other = &recomputed[name];
        let close = array.values.iter().zip(&other.values).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close, "{name}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_its_key() {
    let refused = |sets: &[&str], words: &str| {
        let message = config(sets).check().unwrap_err().to_string();
        assert!(message.contains(words), "{sets:?}: {message}");
    };
    refused(&["data.haar_levels=2"], "data.haar_levels");
    refused(&[HAAR, "data.haar_levels=0"], "1 to 3");
    refused(&[HAAR, "data.haar_levels=4"], "1 to 3");
    refused(&[HAAR, "data.size=18", "data.haar_levels=2"], "multiples of 4");
    refused(&[HAAR, "data.size=18"], "divisible by 2");
    refused(&[HAAR, "data.haar_levels=2", "data.channels=3"], "at least 48 in the first level");
    refused(
        &[HAAR, "method=ldm", "autoencoder.block_out_channels=[16, 16]", "autoencoder.norm_num_groups=8"],
        "data.space",
    );
    refused(
        &[HAAR, "data.slices=2", "data.haar_levels=2", "model_x.spatial_dims=3", "model_y.spatial_dims=3"],
        "data.slices",
    );
    config(&[
        HAAR,
        "data.size=32",
        "data.haar_levels=2",
        "model_x.prediction_type=sample",
        "model_y.prediction_type=sample",
    ])
    .check()
    .unwrap();
}

#[test]
fn networks_of_coefficients_are_no_models_of_their_own() {
    let folder = folder();
    let (run, _) = made(folder.path(), "run", &[], GivenSource::Nothing);
    let message = Model::open(&run, Some("model_y")).unwrap_err().to_string();
    assert!(message.contains("Haar coefficients") && message.contains("run"), "{message}");
}
