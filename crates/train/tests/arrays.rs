//! Whole trajectories as NumPy arrays, and sampling from given noise.

mod common;

use common::{SIDE, config, device, folder, trained};
use pig_data::{Pixels, png_file::read_png};
use pig_train::{
    arrays,
    generation::{Request, Summary, generate},
    observer::Silent,
};
use pig_weights::npz::{self, NpyArray, Npz, Values};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const PIXELS: usize = SIDE * SIDE;

fn request(run: &Path, out: &Path, sets: &[&str]) -> Request {
    let sets = sets.iter().map(|&set| set.to_owned()).collect();
    Request { sets, save_arrays: true, ..Request::new(run, out, &[0, 1, 2]) }
}

fn made(request: &Request) -> Summary {
    generate(request, &device(), &Silent).unwrap()
}

fn floats(array: &NpyArray) -> &[f32] {
    match &array.values {
        Values::F32(values) => values,
        other => panic!("{other:?}"),
    }
}

fn doubles(array: &NpyArray) -> &[f64] {
    match &array.values {
        Values::F64(values) => values,
        other => panic!("{other:?}"),
    }
}

/// An archive of these arrays.
fn write_npz(path: &Path, arrays: &[(&str, NpyArray)]) {
    std::fs::write(path, npz::encode(arrays.iter().map(|(name, array)| (*name, array)))).unwrap();
}

/// The starting states of the samples whose arrays are in `out`, stacked.
fn starts(out: &Path, name: &str) -> NpyArray {
    let first = |seed| {
        let saved = npz::read(&arrays::path(out, seed)).unwrap();
        let channels = saved[name].shape[1];
        (channels, floats(&saved[name])[..channels * PIXELS].to_vec())
    };
    let rows: Vec<(usize, Vec<f32>)> = (0..3).map(first).collect();
    let channels = rows[0].0;
    NpyArray::f32(&[3, channels, SIDE, SIDE], rows.into_iter().flat_map(|row| row.1).collect())
}

fn pictures(out: &Path) -> Vec<Pixels> {
    let paths = ["images", "masks"].into_iter().flat_map(|part| (0..3).map(move |seed| (part, seed)));
    paths.map(|(part, seed)| read_png(&out.join(part).join(format!("{seed:06}.png"))).unwrap().pixels).collect()
}

/// Sampling from the noise that pig itself draws gives the same bits, if the noise is given for both chains or for y alone.
#[test]
fn pig_s_own_noise_gives_the_same_pictures() {
    let folder = folder();
    for (name, sets) in [
        ("xhat", &["data.channels=3", "model_x.prediction_type=v_prediction"][..]),
        ("joint", &["method=joint", "sample.sampler=heun"]),
    ] {
        let run = trained(folder.path(), name, &config(sets));
        let out = |what: &str| folder.path().join(format!("{name}-{what}"));
        made(&request(&run, &out("own"), &[]));
        let (x, y) = (starts(&out("own"), "x_t"), starts(&out("own"), "y_t"));
        let file = |what: &str| folder.path().join(format!("{name}-{what}.npz"));
        write_npz(&file("both"), &[("x_T", x.clone()), ("y_T", y.clone())]);
        write_npz(&file("y"), &[("y_T", y.clone())]);
        let moved = floats(&y).iter().map(|v| v + 0.5).collect();
        write_npz(&file("moved"), &[("y_T", NpyArray::f32(&y.shape, moved))]);
        for what in ["both", "y", "moved"] {
            made(&Request { initial_noise: Some(file(what)), save_arrays: false, ..request(&run, &out(what), &[]) });
            assert_eq!(pictures(&out(what)) == pictures(&out("own")), what != "moved", "{name}, {what}");
        }
        assert!(!out("both").join("arrays").exists());
        // A single sample starts from its own row.
        let alone = Request { seeds: vec![2], initial_noise: Some(file("both")), ..request(&run, &out("alone"), &[]) };
        made(&alone);
        let read = |out: &Path| npz::read(&arrays::path(out, 2)).unwrap();
        let (alone, own) = (read(&out("alone")), read(&out("own")));
        assert_eq!(floats(&alone["y_t"])[..PIXELS], floats(&own["y_t"])[..PIXELS]);
    }
}

/// Computes Eq. (7) in plain numbers along the saved chain: from each saved state to the next, and to the saved end.
fn check_chain(saved: &Npz, x: &str, x_0_hat: &str, end: &str) {
    let alpha_bar: Vec<f64> = doubles(&saved["alpha_bar"]).iter().copied().chain([1.0]).collect();
    let (states, estimates) = (&saved[x], &saved[x_0_hat]);
    let each: usize = states.shape[1..].iter().product();
    let steps = states.shape[0];
    assert_eq!((states.shape[0], &states.shape), (alpha_bar.len() - 1, &estimates.shape));
    for step in 0..steps {
        let (a, b) = (alpha_bar[step], alpha_bar[step + 1]);
        let state = |step: usize| &floats(states)[step * each..(step + 1) * each];
        let next = if step + 1 < steps { state(step + 1) } else { floats(&saved[end]) };
        for (index, &found) in next.iter().enumerate() {
            let (x_t, x_0) = (f64::from(state(step)[index]), f64::from(floats(estimates)[step * each + index]));
            let eps = (x_t - a.sqrt() * x_0) / (1.0 - a).sqrt();
            let wanted = b.sqrt() * x_0 + (1.0 - b).sqrt() * eps;
            assert!((f64::from(found) - wanted).abs() < 1e-4, "{x} after step {step}: {found}, expected {wanted}");
        }
    }
}

#[test]
fn saved_arrays_are_the_whole_chain_and_what_the_pictures_were_made_of() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["data.channels=3", "sample.clip_sample=true"]));
    let out = folder.path().join("pairs");
    made(&request(&run, &out, &[]));
    for seed in 0..3 {
        let saved = npz::read(&arrays::path(&out, seed)).unwrap();
        let shape = |name: &str| saved[name].shape.clone();
        assert_eq!((shape("x_0"), shape("y_0")), (vec![1, SIDE, SIDE], vec![3, SIDE, SIDE]));
        assert_eq!((shape("x_t"), shape("y_t")), (vec![8, 1, SIDE, SIDE], vec![8, 3, SIDE, SIDE]));
        assert_eq!(saved["t"].values, Values::I64(vec![64, 56, 48, 40, 32, 24, 16, 8]));
        assert_eq!(saved["synthetic"].values, Values::U8(vec![1]));
        check_chain(&saved, "x_t", "x_0_hat", "x_0");
        check_chain(&saved, "y_t", "y_0_hat", "y_0");
        let Pixels::Eight(image) = read_png(&out.join("images").join(format!("{seed:06}.png"))).unwrap().pixels else {
            panic!("8-bit data gave other pixels")
        };
        for (index, &value) in image.iter().enumerate() {
            let saved = floats(&saved["y_0"])[index % 3 * PIXELS + index / 3];
            let wanted = ((saved.clamp(-1.0, 1.0) + 1.0) * 127.5).round();
            assert!((f32::from(value) - wanted).abs() <= 1.0, "{index}: {value}, saved {saved}");
        }
    }
    // Finished samples without arrays are sampled again, with the same result.
    let before = pictures(&out);
    std::fs::remove_file(arrays::path(&out, 1)).unwrap();
    let summary = made(&request(&run, &out, &[]));
    assert_eq!((summary.made, summary.skipped), (1, 2));
    assert!(arrays::path(&out, 1).is_file() && pictures(&out) == before);
}

#[test]
fn noise_that_does_not_fit_is_refused_before_any_work() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["method=joint"]));
    let (file, out) = (folder.path().join("noise.npz"), folder.path().join("pairs"));
    let of = |shape: &[usize]| NpyArray::f32(shape, vec![0.5; shape.iter().product()]);
    let mut not_finite = of(&[3, 1, SIDE, SIDE]);
    not_finite.values = Values::F32(vec![f32::NAN; 3 * PIXELS]);
    for (arrays, named) in [
        (vec![("x_T", of(&[3, 1, SIDE, SIDE]))], "no array y_T; found [\"x_T\"]"),
        (vec![("y_T", of(&[3, SIDE, SIDE, 1]))], "expected [samples, 1, 16, 16]"),
        (vec![("y_T", of(&[3, 3, SIDE, SIDE]))], "y_T is of shape [3, 3, 16, 16]"),
        (vec![("y_T", of(&[3, 1, SIDE, SIDE])), ("x_T", of(&[2, 1, SIDE, SIDE]))], "x_T has 2 rows and y_T 3"),
        (vec![("y_T", of(&[2, 1, SIDE, SIDE]))], "sample 2 was requested"),
        (vec![("y_T", of(&[3, 1, SIDE, SIDE])), ("z", of(&[1]))], "\"z\", expected x_T and y_T"),
        (vec![("y_T", not_finite)], "NaN, expected finite"),
    ] {
        write_npz(&file, &arrays);
        let asked = Request { initial_noise: Some(file.clone()), ..request(&run, &out, &[]) };
        let message = generate(&asked, &device(), &Silent).unwrap_err().to_string();
        assert!(message.contains("noise.npz") && message.contains(named), "{named}: {message}");
        assert!(!out.exists());
    }
}

const PYTHON: &str = "
import sys, numpy
from pathlib import Path
saved, noise = Path(sys.argv[1]), sys.argv[2]
starts = {'x_T': [], 'y_T': []}
for path in sorted(saved.iterdir()):
    arrays = numpy.load(path)
    assert arrays['t'].dtype == numpy.int64 and arrays['x_t'].dtype == numpy.float32, arrays
    alpha_bar = numpy.append(arrays['alpha_bar'], 1.0)[:, None, None, None]
    for x, x_0, end in (('x_t', 'x_0_hat', 'x_0'), ('y_t', 'y_0_hat', 'y_0')):
        x, x_0, end = (arrays[name].astype(numpy.float64) for name in (x, x_0, end))
        eps = (x - alpha_bar[:-1] ** 0.5 * x_0) / (1 - alpha_bar[:-1]) ** 0.5
        moved = alpha_bar[1:] ** 0.5 * x_0 + (1 - alpha_bar[1:]) ** 0.5 * eps
        assert abs(moved - numpy.concatenate([x[1:], end[None]])).max() < 1e-4
    starts['x_T'].append(arrays['x_t'][0])
    starts['y_T'].append(arrays['y_t'][0])
# Number types and compression that pig itself does not write.
numpy.savez_compressed(noise, **{name: numpy.stack(rows).astype(numpy.float64) for name, rows in starts.items()})
";

/// NumPy reads what pig writes and recomputes the chain from it; pig reads what NumPy writes.
#[test]
fn numpy_reads_and_writes_the_same() {
    let Some(python) = pig_testing::given("PIG_PEERS_PYTHON") else { return };
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["sample.clip_sample=true"]));
    let (own, again) = (folder.path().join("own"), folder.path().join("again"));
    made(&request(&run, &own, &[]));
    let noise: PathBuf = folder.path().join("noise.npz");
    let arguments = [own.join("arrays"), noise.clone()];
    let status = Command::new(python).args(["-c", PYTHON]).args(&arguments).status().unwrap();
    assert!(status.success());
    made(&Request { initial_noise: Some(noise), ..request(&run, &again, &[]) });
    assert!(pictures(&again) == pictures(&own));
}
