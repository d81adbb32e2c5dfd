//! Pairs of volumes: pictures that show slices below each other, networks with three axes, and a guider for MAISI as model_y.

mod common;

use burn::tensor::Device;
use common::{config, device, trained};
use pig_data::{Pixels, png_file::write_png, read::read_image};
use pig_nn::config::UNetConfig;
use pig_train::{
    Config,
    generation::{Request, generate},
    imported::{
        Model,
        import::{Request as Import, import},
        volume::{Request as VolumeRequest, sample as sample_volume},
    },
    loaded::LoadedRun,
    observer::Silent,
    sampler::Sampler,
    samples::Given,
    training::train,
};
use pig_weights::{
    StateDict,
    npz::{self, NpyArray},
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Number of slices, and height and width of each slice.
const SIDE: usize = 8;
const VOXELS: usize = SIDE * SIDE * SIDE;
const IDS: [u64; 2] = [0, 5];
/// Settings for the shape of all volumes here.
const VOLUMES: [&str; 4] =
    ["data.size=[64, 8]", "data.slices=8", "model_x.spatial_dims=3", "schedule.num_train_timesteps=40"];
/// Inputs of MAISI's networks besides the mask: settings of the run, and arrays for `pig weights sample-volume`.
const REGIONS: [[f32; 4]; 2] = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
const SPACING: [f32; 3] = [1.5, 0.75, 0.75];
/// The label of the lesion, 101 in bits.
const LABEL: f32 = 5.0;

/// Whether a voxel of the volume `index` is lesion: a block whose place differs between volumes.
fn inside(index: usize, voxel: usize) -> bool {
    let place = [voxel / (SIDE * SIDE), voxel / SIDE % SIDE, voxel % SIDE];
    place.iter().enumerate().all(|(axis, &at)| (1 + (index >> axis) % 4..5 + (index >> axis) % 4).contains(&at))
}

/// A folder with eight volumes in `data/`: a bright block on a gradient.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..8 {
        let lesion = |voxel: usize| inside(index, voxel);
        let image = |i: usize| (i / SIDE + 4 * (i % SIDE) + index) as u8 + if lesion(i) { 100 } else { 0 };
        let mask = |i: usize| if lesion(i) { 255 } else { 0 };
        let parts: [(&str, &dyn Fn(usize) -> u8); 2] = [("images", &image), ("masks", &mask)];
        for (part, value) in parts {
            let path = folder.path().join("data").join(part).join(format!("v{index}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let pixels = Pixels::Eight((0..VOXELS).map(value).collect());
            write_png(&path, [SIDE * SIDE, SIDE], 1, &pixels, &[]).unwrap();
        }
    }
    folder
}

fn imported(name: &str, sets: &[&str], folder: &Path) -> PathBuf {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/imports")).join(name);
    let (sets, out) = (sets.iter().map(|set| (*set).to_owned()).collect(), folder.join(name));
    import(&Import { source, sets, out: out.clone(), ..Import::default() }).unwrap();
    out
}

/// MAISI's U-Net, control network and autoencoder, as MONAI wrote them.
fn maisi(folder: &Path) -> [PathBuf; 3] {
    let unet = ["unet.norm_num_groups=2", "unet.attention_head_dim=2", "schedule.num_train_timesteps=40"];
    [
        imported("maisi_unet.safetensors", &unet, folder),
        imported("maisi_controlnet.safetensors", &unet, folder),
        imported("maisi_vae.safetensors", &["autoencoder.norm_num_groups=2", "scaling_factor=0.5"], folder),
    ]
}

/// The configuration of a guider for the three networks; `sets` override its keys.
fn with_maisi([unet, control, autoencoder]: &[PathBuf; 3], sets: &[&str]) -> Config {
    let path = |key: &str, value: &Path| format!("model_y.{key}={:?}", value.to_str().unwrap());
    let own = [
        path("frozen.model", unet),
        path("frozen.control", control),
        path("frozen.autoencoder", autoencoder),
        format!("model_y.frozen.top_region_index={:?}", REGIONS[0]),
        format!("model_y.frozen.bottom_region_index={:?}", REGIONS[1]),
        format!("model_y.frozen.spacing={SPACING:?}"),
    ];
    let fixed = [
        "model_y.frozen.condition=controlnet",
        "model_y.frozen.labels=[0, 5]",
        "model_y.frozen.classes=[2]",
        "model_y.conditioning=clean",
        "train.steps=3",
    ];
    let all = VOLUMES.into_iter().chain(own.iter().map(String::as_str)).chain(fixed).chain(sets.iter().copied());
    let mut config = config(&all.collect::<Vec<_>>());
    config.model_y.unet = UNetConfig::default();
    config
}

fn weights(run: &Path, network: &str) -> StateDict {
    Model::open(run, Some(network)).unwrap().arrays
}

/// Algorithm 1 for a model of volumes. For a given mask, the frozen model makes the same volume as `pig weights sample-volume`, which is
/// compared with MONAI elsewhere.
#[test]
fn a_guider_is_trained_for_maisi() {
    let folder = folder();
    let networks = maisi(folder.path());
    let run = trained(folder.path(), "run", &with_maisi(&networks, &[]));
    for (name, path) in ["unet", "controlnet", "autoencoder"].into_iter().zip(&networks) {
        let frozen = Model::open(&run.join("frozen_model_y").join(name), None).unwrap();
        assert!(frozen.arrays == Model::open(path, None).unwrap().arrays, "the weights of {name} have changed");
    }
    let summary = generate(&Request::new(&run, &folder.path().join("pairs"), &IDS), &device(), &Silent).unwrap();
    assert_eq!(summary.finished.pairs, 2);

    let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    let device = device();
    let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
    // The block covers whole latents: the guide is on the grid of model_y, where masks with other edges have fractional values.
    let block =
        |voxel: usize| [voxel / (SIDE * SIDE), voxel / SIDE % SIDE, voxel % SIDE].iter().all(|at| (2..6).contains(at));
    let mask: Vec<f32> = (0..VOXELS).map(|voxel| if block(voxel) { 1.0 } else { -1.0 }).collect();
    let found = sampler.sample(Given::Masks(&[&mask]), &[5], &mut |_| {}).unwrap().images.remove(0);

    let labels = mask.iter().map(|&value| if value > 0.0 { LABEL } else { 0.0 }).collect();
    let arrays = [
        ("mask", NpyArray::f32(&[SIDE; 3], labels)),
        ("top_region_index", NpyArray::f32(&[4], REGIONS[0].to_vec())),
        ("bottom_region_index", NpyArray::f32(&[4], REGIONS[1].to_vec())),
        ("spacing", NpyArray::f32(&[3], SPACING.to_vec())),
        ("class", NpyArray::f32(&[1], vec![2.0])),
    ];
    let inputs = folder.path().join("inputs.npz");
    std::fs::write(&inputs, npz::encode(arrays.iter().map(|(name, array)| (*name, array)))).unwrap();
    let [unet, control, autoencoder] = networks;
    let request = VolumeRequest {
        unet,
        control: Some(control),
        autoencoder: Some(autoencoder),
        inputs,
        seed: 5,
        sets: vec!["sample.num_inference_steps=8".to_owned()],
    };
    let wanted = sample_volume(&request, &Device::flex(), &mut |_| {}).unwrap();
    assert_eq!((wanted.shape, found.len()), ([1, SIDE, SIDE, SIDE], VOXELS));
    assert_eq!(found, wanted.values);
}

/// Both of pig's own networks on volumes. Training with gradient checkpointing gives the same weights, and pairs are written with their
/// slices below each other.
#[test]
fn pairs_of_volumes_are_learnt() {
    let folder = folder();
    let sets = [&VOLUMES[..], &["model_y.spatial_dims=3", "train.steps=4"]].concat();
    let run = trained(folder.path(), "run", &config(&sets));
    let checkpointed = [&sets[..], &["train.gradient_checkpointing=true"]].concat();
    let checkpointed = trained(folder.path(), "checkpointed", &config(&checkpointed));
    for network in ["model_x", "model_y"] {
        let (plain, other) = (weights(&run, network), weights(&checkpointed, network));
        for (name, array) in &plain {
            let apart =
                array.values.iter().zip(&other[name].values).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(apart < 1e-5, "{network}, {name}: {apart}");
        }
    }
    let out = folder.path().join("pairs");
    let summary = generate(&Request::new(&run, &out, &IDS), &device(), &Silent).unwrap();
    assert!(summary.agreement.is_some());
    for part in ["images", "masks"] {
        let picture = read_image(&out.join(part).join("000005.png"), 1).unwrap();
        assert_eq!((picture.width, picture.height), (SIDE, SIDE * SIDE), "{part}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_any_work() {
    let folder = folder();
    let networks = maisi(folder.path());
    let refused = |config: &Config, part: &str| {
        let out = folder.path().join("refused");
        let message = train(config, &folder.path().join("data"), &out, &device(), &Silent).unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is missing in: {message}");
        assert!(!out.exists());
    };
    let maisi = |sets: &[&str]| with_maisi(&networks, sets);
    refused(&maisi(&["model_y.frozen.spacing=[1.0]"]), "model_y.frozen.spacing");
    refused(&maisi(&["model_y.frozen.top_region_index=[]"]), "4 numbers, the size of this input");
    refused(&maisi(&["model_y.frozen.labels=[0, 8]"]), "labels of 3 bits");
    refused(&maisi(&["model_y.frozen.classes=[3]"]), "has 3, counted from 0");
    refused(&maisi(&["model_x.spatial_dims=2"]), "model_x.spatial_dims");
    refused(&maisi(&["data.slices=1", "data.size=[64, 8]"]), "axes of the model's output");
    refused(&maisi(&["data.slices=2", "data.size=[16, 8]"]), "a multiple of 4");
    refused(&maisi(&["data.slices=2", "data.size=[16, 16]"]), "a multiple of 4");
    let own = |sets: &[&str]| config(&[&VOLUMES[..], sets].concat());
    refused(&own(&[]), "model_y.spatial_dims");
    refused(&own(&["model_y.spatial_dims=3", "data.slices=1"]), "set data.slices for volumes");
    refused(
        &own(&["model_y.spatial_dims=3", "data.slices=24", "data.size=[192, 8]"]),
        "a multiple of data.slices = 24",
    );
    refused(&own(&["method=controlnet", "model_y.spatial_dims=3"]), "seg-guided are trained on volumes");
}
