//! Pictures of the steps of a sampling.

mod common;

use common::{SIDE, config, device, folder, trained};
use pig_data::{Pixels, png_file::read_png};
use pig_train::{
    arrays,
    generation::{Request, generate},
    given::GivenSource,
    observer::Silent,
};
use pig_weights::npz::{self, Values};
use std::path::Path;

const IDS: [u64; 3] = [0, 1, 7];

fn made(request: &Request) {
    generate(request, &device(), &Silent).unwrap();
}

/// The pixels of the picture of a step, and its width.
fn picture(out: &Path, seed: u64, step: usize) -> (Vec<u8>, usize) {
    let png = read_png(&out.join(format!("steps/{seed:06}/{step:04}.png"))).unwrap();
    assert_eq!((png.text["synthetic"].as_str(), png.height), ("yes", SIDE));
    match png.pixels {
        Pixels::Eight(values) => (values, png.width),
        Pixels::Sixteen(_) => panic!("16 bit"),
    }
}

/// -1 is black and 1 is white.
fn shade(value: f32) -> u8 {
    (f64::midpoint(f64::from(value).clamp(-1.0, 1.0), 1.0) * 255.0).round() as u8
}

/// The pictures show the estimates that --save-arrays writes, in every batch size, and change nothing of the pairs.
#[test]
fn pictures_of_steps_show_the_estimates() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&[]));
    let (plain, out) = (folder.path().join("plain"), folder.path().join("shown"));
    made(&Request::new(&run, &plain, &IDS));
    let sets = vec!["sample.batch_size=2".to_owned()];
    made(&Request { sets, save_steps: true, save_arrays: true, ..Request::new(&run, &out, &IDS) });
    for seed in IDS {
        for kind in ["images", "masks"] {
            let name = format!("{kind}/{seed:06}.png");
            assert_eq!(
                read_png(&out.join(&name)).unwrap().pixels,
                read_png(&plain.join(&name)).unwrap().pixels,
                "{name}"
            );
        }
        let saved = npz::read(&arrays::path(&out, seed)).unwrap();
        let estimates = ["x_0_hat", "y_0_hat"].map(|name| match &saved[name].values {
            Values::F32(values) => values.clone(),
            other => panic!("{other:?}"),
        });
        assert_eq!(std::fs::read_dir(out.join(format!("steps/{seed:06}"))).unwrap().count(), 8);
        for step in 1..=8 {
            let (pixels, width) = picture(&out, seed, step);
            assert_eq!(width, 2 * SIDE);
            let first = (step - 1) * SIDE * SIDE;
            let of = |at: usize| estimates[at % width / SIDE][first + at / width * SIDE + at % SIDE];
            let expected: Vec<u8> = (0..2 * SIDE * SIDE).map(|at| shade(of(at))).collect();
            assert_eq!(pixels, expected, "seed {seed}, step {step}");
        }
    }
}

#[test]
fn where_masks_are_given_the_image_alone_is_shown() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["data.channels=3"]));
    let out = folder.path().join("out");
    let source = GivenSource::TrainingMasks;
    made(&Request { source, save_steps: true, ..Request::new(&run, &out, &[0]) });
    let (pixels, width) = picture(&out, 0, 8);
    assert_eq!((width, pixels.len()), (SIDE, 3 * SIDE * SIDE));
    let Pixels::Eight(image) = read_png(&out.join("images/000000.png")).unwrap().pixels else { panic!("16 bit") };
    let far = pixels.iter().zip(&image).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(far <= Some(1), "the last estimate is the image: {far:?}");
}
