//! Networks for volumes from MAISI and MONAI (tests/peers/imports.py): after the import, they give MONAI's outputs, and sample a volume for
//! a mask.

use burn::tensor::Device;
use pig_train::imported::{
    Model,
    export::export,
    import::{Request as Import, import},
    verify::{Difference, verify},
    volume::{Request, sample, write},
};
use pig_weights::npz;
use std::path::{Path, PathBuf};

/// Tolerance as a share of the largest output. The references of U-Nets were computed in f64, so the tolerance covers the error of pig's
/// f32.
const TOLERANCE: f64 = 1e-5;
/// Settings that MONAI's checkpoints do not contain, and the schedule of the sampling.
const UNET: [&str; 3] = ["unet.norm_num_groups=2", "unet.attention_head_dim=2", "schedule.num_train_timesteps=40"];
const VAE: [&str; 2] = ["autoencoder.norm_num_groups=2", "scaling_factor=0.5"];

/// The committed files, or those that `.ci/peers` has just made.
fn at(name: &str) -> PathBuf {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/imports");
    Path::new(&std::env::var("PIG_IMPORTS").unwrap_or_else(|_| committed.to_owned())).join(name)
}

fn imported(name: &str, sets: &[&str], folder: &Path) -> (PathBuf, Model) {
    let out = folder.join(name);
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    import(&Import { source: at(name), sets, out: out.clone(), ..Import::default() })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let model = Model::open(&out, None).unwrap();
    (out, model)
}

#[track_caller]
fn close(name: &str, found: Difference) {
    println!("{name}: {found:?}");
    assert!(found.relative < TOLERANCE, "{name}: {found:?}");
}

#[test]
fn monai_s_unet_of_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let (_, model) = imported("monai_unet_3d.safetensors", &UNET, folder.path());
    close("monai_unet_3d", verify(&model, None, &at("monai_unet_3d.npz"), &Device::flex()).unwrap());
    let message = export(&model, &folder.path().join("exported")).unwrap_err().to_string();
    assert!(message.contains("3 axes"), "{message}");
    let flat = verify(&model, None, &at("monai_unet.npz"), &Device::flex()).unwrap_err().to_string();
    assert!(flat.contains("expected 5 axes"), "{flat}");
}

#[test]
fn maisi_s_unet_under_its_control() {
    let folder = tempfile::tempdir().unwrap();
    let (_, unet) = imported("maisi_unet.safetensors", &UNET, folder.path());
    let (_, control) = imported("maisi_controlnet.safetensors", &UNET, folder.path());
    let words = &unet.unet_description().unwrap().network;
    assert_eq!((words.spatial_dims, words.num_class_embeds, words.include_spacing_input), (3, Some(3), true));
    close("maisi_unet", verify(&unet, Some(&control), &at("maisi_unet.npz"), &Device::flex()).unwrap());
}

#[test]
fn maisi_s_autoencoder() {
    let folder = tempfile::tempdir().unwrap();
    let (_, model) = imported("maisi_vae.safetensors", &VAE, folder.path());
    let words = model.autoencoder_description().unwrap();
    assert!(words.network.linear_upsampling && !words.network.mid_block && !words.network.final_silu);
    close("maisi_vae", verify(&model, None, &at("maisi_vae.npz"), &Device::flex()).unwrap());
    // A setting that no array shows: upsampling by nearest neighbours gives other values.
    let sets = [&VAE[..], &["autoencoder.linear_upsampling=false"]].concat();
    let (_, nearest) = imported("maisi_vae.safetensors", &sets, &folder.path().join("nearest"));
    let found = verify(&nearest, None, &at("maisi_vae.npz"), &Device::flex()).unwrap();
    assert!(found.relative > 100.0 * TOLERANCE, "{found:?}");
}

/// A request with the networks of a sampling.
fn networks(folder: &Path) -> Request {
    let path = |name: &str, sets: &[&str]| imported(name, sets, folder).0;
    Request {
        unet: path("maisi_unet.safetensors", &UNET),
        control: Some(path("maisi_controlnet.safetensors", &UNET)),
        autoencoder: Some(path("maisi_vae.safetensors", &VAE)),
        inputs: at("maisi_sample.npz"),
        seed: 0,
        sets: Vec::new(),
    }
}

/// The whole sampling compared with MONAI's networks and its DDIM: labels as bits, control, regions, spacing, class, latents, decoder.
#[test]
fn a_volume_is_sampled_for_a_mask() {
    let folder = tempfile::tempdir().unwrap();
    let request = networks(folder.path());
    let mut steps = Vec::new();
    let found = sample(&request, &Device::flex(), &mut |t| steps.push(t)).unwrap();
    assert_eq!((steps.first(), steps.last(), steps.len()), (Some(&40), Some(&1), 40));
    let wanted = npz::read(&at("maisi_sampled.npz")).unwrap()["volume"].to_f32();
    assert_eq!(found.shape, [1, 8, 12, 4]);
    let largest = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let apart = found.values.iter().zip(&wanted).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    println!("largest difference {apart} of {largest}");
    assert!(found.values.len() == wanted.len() && apart < 1e-4 * largest, "{apart} of {largest}");

    let out = folder.path().join("volume.npz");
    write(&found, &out).unwrap();
    let read = npz::read(&out).unwrap();
    assert_eq!((read["volume"].shape.as_slice(), read["volume"].to_f32()), (&found.shape[..], found.values));
    assert_eq!(read["synthetic"].to_f32(), [1.0]);
}

/// The request with inputs that `change` has changed.
fn changed(request: &Request, folder: &Path, change: impl FnOnce(&mut npz::Npz)) -> Request {
    let mut arrays = npz::read(&request.inputs).unwrap();
    change(&mut arrays);
    let inputs = folder.join("changed.npz");
    std::fs::write(&inputs, npz::encode(arrays.iter().map(|(name, array)| (name.as_str(), array)))).unwrap();
    Request { inputs, ..request.clone() }
}

#[test]
fn every_input_has_its_say_and_what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let request = Request { sets: vec!["sample.num_inference_steps=2".to_owned()], ..networks(folder.path()) };
    let made = |request: &Request| sample(request, &Device::flex(), &mut |_| {}).unwrap().values;
    let first = made(&request);
    for name in ["mask", "top_region_index", "bottom_region_index", "spacing", "y_T"] {
        let other = changed(&request, folder.path(), |arrays| {
            let array = arrays.get_mut(name).unwrap();
            let values = array.to_f32().iter().map(|value| if name == "mask" { 0.0 } else { value + 0.5 }).collect();
            *array = npz::NpyArray::f32(&array.shape, values);
        });
        assert_ne!(made(&other), first, "{name}");
    }
    let other_class = changed(&request, folder.path(), |arrays| {
        arrays.insert("class".to_owned(), npz::NpyArray::f32(&[1], vec![0.0]));
    });
    assert_ne!(made(&other_class), first);
    // If the file has no noise, the seed decides the noise.
    let own = changed(&request, folder.path(), |arrays| drop(arrays.remove("y_T")));
    assert_eq!(made(&own), made(&own));
    assert_ne!(made(&own), made(&Request { seed: 1, ..own.clone() }));

    let refused = |request: &Request, part: &str| {
        let message = sample(request, &Device::flex(), &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    };
    let with = |name: &'static str, array: Option<npz::NpyArray>| {
        changed(&request, folder.path(), |arrays| {
            arrays.remove(name);
            if let Some(array) = array {
                arrays.insert(name.to_owned(), array);
            }
        })
    };
    refused(&with("spacing", None), "no array spacing");
    refused(&with("spacing", Some(npz::NpyArray::f32(&[2], vec![1.0; 2]))), "spacing has 2 values");
    refused(&with("class", Some(npz::NpyArray::f32(&[1], vec![3.0]))), "class is [3.0]");
    refused(&with("mask", Some(npz::NpyArray::f32(&[8, 12, 4], vec![8.0; 384]))), "labels from 0 to 7");
    refused(&with("mask", Some(npz::NpyArray::f32(&[6, 12, 4], vec![0.0; 288]))), "divisible by 4");
    refused(&with("y_T", Some(npz::NpyArray::f32(&[1, 1, 1, 1], vec![0.0]))), "y_T has shape");
    refused(&Request { control: None, ..request.clone() }, "does not read a mask itself");
    refused(&Request { control: request.autoencoder.clone(), ..request.clone() }, "kind autoencoder");
    refused(&Request { sets: vec!["train.steps=3".to_owned()], ..request.clone() }, "settings outside [sample]");
}
