//! Tests pair agreement on real pairs, for which the result is known from radiology: lesions are dark in breast ultrasound, tumours
//! are bright in FLAIR. The tests are skipped if the shared data are absent.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pig_metrics::agreement::{Agreement, AgreementSettings, Direction, Pair, Verdict, pair_agreement};
use pig_testing::shared;

struct Real {
    image: Vec<f32>,
    mask: Vec<bool>,
    height: usize,
    width: usize,
    patient: Option<String>,
}

fn gray(path: &Path) -> (Vec<u8>, usize, usize) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    (data, info.height as usize, info.width as usize)
}

fn read(image: &Path, mask: &Path, patient: Option<String>) -> Real {
    let (pixels, height, width) = gray(image);
    let mask = gray(mask).0.iter().map(|&v| v > 127).collect();
    Real { image: pixels.iter().map(|&v| f32::from(v) / 255.0).collect(), mask, height, width, patient }
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

fn pairs(real: &[Real]) -> Vec<Pair<'_>> {
    real.iter()
        .map(|r| Pair {
            image: &r.image,
            mask: &r.mask,
            others: None,
            height: r.height,
            width: r.width,
            group: r.patient.as_deref(),
        })
        .collect()
}

fn measure(generated: &[Pair], real: &[Pair]) -> Agreement {
    pair_agreement(generated, real, &AgreementSettings::default()).unwrap()
}

#[test]
fn ultrasound_lesions_are_dark() {
    let Some(folder) = shared("data/busi") else { return };
    let images = names(&folder.join("images"));
    let real: Vec<Real> = images
        .iter()
        .step_by(6)
        .map(|image| read(image, &folder.join("masks").join(image.file_name().unwrap()), None))
        .collect();
    let a = measure(&[], &pairs(&real));
    assert_eq!(a.direction, Direction::Darker, "{a}");
    assert!(a.real.unwrap().empty_masks > 0, "the normal images must have empty masks");
}

#[test]
fn flair_tumours_are_bright_and_agree_until_masks_are_exchanged() {
    let Some(folder) = shared("data/lgg") else { return };
    let mut real = Vec::new();
    for patient in names(&folder).iter().filter(|path| path.is_dir()).take(40) {
        let name = patient.file_name().unwrap().to_string_lossy().into_owned();
        for mask in names(patient).iter().filter(|path| path.to_string_lossy().ends_with("_mask.png")).step_by(4) {
            let image = PathBuf::from(mask.to_string_lossy().replace("_mask.png", ".png"));
            real.push(read(&image, mask, Some(name.clone())));
        }
    }
    let own = pairs(&real);
    let a = measure(&own, &own);
    assert_eq!((a.direction, a.verdict), (Direction::Brighter, Verdict::Agrees), "{a}");
    let units = a.difference.estimate.unwrap().units;
    assert!(units <= 40, "intervals must be by patient, found {units} units");

    // Masks at a large distance in the list belong to other patients. One exchange in forty can seem to agree by chance.
    let n = own.len();
    let passed = [n / 5, n / 4, n / 3, n / 2, 2 * n / 3].into_iter().filter(|shift| {
        let exchanged: Vec<Pair> = (0..n).map(|i| Pair { mask: own[(i + shift) % n].mask, ..own[i] }).collect();
        let b = measure(&exchanged, &own);
        let mean = |a: &Agreement| a.difference.estimate.unwrap().mean;
        assert!(mean(&b).abs() < 0.3 * mean(&a), "shift {shift}\n{b}");
        b.verdict == Verdict::Agrees
    });
    assert!(passed.count() <= 1);
}
