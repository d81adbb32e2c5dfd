//! A run with its averaged weights alone: the same pairs in f32, nearly the same in bf16, and no further training.

mod common;

use common::{LEARNED, config, device, folder, trained};
use pig_data::{Pixels, png_file::read_png};
use pig_nn::pass::Precision;
use pig_train::{
    checkpoint::Store,
    generation::{Request, generate},
    observer::Silent,
    pruned::prune,
    training::resume,
};
use std::path::Path;

/// The gray values of the images of the first eight seeds.
fn images(run: &Path, out: &Path) -> Vec<u8> {
    generate(&Request::new(run, out, &[0, 1, 2, 3, 4, 5, 6, 7]), &device(), &Silent).unwrap();
    let read = |seed: u64| match read_png(&out.join("images").join(format!("{seed:06}.png"))).unwrap().pixels {
        Pixels::Eight(values) => values,
        Pixels::Sixteen(_) => panic!("images of 16 bits"),
    };
    (0..8).flat_map(read).collect()
}

#[test]
fn a_pruned_run_makes_the_same_pairs() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let config = config(&[&LEARNED[..], &["train.preview_every=60", "sample.clip_sample=true"]].concat());
    let run = trained(folder.path(), "run", &config);
    let whole = images(&run, &at("whole-pairs"));

    let sizes = prune(&run, &at("exact"), Precision::F32).unwrap();
    assert!(sizes.after * 3 < sizes.before, "{sizes:?}");
    assert_eq!(images(&at("exact"), &at("exact-pairs")), whole);

    let half = prune(&run, &at("rounded"), Precision::Bf16).unwrap();
    assert!(half.after * 10 < sizes.after * 6, "{half:?}, {sizes:?}");
    let rounded = images(&at("rounded"), &at("rounded-pairs"));
    let difference: u64 = rounded.iter().zip(&whole).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = difference as f64 / whole.len() as f64;
    println!("rounding moves a pixel by {mean:.2} gray values in the mean");
    assert!(mean > 0.0 && mean < 4.0, "{mean}");

    // model_y still knows the model_x that it learned from, by its new hash.
    let state = |network| Store::new(&at("rounded"), network).load_ema().unwrap().0;
    assert_eq!(state("model_y").frozen_sha256.as_deref(), Some(state("model_x").ema_sha256()));
    let card = std::fs::read_to_string(at("rounded").join("README.md")).unwrap();
    assert!(card.contains(state("model_x").ema_sha256()), "{card}");
    assert!(at("rounded").join("metrics.jsonl").is_file());
    for gone in ["previews", "data-path.txt", "checkpoints/model_x/step-000120/optimizer.safetensors"] {
        assert!(run.join(gone).exists() && !at("rounded").join(gone).exists(), "{gone}");
    }

    let message = resume(&at("rounded"), Some(&at("data")), &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("averaged weights alone"), "{message}");
    let message = prune(&run, &at("exact"), Precision::F32).unwrap_err().to_string();
    assert!(message.contains("exact"), "{message}");
}
