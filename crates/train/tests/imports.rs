//! Models from other frameworks (tests/peers/imports.py): after the import, they give the outputs of those frameworks.

use burn::tensor::Device;
use pig_train::imported::{
    Model, ModelKind,
    export::export,
    import::{Request, import},
    verify::{Difference, verify},
};
use std::path::{Path, PathBuf};

/// Tolerance as a share of the largest output. The references were computed in f64, so the tolerance covers the error of pig's f32.
const TOLERANCE: f64 = 1e-5;

/// The committed files, or those that `.ci/peers` has just made.
fn at(name: &str) -> PathBuf {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/imports");
    Path::new(&std::env::var("PIG_IMPORTS").unwrap_or_else(|_| committed.to_owned())).join(name)
}

fn request(source: &Path, sets: &[&str], out: &Path) -> Request {
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    Request { source: source.to_owned(), sets, out: out.to_owned(), ..Request::default() }
}

fn imported(source: &Path, sets: &[&str], folder: &Path) -> Model {
    let out = folder.join("model");
    import(&request(source, sets, &out)).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    Model::open(&out, None).unwrap()
}

#[track_caller]
fn equals(source: &str, reference: &str, sets: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let model = imported(&at(source), sets, folder.path());
    close(source, verify(&model, None, &at(reference), &Device::flex()).unwrap());
}

#[track_caller]
fn close(source: &str, found: Difference) {
    println!("{source}: {found:?}");
    assert!(found.relative < TOLERANCE, "{source}: {found:?}");
}

/// Settings that MONAI's checkpoint does not contain.
const MONAI: [&str; 2] = ["unet.norm_num_groups=2", "unet.attention_head_dim=4"];

#[test]
fn unet_2d_model_of_safetensors_and_of_bin() {
    equals("unet_2d", "unet_2d.npz", &[]);
    equals("unet_2d/diffusion_pytorch_model.safetensors", "unet_2d.npz", &[]);
    equals("unet_2d_bin", "unet_2d_bin.npz", &[]);
}

#[test]
fn unet_2d_condition_model_by_class_and_without_a_middle() {
    equals("unet_class", "unet_class.npz", &[]);
    equals("unet_no_middle", "unet_no_middle.npz", &[]);
}

#[test]
fn monai_s_unet_under_its_names_and_those_before() {
    equals("monai_unet.pth", "monai_unet.npz", &MONAI);
    equals("monai_generative_unet.safetensors", "monai_unet.npz", &MONAI);
}

#[test]
fn autoencoders_of_both() {
    equals("vae", "vae.npz", &[]);
    equals("monai_vae.safetensors", "monai_vae.npz", &["autoencoder.norm_num_groups=2"]);
    let folder = tempfile::tempdir().unwrap();
    let model = imported(&at("vae"), &[], folder.path());
    assert_eq!(model.description.kind, ModelKind::Autoencoder);
    assert_eq!(model.autoencoder_description().unwrap().scaling_factor, 0.5);
    let sets = ["scaling_factor=2", "autoencoder.norm_num_groups=2"];
    let model = imported(&at("monai_vae.safetensors"), &sets, &folder.path().join("monai"));
    assert_eq!(model.autoencoder_description().unwrap().scaling_factor, 2.0);
}

#[test]
fn control_networks_of_both() {
    equals("controlnet", "controlnet.npz", &[]);
    equals("monai_controlnet.safetensors", "monai_controlnet.npz", &MONAI);
}

/// Uses what a control network adds to every skip connection, in a base and control network of diffusers.
#[test]
fn a_base_under_its_control() {
    let folder = tempfile::tempdir().unwrap();
    let base = imported(&at("unet_controlled"), &[], &folder.path().join("base"));
    let control = imported(&at("controlnet"), &[], &folder.path().join("control"));
    let verify = |control| verify(&base, control, &at("unet_controlled.npz"), &Device::flex());
    close("unet_controlled", verify(Some(&control)).unwrap());
    let alone = verify(None).unwrap_err().to_string();
    assert!(alone.contains("2 channels together, but the model takes 1"), "{alone}");
}

/// A wrong setting must not go unnoticed: the reference differs for other numbers of heads and groups.
#[test]
fn a_wrong_setting_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    for (place, wrong) in
        ["unet.attention_head_dim=8", "unet.norm_num_groups=4", "unet.flip_sin_to_cos=false"].iter().enumerate()
    {
        let sets = [MONAI[0], MONAI[1], wrong];
        let model = imported(&at("monai_unet.pth"), &sets, &folder.path().join(place.to_string()));
        let found = verify(&model, None, &at("monai_unet.npz"), &Device::flex()).unwrap();
        assert!(found.relative > 10.0 * TOLERANCE, "{wrong}: {found:?}");
    }
}

#[test]
fn an_export_is_imported_again_with_the_same_words_and_values() {
    let folder = tempfile::tempdir().unwrap();
    for (source, sets) in [
        ("unet_2d", &[][..]),
        ("unet_2d_bin", &[]),
        ("unet_no_middle", &[]),
        ("unet_class", &[]),
        ("monai_unet.pth", &MONAI),
        ("vae", &[]),
        ("controlnet", &[]),
    ] {
        let folder = folder.path().join(source);
        let model = imported(&at(source), sets, &folder);
        export(&model, &folder.join("exported")).unwrap();
        let again = imported(&folder.join("exported"), &[], &folder.join("again"));
        let words = |model: &Model| {
            let words = &model.description;
            (words.kind, words.unet.clone(), words.autoencoder.clone(), words.controlnet.clone())
        };
        assert_eq!(words(&again), words(&model), "{source}");
        assert_eq!(again.arrays, model.arrays, "{source}");
    }
}

#[test]
fn what_diffusers_has_no_class_for_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    for (source, sets, part) in [
        ("monai_vae.safetensors", &["autoencoder.norm_num_groups=2"][..], "expected one more"),
        ("monai_controlnet.safetensors", &MONAI, "2 residual blocks in the middle"),
    ] {
        let folder = folder.path().join(source);
        let model = imported(&at(source), sets, &folder);
        let message = export(&model, &folder.join("exported")).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains("diffusers has no such network"), "{message}");
        assert!(!folder.join("exported").exists());
    }
}

#[test]
fn what_does_not_fit_is_listed_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    // One array more and one array less than the network has.
    let mut arrays = pig_weights::file::read(&at("monai_generative_unet.safetensors"), None).unwrap().arrays;
    let array = arrays.remove("out.0.bias").unwrap();
    arrays.insert("somebody.else".to_owned(), array);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = arrays
        .into_iter()
        .map(|(name, a)| (name, a.shape, a.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views: Vec<(String, safetensors::tensor::TensorView<'_>)> = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap();
            (name.clone(), view)
        })
        .collect();
    let file = folder.path().join("strange.safetensors");
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let message = import(&request(&file, &MONAI, &out)).unwrap_err().to_string();
    for part in ["strange.safetensors", "missing: conv_norm_out.bias", "unexpected: somebody.else"] {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    let wrong_kind = Request { kind: Some(ModelKind::Inception), ..request(&at("unet_2d"), &[], &out) };
    let message = import(&wrong_kind).unwrap_err().to_string();
    assert!(message.contains("--kind") && message.contains("unet"), "{message}");
    let unknown = import(&request(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/torch_files/tensors.pth")),
        &[],
        &out,
    ))
    .unwrap_err()
    .to_string();
    assert!(unknown.contains("unknown network") && unknown.contains("bfloat16"), "{unknown}");
    let misspelt = import(&request(&at("unet_2d"), &["unet.norm_groups=3"], &out)).unwrap_err().to_string();
    assert!(misspelt.contains("norm_groups"), "{misspelt}");
    assert!(!out.exists());
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "").unwrap();
    let taken = import(&request(&at("unet_2d"), &[], &out)).unwrap_err().to_string();
    assert!(taken.contains("never overwritten"), "{taken}");
}

#[test]
fn configurations_of_other_networks_are_refused_by_their_words() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let weights = "diffusion_pytorch_model.safetensors";
    std::fs::copy(at("unet_2d").join(weights), source.join(weights)).unwrap();
    let original = std::fs::read_to_string(at("unet_2d/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&original).unwrap();
    for (key, value) in [
        ("_class_name", serde_json::json!("UNet3DConditionModel")),
        ("act_fn", serde_json::json!("gelu")),
        ("resnet_time_scale_shift", serde_json::json!("scale_shift")),
        ("time_embedding_type", serde_json::json!("fourier")),
        ("class_embed_type", serde_json::json!("timestep")),
        ("down_block_types", serde_json::json!(["DownBlock2D", "DownBlock2D"])),
        ("attention_head_dim", serde_json::json!([4, 2])),
        ("norm_eps", serde_json::json!("small")),
    ] {
        let mut changed = config.clone();
        changed[key] = value;
        std::fs::write(source.join("config.json"), changed.to_string()).unwrap();
        let message = import(&request(&source, &[], &folder.path().join("model"))).unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains(key), "{key}: {message}");
    }
}

#[test]
fn a_changed_model_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    imported(&at("unet_2d"), &[], folder.path());
    let file = folder.path().join("model/model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let message = Model::open(&folder.path().join("model"), None).unwrap_err().to_string();
    assert!(message.contains("SHA-256"), "{message}");
}

/// A checkpoint of diffusers with its scheduler, from the folder beside the repository.
#[test]
fn a_pipeline_folder_brings_its_schedule() {
    let Some(shared) = pig_testing::shared("peers/diffusers/unet_attn_32_c1") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = imported(&shared, &[], folder.path());
    let words = model.unet_description().unwrap();
    assert_eq!((words.in_channels, words.out_channels, words.schedule.num_train_timesteps), (1, 1, 1000));
    let found = verify(&model, None, &shared.join("reference.npz"), &Device::flex()).unwrap();
    println!("{found:?}");
    assert!(found.relative < TOLERANCE, "{found:?}");
}
