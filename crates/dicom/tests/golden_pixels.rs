//! Compares stored, modality and windowed values, and colours, with pydicom, for every file of the golden that is present.
//!
//! The golden is tests/peers/goldens/dicom_pixels.json, written by dicom_pixels.py; the files are the shared ones and those that
//! the PyPI packages pydicom and pydicom-data install. `.ci/peers` compares whole arrays. One test also reads all files of the
//! packages, whole and truncated, as bad input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pig_dicom::{Frame, Image, Limits, Photometric, Voi};
use pig_testing::{shared, skip};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Folders of pydicom's and pydicom-data's files by their label in the golden. If one is absent, that part of the calling test is skipped.
fn pydicom_roots() -> BTreeMap<&'static str, PathBuf> {
    let mut roots = BTreeMap::new();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let library = cache.map(|cache| cache.join("pig-peers/lib")).filter(|library| library.is_dir());
    for version in library.iter().flat_map(|library| std::fs::read_dir(library).unwrap()) {
        let packages = version.unwrap().path().join("site-packages");
        for (label, inside) in [("pydicom", "pydicom/data/test_files"), ("pydicom-data", "data_store")] {
            if packages.join(inside).is_dir() {
                roots.insert(label, packages.join(inside));
            }
        }
    }
    if roots.len() < 2 {
        skip("files of pydicom or pydicom-data are absent; .ci/peers installs them");
    }
    roots
}

fn stage(frame: &Frame, name: &str) -> Vec<f64> {
    match name {
        "stored" => frame.stored().iter().collect(),
        "modality" => frame.modality().unwrap(),
        "windowed" => frame.windowed(&Voi::Default).unwrap().values,
        "rgb" => frame.to_rgb().unwrap().stored().iter().collect(),
        other => panic!("unknown stage {other}"),
    }
}

/// How the values of a stage differ from the golden; `None` if they do not.
fn difference(values: &[f64], golden: &Value) -> Option<String> {
    if let Some(expected) = golden.get("sha256") {
        let mut digest = Sha256::new();
        for value in values {
            digest.update(value.to_le_bytes());
        }
        let found = format!("{:x}", digest.finalize());
        return (expected.as_str() != Some(found.as_str())).then(|| "a different hash".into());
    }
    let samples = golden["samples"].as_object().unwrap();
    assert!(samples.len() > 8);
    let apart = |(place, expected): (&String, &Value)| {
        let place: usize = place.parse().unwrap();
        (values[place] - expected.as_f64().unwrap()).abs()
    };
    let worst = samples.iter().map(apart).fold(0.0, f64::max);
    (worst > 2.0).then(|| format!("a sample differs by {worst}"))
}

#[test]
fn pixels_are_those_of_pydicom() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/goldens/dicom_pixels.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(golden).unwrap()).unwrap();
    let files = golden["files"].as_object().unwrap();
    assert!(files.len() > 150);
    let mut roots = pydicom_roots();
    roots.extend(shared("data/dicom_cbis").map(|folder| ("cbis", folder)));
    let mut problems = Vec::new();
    let (mut compared, mut absent) = (0, 0);
    for (name, entry) in files {
        let (label, inside) = name.split_once('/').unwrap();
        let path = roots.get(label).map(|root| root.join(inside)).filter(|path| path.is_file());
        let Some(path) = path else {
            absent += 1;
            continue;
        };
        let digest = format!("{:x}", Sha256::digest(std::fs::read(&path).unwrap()));
        if !digest.starts_with(entry["file"].as_str().unwrap()) {
            absent += 1;
            continue;
        }
        compared += 1;
        let image = Image::open(&path, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lossy = entry["lossy"].as_bool().unwrap();
        for (stage_name, expected) in entry["stages"].as_object().unwrap() {
            // Windows and colour conversions magnify the rounding of a lossy decoder; lossless files test them exactly.
            let magnified = lossy && matches!(stage_name.as_str(), "windowed" | "rgb");
            // pydicom does not swap the bytes of a big-endian palette.
            let wrong = stage_name == "rgb" && name.contains("OBXXXX1A_expb");
            if magnified || wrong {
                continue;
            }
            let frames = (0..image.info().frames).map(|index| image.frame(index).unwrap());
            let values: Vec<f64> = frames.flat_map(|frame| stage(&frame, stage_name)).collect();
            let count: u64 = expected["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).product();
            assert_eq!(values.len() as u64, count, "{name} {stage_name}");
            problems.extend(difference(&values, expected).map(|found| format!("{name}: {stage_name}: {found}")));
        }
    }
    println!("{compared} files compared, {absent} absent");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(roots.is_empty() || compared > 0, "no file matches the golden: {roots:?}");
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Processor seconds of this thread if the system reports them, else elapsed seconds.
fn clock(since: &Instant) -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = text.and_then(|text| text.split(' ').next().and_then(|word| word.parse::<f64>().ok()));
    nanoseconds.map_or_else(|| since.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

#[test]
fn every_file_whole_or_cut_is_read_or_refused_in_time() {
    let mut paths = Vec::new();
    for root in pydicom_roots().values() {
        files(root, &mut paths);
    }
    if paths.is_empty() {
        return;
    }
    let name = Path::new("theirs.dcm");
    let (mut read, mut refused, mut longest, since) = (0, 0, 0.0_f64, Instant::now());
    for path in &paths {
        let bytes = std::fs::read(path).unwrap();
        for length in [bytes.len(), bytes.len() * 2 / 3, bytes.len() / 4] {
            let began = clock(&since);
            let outcome = Image::from_bytes(bytes[..length].to_vec(), name, &Limits::default()).and_then(|image| {
                // At most three frames: the others are similar.
                (0..image.info().frames.min(3))
                    .try_for_each(|index| image.frame(index)?.to_gray()?.display(&Voi::Default).map(|_| ()))
            });
            match outcome {
                Ok(()) => read += 1,
                Err(error) => {
                    refused += 1;
                    let said = error.to_string();
                    assert!(said.starts_with("theirs.dcm: ") && said.len() > 30, "{}: {said}", path.display());
                }
            }
            longest = longest.max(clock(&since) - began);
            assert!(longest < 10.0, "{} took {longest:.1} s", path.display());
        }
    }
    println!("{} files: read {read} times, refused {refused} times, longest time {longest:.2} s", paths.len());
    assert!(read > 150 && refused > 300, "{read} {refused}");
}

#[test]
fn gray_from_colour_is_asked_for() {
    let Some(root) = pydicom_roots().remove("pydicom") else { return };
    for (name, photometric) in [
        ("examples_rgb_color.dcm", Photometric::Rgb),
        ("examples_palette.dcm", Photometric::Palette),
        ("SC_rgb_small_odd_jpeg.dcm", Photometric::YbrFull),
    ] {
        let image = Image::open(&root.join(name), &Limits::default()).unwrap();
        let frame = image.frame(0).unwrap();
        assert_eq!(frame.photometric(), photometric, "{name}");
        assert!(frame.modality().is_err() && frame.display(&Voi::Default).is_err(), "{name}");
        let rgb = frame.to_rgb().unwrap();
        let gray = frame.to_gray().unwrap();
        assert_eq!(gray.photometric(), Photometric::Monochrome2);
        for (index, luma) in gray.stored().iter().enumerate() {
            let [r, g, b] = [0, 1, 2].map(|sample| rgb.stored().get(3 * index + sample));
            assert!((luma - (0.299 * r + 0.587 * g + 0.114 * b)).abs() <= 0.5 + 1e-9);
        }
        assert!(gray.display(&Voi::Default).unwrap().iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
