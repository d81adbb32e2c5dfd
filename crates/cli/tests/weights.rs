//! `pig weights` through the binary.

mod common;

use common::{Folder, json, pig, pig_with, stderr, stdout, success};
use std::path::Path;

fn at(name: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/imports")).join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_model_is_imported_verified_and_exported() {
    let folder = Folder::new();
    let (model, exported) = (folder.at("model"), folder.at("exported"));
    let imported = json(&success(pig(&["weights", "import", &at("unet_2d"), "--out", &model, "--json"])));
    assert_eq!((&imported["kind"], &imported["layout"]), (&"unet".into(), &"diffusers".into()));
    assert_eq!(imported["source_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(imported["unet"]["network"]["attention_head_dim"], 4);
    let command = format!("pig weights verify {model} --reference STORED.npz");
    assert!(imported["warning"].as_str().unwrap().ends_with(&command), "{imported}");

    let verify = ["weights", "verify", &model, "--reference", &at("unet_2d.npz")];
    assert!(stdout(&success(pig(&verify))).starts_with("equal within 1e-4"));
    // A reference of another network: the same shapes, other outputs.
    let other = pig(&["weights", "verify", &model, "--reference", &at("monai_unet.npz")]);
    assert_eq!(other.status.code(), Some(1), "{}", stderr(&other));
    assert!(stdout(&other).starts_with("different within 1e-4"), "{}", stdout(&other));
    let strict = pig(&[&verify[..], &["--tolerance", "0", "--json"]].concat());
    assert_eq!((strict.status.code(), &json(&strict)["equal"]), (Some(1), &false.into()));
    let one_channel = pig(&["weights", "verify", &model, "--reference", &at("unet_class.npz")]);
    assert_eq!(one_channel.status.code(), Some(1));
    assert!(stderr(&one_channel).contains("1 channels together, but the model takes 2"), "{}", stderr(&one_channel));

    success(pig(&["weights", "export", &model, "--out", &exported]));
    assert!(Path::new(&exported).join("config.json").is_file());
    let again = success(pig(&["weights", "import", &exported, "--kind", "unet", "--out", &folder.at("again")]));
    let command = format!("pig weights verify {} --reference STORED.npz\n", folder.at("again"));
    assert!(stderr(&again).starts_with("warning: the source has no scheduler_config.json"), "{}", stderr(&again));
    assert!(stderr(&again).contains("\nwarning: only outputs of the source"), "{}", stderr(&again));
    assert!(stderr(&again).ends_with(&command), "{}", stderr(&again));
}

#[test]
fn a_model_is_verified_under_its_control() {
    let folder = Folder::new();
    let (base, control) = (folder.at("base"), folder.at("control"));
    success(pig(&["weights", "import", &at("unet_controlled"), "--out", &base]));
    success(pig(&["weights", "import", &at("controlnet"), "--out", &control]));
    let reference = at("unet_controlled.npz");
    let verify = ["weights", "verify", &base, "--reference", &reference, "--control"];
    assert!(stdout(&success(pig(&[&verify[..], &[&control]].concat()))).starts_with("equal within 1e-4"));
    let wrong = pig(&[&verify[..], &[&base]].concat());
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("kind unet, expected controlnet"), "{}", stderr(&wrong));
    let exported = success(pig(&["weights", "export", &control, "--out", &folder.at("exported")]));
    assert!(stdout(&exported).contains("diffusers' ControlNetModel"), "{}", stdout(&exported));
}

#[test]
fn a_volume_is_sampled_for_a_mask() {
    let folder = Folder::new();
    let import = |name: &str, sets: &[&str]| {
        let (source, out) = (at(&format!("maisi_{name}.safetensors")), folder.at(name));
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        success(pig(&[&["weights", "import", &source, "--out", &out][..], &sets].concat()));
        out
    };
    let words = ["unet.norm_num_groups=2", "unet.attention_head_dim=2"];
    let (unet, control) = (import("unet", &words), import("controlnet", &words));
    let (autoencoder, out) = (import("vae", &["autoencoder.norm_num_groups=2"]), folder.at("volume.npz"));
    let networks = ["weights", "sample-volume", &unet, "--control", &control, "--autoencoder", &autoencoder];
    let inputs = at("maisi_sample.npz");
    let asked = ["--inputs", &inputs, "--out", &out, "--set", "sample.num_inference_steps=2", "--json"];
    let made = json(&success(pig(&[&networks[..], &asked].concat())));
    assert_eq!(made["shape"], serde_json::json!([1, 8, 12, 4]));
    assert!(std::fs::read(&out).unwrap().starts_with(b"PK"));
    let again = pig(&[&networks[..], &asked].concat());
    assert!(stderr(&again).contains("never overwritten"), "{}", stderr(&again));
}

#[test]
fn a_run_s_network_is_exported() {
    let folder = Folder::with_data();
    let (data, run, exported) = (folder.at("data"), folder.at("run"), folder.at("exported"));
    success(pig_with(&["train", "--data", &data, "--out", &run], &[]));
    let unnamed = pig(&["weights", "export", &run, "--out", &exported]);
    assert_eq!(unnamed.status.code(), Some(1));
    assert!(stderr(&unnamed).contains("model_x and model_y"), "{}", stderr(&unnamed));
    success(pig(&["weights", "export", &run, "--network", "model_y", "--out", &exported]));
    let imported = json(&success(pig(&["weights", "import", &exported, "--out", &folder.at("model"), "--json"])));
    assert_eq!(imported["unet"]["network"]["block_out_channels"], serde_json::json!([16, 32]));
}

#[test]
fn a_pickle_that_would_run_code_is_refused() {
    let folder = Folder::new();
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/torch_files/whole_module.pth"));
    let refused = pig(&["weights", "import", file.to_str().unwrap(), "--out", &folder.at("model")]);
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(message.contains("whole_module.pth") && message.contains("torch.nn.modules.linear.Linear"), "{message}");
    assert!(!Path::new(&folder.at("model")).exists());
}
