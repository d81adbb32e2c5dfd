//! Models from other frameworks (tests/peers/imports.py): after the import, they give the outputs of those frameworks.

use burn::tensor::Device;
use pig_diffusion::{prediction::PredictionType, schedule::BetaSchedule};
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

/// Settings that MONAI's checkpoints do not contain.
const MONAI: [&str; 2] = ["unet.norm_num_groups=2", "unet.attention_head_dim=4"];
const AUTOENCODER: [&str; 1] = ["autoencoder.norm_num_groups=2"];
/// The file of weights in a folder of diffusers.
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Writes arrays as safetensors.
fn write(arrays: &pig_weights::StateDict, file: &Path) {
    let bytes: Vec<(&String, &[usize], Vec<u8>)> = arrays
        .iter()
        .map(|(name, a)| (name, &a.shape[..], a.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes).unwrap();
        (*name, view)
    });
    std::fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

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
fn monai_s_unet() {
    equals("monai_unet.pth", "monai_unet.npz", &MONAI);
}

/// MONAI Generative stores a projection of attention and never applies it. Applied, it gives other outputs.
#[test]
fn monai_generative_s_networks_without_the_projection_that_they_store() {
    equals("monai_generative_unet.safetensors", "monai_generative_unet.npz", &MONAI);
    equals("monai_generative_controlnet.safetensors", "monai_generative_controlnet.npz", &MONAI);
    equals("monai_generative_vae.safetensors", "monai_generative_vae.npz", &AUTOENCODER);
    let folder = tempfile::tempdir().unwrap();
    for (name, sets) in [("unet", &MONAI[..]), ("vae", &AUTOENCODER)] {
        let name = format!("monai_generative_{name}");
        let stored = pig_weights::file::read(&at(&format!("{name}.safetensors")), None).unwrap().arrays;
        // Under MONAI's present name it is a projection that is applied.
        let present = |(name, array): (String, _)| (name.replace(".proj_attn.", ".attn.out_proj."), array);
        let file = folder.path().join(format!("{name}.safetensors"));
        write(&stored.into_iter().map(present).collect(), &file);
        let model = imported(&file, sets, &folder.path().join(&name));
        let found = verify(&model, None, &at(&format!("{name}.npz")), &Device::flex()).unwrap();
        println!("{name} with its projection: {found:?}");
        assert!(found.relative > 1000.0 * TOLERANCE, "{name}: {found:?}");
    }
}

/// In old files of diffusers the projection has the same name and is applied.
#[test]
fn old_names_of_diffusers_keep_their_projection() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::copy(at("unet_2d/config.json"), source.join("config.json")).unwrap();
    let arrays = pig_weights::file::read(&at("unet_2d").join(WEIGHTS), None).unwrap().arrays;
    let old = [(".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")];
    let renamed = arrays
        .into_iter()
        .map(|(name, array)| (old.iter().fold(name, |name, (new, old)| name.replace(new, old)), array));
    write(&renamed.collect(), &source.join(WEIGHTS));
    let model = imported(&source, &[], folder.path());
    close("old diffusers", verify(&model, None, &at("unet_2d.npz"), &Device::flex()).unwrap());
}

/// The decoder of the released code has attention in its lowest level alone, whatever its settings say.
#[test]
fn the_released_code_s_unet_with_attention_in_two_levels() {
    equals("released_unet.safetensors", "released_unet.npz", &["unet.norm_num_groups=2"]);
    let folder = tempfile::tempdir().unwrap();
    let model = imported(&at("released_unet.safetensors"), &["unet.norm_num_groups=2"], folder.path());
    let network = &model.unet_description().unwrap().network;
    assert_eq!((&network.attention_levels, &network.up_attention_levels), (&vec![0, 1], &Some(vec![1])));
}

#[test]
fn a_model_in_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::copy(at("unet_2d/config.json"), source.join("config.json")).unwrap();
    let arrays = pig_weights::file::read(&at("unet_2d").join(WEIGHTS), None).unwrap().arrays;
    let (mut shards, mut map) =
        ([pig_weights::StateDict::new(), pig_weights::StateDict::new()], serde_json::Map::new());
    for (place, (name, array)) in arrays.into_iter().enumerate() {
        map.insert(name.clone(), format!("part-{}.safetensors", place % 2).into());
        shards[place % 2].insert(name, array);
    }
    for (place, shard) in shards.iter().enumerate() {
        write(shard, &source.join(format!("part-{place}.safetensors")));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    std::fs::write(source.join(format!("{WEIGHTS}.index.json")), index.to_string()).unwrap();
    let model = imported(&source, &[], folder.path());
    assert_eq!(model.arrays, imported(&at("unet_2d"), &[], &folder.path().join("whole")).arrays);
}

#[test]
fn autoencoders_with_attention_in_their_levels() {
    equals("vae_attention", "vae_attention.npz", &[]);
    equals("monai_vae_attention.safetensors", "monai_vae_attention.npz", &AUTOENCODER);
    equals("monai_vae_no_middle.safetensors", "monai_vae_no_middle.npz", &AUTOENCODER);
    let folder = tempfile::tempdir().unwrap();
    for (name, levels, mid_block) in [("monai_vae_attention", &[0, 1][..], true), ("monai_vae_no_middle", &[1], false)]
    {
        let model = imported(&at(&format!("{name}.safetensors")), &AUTOENCODER, &folder.path().join(name));
        let network = &model.autoencoder_description().unwrap().network;
        assert_eq!((&network.attention_levels[..], network.mid_block), (levels, mid_block), "{name}");
    }
}

#[test]
fn autoencoders_of_both() {
    equals("vae", "vae.npz", &[]);
    equals("monai_vae.safetensors", "monai_vae.npz", &AUTOENCODER);
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
        ("vae_attention", &[]),
        ("released_unet.safetensors", &["unet.norm_num_groups=2"]),
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
    let file = folder.path().join("strange.safetensors");
    write(&arrays, &file);
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
    std::fs::copy(at("unet_2d").join(WEIGHTS), source.join(WEIGHTS)).unwrap();
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

/// google/ddpm-cat-256 and others have all files in one folder; files from Windows begin with a byte order mark.
#[test]
fn a_folder_with_everything_brings_its_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::copy(at("unet_2d").join(WEIGHTS), source.join(WEIGHTS)).unwrap();
    let config = std::fs::read_to_string(at("unet_2d").join("config.json")).unwrap();
    std::fs::write(source.join("config.json"), format!("\u{feff}{config}")).unwrap();
    let out = folder.path().join("without");
    let summary = import(&request(&source, &[], &out)).unwrap();
    assert!(summary.schedule_is_assumed);
    assert_eq!(summary.description.unet.unwrap().schedule.num_train_timesteps, 1024);
    let out = folder.path().join("given");
    assert!(!import(&request(&source, &["schedule.num_train_timesteps=500"], &out)).unwrap().schedule_is_assumed);
    let scheduler =
        r#"{"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}"#;
    std::fs::write(source.join("scheduler_config.json"), scheduler).unwrap();
    let out = folder.path().join("with");
    let summary = import(&request(&source, &[], &out)).unwrap();
    let words = summary.description.unet.unwrap();
    assert!(!summary.schedule_is_assumed);
    assert_eq!(words.schedule.num_train_timesteps, 1000);
    assert_eq!(words.schedule.beta_schedule, BetaSchedule::Cosine);
    assert_eq!(words.network.prediction_type, PredictionType::VPrediction);
    let again = import(&request(&source, &[], &out)).unwrap_err().to_string();
    assert!(again.contains("is never overwritten") && !again.contains("--resume"), "{again}");
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
