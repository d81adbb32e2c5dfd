//! The phantom: exact masks, keyed random numbers, measured contrasts and spectra.

use std::collections::HashMap;

use pig_data::phantom::{
    BACKGROUND, GLANDULAR_EXPONENT, Laterality, MassKind, PhantomConfig, PhantomError, PhantomSlice, View,
    generate_all, generate_slice, power_law_fields, write_dataset,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

fn config(patients: usize, side: usize) -> PhantomConfig {
    PhantomConfig { patients, size: [side, side], seed: 7, ..PhantomConfig::default() }
}

fn make(config: &PhantomConfig, patient: usize, view: View) -> PhantomSlice {
    generate_slice(config, patient, view).expect("the settings are valid")
}

fn mean(values: impl Iterator<Item = f32>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + f64::from(value), count + 1.0));
    assert!(count > 0.0, "the mean of no values");
    sum / count
}

/// Mean in the mask minus the mean in a ring around the same centre, from 1.5 to 2 radii.
fn ring_contrast(slice: &PhantomSlice) -> f64 {
    let mass = slice.mass.expect("the slice has a mass");
    let radii = |index: usize| {
        let (x, y) = ((index % slice.width) as f32, (index / slice.width) as f32);
        (x - mass.centre[0]).hypot(y - mass.centre[1]) / (0.5 * mass.diameter)
    };
    let core = slice.image.iter().zip(&slice.mask).filter(|&(_, &inside)| inside).map(|(&grey, _)| grey);
    let ring = slice.image.iter().enumerate().filter(|&(index, _)| (1.5..2.0).contains(&radii(index)));
    mean(core) - mean(ring.map(|(_, &grey)| grey))
}

#[test]
fn same_seed_gives_the_same_slice_in_any_order_and_on_any_threads() {
    let config = config(6, 96);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
    let one = pool(1).install(|| generate_all(&config)).expect("the settings are valid");
    let four = pool(4).install(|| generate_all(&config)).expect("the settings are valid");
    assert_eq!(one, four);
    for slice in one.iter().rev() {
        assert_eq!(*slice, make(&config, slice.patient, slice.view));
    }
    let more = PhantomConfig { patients: 60, ..config.clone() };
    assert_eq!(one[3], make(&more, 1, View::Mlo), "the number of patients must not change a slice");
}

#[test]
fn seed_patient_and_view_each_change_the_slice() {
    let config = config(2, 96);
    let first = make(&config, 0, View::Cc).image;
    assert_ne!(first, make(&config, 0, View::Mlo).image);
    assert_ne!(first, make(&config, 1, View::Cc).image);
    assert_ne!(first, make(&PhantomConfig { seed: 8, ..config }, 0, View::Cc).image);
}

/// Slope of log power over log frequency of square pictures, radially averaged, within `band` (cycles per side).
fn spectral_slope(pictures: &[Vec<f64>], side: usize, band: std::ops::RangeInclusive<usize>) -> f64 {
    let mut power: HashMap<usize, (f64, f64)> = HashMap::new();
    let fft = FftPlanner::new().plan_fft_forward(side);
    for picture in pictures {
        let mut data: Vec<Complex<f64>> = picture.iter().map(|&value| Complex::new(value, 0.0)).collect();
        fft.process(&mut data);
        let mut turned: Vec<_> = (0..side * side).map(|k| data[(k % side) * side + k / side]).collect();
        fft.process(&mut turned);
        for (k, value) in turned.iter().enumerate() {
            let fold = |n: usize| n.min(side - n) as f64;
            let bin = fold(k / side).hypot(fold(k % side)).round() as usize;
            let entry = power.entry(bin).or_default();
            *entry = (entry.0 + value.norm_sqr(), entry.1 + 1.0);
        }
    }
    let points: Vec<(f64, f64)> = band.map(|bin| ((bin as f64).ln(), (power[&bin].0 / power[&bin].1).ln())).collect();
    let count = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let covariance: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    covariance / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}

#[test]
fn the_glandular_field_falls_as_frequency_to_the_minus_three() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut slope = |exponent: f32| {
        let fields: Vec<Vec<f64>> = (0..4)
            .flat_map(|_| power_law_fields(128, 128, exponent, &mut rng))
            .map(|field| field.values.iter().map(|&value| f64::from(value)).collect())
            .collect();
        spectral_slope(&fields, 128, 4..=40)
    };
    let (three, other) = (slope(GLANDULAR_EXPONENT), slope(1.5));
    assert!((three + 3.0).abs() < 0.1, "slope {three}");
    assert!((other + 1.5).abs() < 0.1, "the slope follows the exponent: {other}");
}

/// With strands, ligaments, masses and noise added, the spectrum of the finished slice stays near that of mammograms.
#[test]
fn the_finished_breast_falls_as_frequency_to_about_minus_three() {
    const SIDE: usize = 128;
    let config = config(24, 256);
    let pictures: Vec<Vec<f64>> = (0..config.patients)
        .map(|patient| {
            let slice = make(&config, patient, View::Cc);
            let cut = |k: usize| f64::from(slice.image[(64 + k / SIDE) * slice.width + 20 + k % SIDE]);
            // A Hann window keeps the edges of the cut out of the spectrum.
            let hann = |n: usize| 0.5 - 0.5 * (std::f64::consts::TAU * (n as f64 + 0.5) / SIDE as f64).cos();
            let weight = |k: usize| hann(k / SIDE) * hann(k % SIDE);
            let (sum, weights) = (0..SIDE * SIDE).fold((0.0, 0.0), |(s, w), k| (s + weight(k) * cut(k), w + weight(k)));
            (0..SIDE * SIDE).map(|k| weight(k) * (cut(k) - sum / weights)).collect()
        })
        .collect();
    let slope = spectral_slope(&pictures, SIDE, 4..=20);
    assert!((slope + 3.0).abs() < 0.3, "slope {slope}");
}

#[test]
fn the_two_fields_are_standardised_and_uncorrelated() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let [a, b] = power_law_fields(96, 64, 1.0, &mut rng);
    assert_eq!((a.width, a.height, a.values.len()), (96, 64, 96 * 64));
    for field in [&a, &b] {
        assert!(mean(field.values.iter().copied()).abs() < 1e-4);
        assert!((mean(field.values.iter().map(|v| v * v)) - 1.0).abs() < 1e-4);
    }
    let product = mean(a.values.iter().zip(&b.values).map(|(x, y)| x * y));
    assert!(product.abs() < 0.15, "correlation {product}");
}

#[test]
fn the_mask_lies_inside_the_breast_and_matches_its_description() {
    let config = PhantomConfig { mass_diameter: [0.05, 0.28], ..config(60, 128) };
    for slice in generate_all(&config).expect("the settings are valid") {
        let mass = slice.mass.expect("every patient has a mass");
        assert_eq!(mass.area, slice.mask.iter().filter(|&&inside| inside).count());
        for (&grey, _) in slice.image.iter().zip(&slice.mask).filter(|&(_, &inside)| inside) {
            assert!(grey > BACKGROUND, "{}: the mask reaches into the air", slice.id());
        }
        // Up to the pixel grid, the diameter is that of the circle of equal area.
        let circle = std::f32::consts::FRAC_PI_4 * mass.diameter * mass.diameter;
        let ratio = mass.area as f32 / circle;
        assert!((0.88..1.12).contains(&ratio), "{}: {} pixels for a circle of {circle}", slice.id(), mass.area);
        let edge = (0..slice.width * slice.height).filter(|k| {
            let (x, y) = (k % slice.width, k / slice.width);
            x == 0 || y == 0 || x + 1 == slice.width || y + 1 == slice.height
        });
        assert!(edge.into_iter().all(|k| !slice.mask[k]), "{}: the mask touches the edge of the slice", slice.id());
    }
}

/// Slices with and without contrast differ only by the mass: the mask is where it adds half of its contrast or more.
#[test]
fn the_mask_is_the_half_maximum_of_what_the_mass_adds() {
    let low = PhantomConfig { mass_contrast: [0.0, 0.0], spiculated_share: 0.0, ..config(8, 128) };
    let high = PhantomConfig { mass_contrast: [0.2, 0.2], ..low.clone() };
    for patient in 0..8 {
        let (without, with) = (make(&low, patient, View::Cc), make(&high, patient, View::Cc));
        assert_eq!(without.mask, with.mask);
        for (index, (&a, &b)) in without.image.iter().zip(&with.image).enumerate() {
            let added = b - a;
            if b < 1.0 && a > 0.0 && (added - 0.1).abs() > 1e-4 {
                assert_eq!(added > 0.1, with.mask[index], "pixel {index}: added {added}");
            }
        }
    }
}

#[test]
fn spicules_run_out_of_the_mask() {
    let without = PhantomConfig { mass_contrast: [0.0, 0.0], spiculated_share: 1.0, ..config(4, 128) };
    let with = PhantomConfig { mass_contrast: [0.3, 0.3], ..without.clone() };
    for patient in 0..4 {
        let (a, b) = (make(&without, patient, View::Cc), make(&with, patient, View::Cc));
        let mass = b.mass.expect("every patient has a mass");
        assert_eq!(mass.kind, MassKind::Spiculated);
        let far = |index: usize| {
            let (x, y) = ((index % b.width) as f32, (index / b.width) as f32);
            (x - mass.centre[0]).hypot(y - mass.centre[1]) > 0.65 * mass.diameter
        };
        let bright = (0..b.image.len()).filter(|&k| far(k) && b.image[k] - a.image[k] > 0.06);
        assert!(bright.count() > 10, "patient {patient}: no spicules outside the core");
        assert!((0..b.image.len()).all(|k| !(b.mask[k] && far(k))), "patient {patient}: a spicule is in the mask");
    }
}

#[test]
fn measured_contrast_rises_with_the_setting() {
    let measured: Vec<f64> = [0.0, 0.1, 0.2, 0.3, 0.4]
        .iter()
        .map(|&contrast| {
            let config = PhantomConfig { mass_contrast: [contrast; 2], ..config(24, 96) };
            let slices = generate_all(&config).expect("the settings are valid");
            slices.iter().map(ring_contrast).sum::<f64>() / slices.len() as f64
        })
        .collect();
    assert!(measured.windows(2).all(|pair| pair[1] > pair[0] + 0.04), "{measured:?}");
    assert!(measured[0].abs() < 0.08, "without contrast the mass is almost invisible: {measured:?}");
}

#[test]
fn both_views_of_a_patient_share_the_mass() {
    let config = PhantomConfig { lesion_free_share: 0.3, both_sides: true, ..config(30, 64) };
    let mut kinds = HashMap::new();
    for patient in 0..config.patients {
        let (cc, mlo) = (make(&config, patient, View::Cc), make(&config, patient, View::Mlo));
        assert_eq!((cc.density, cc.laterality), (mlo.density, mlo.laterality));
        let shared = |slice: &PhantomSlice| slice.mass.map(|m| (m.kind, m.contrast, m.diameter));
        assert_eq!(shared(&cc), shared(&mlo));
        *kinds.entry(cc.mass.map(|mass| mass.kind)).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 3, "lobulated, spiculated and none must all occur: {kinds:?}");
}

#[test]
fn air_is_exactly_the_background() {
    let slice = make(&config(1, 128), 0, View::Cc);
    let column = |x: usize| slice.image.iter().skip(x).step_by(slice.width).copied();
    assert!(column(slice.width - 1).all(|grey| grey == BACKGROUND), "beyond the nipple there is only air");
    let air = slice.image.iter().filter(|&&grey| grey == BACKGROUND).count();
    let share = air as f64 / slice.image.len() as f64;
    assert!((0.2..0.75).contains(&share), "share of air {share}");
    // In every row, from the chest wall on, the breast comes first; after it there is only air.
    for row in slice.image.chunks_exact(slice.width) {
        let edge = row.iter().position(|&grey| grey == BACKGROUND).unwrap_or(slice.width);
        assert!(row[edge..].iter().all(|&grey| grey == BACKGROUND));
    }
}

#[test]
fn right_breasts_are_left_ones_mirrored() {
    let left = config(12, 64);
    let both = PhantomConfig { both_sides: true, ..left.clone() };
    let mut rights = 0;
    for patient in 0..12 {
        let (a, b) = (make(&left, patient, View::Mlo), make(&both, patient, View::Mlo));
        assert_eq!(a.laterality, Laterality::Left);
        if b.laterality == Laterality::Right {
            rights += 1;
            let mirrored: Vec<bool> = a.mask.chunks_exact(64).flat_map(|row| row.iter().rev().copied()).collect();
            assert_eq!(mirrored, b.mask);
            let (x, y) = (a.mass.expect("a mass").centre[0], b.mass.expect("a mass").centre[0]);
            assert!((x + y - 63.0).abs() < 1e-3);
        } else {
            assert_eq!(a, b);
        }
    }
    assert!((1..12).contains(&rights), "{rights} of 12 are right");
}

#[test]
fn a_written_set_reads_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("set");
    let config = PhantomConfig { lesion_free_share: 0.4, ..config(20, 64) };
    let seen = std::cell::RefCell::new(Vec::new());
    let summary = write_dataset(&config, &out, &|done, all| seen.borrow_mut().push((done, all))).expect("written");
    assert_eq!(seen.borrow().last(), Some(&(40, 40)));
    assert_eq!((summary.patients, summary.slices), (20, 40));

    let mut reader = csv::Reader::from_path(out.join("manifest.csv")).expect("a manifest");
    let rows: Vec<HashMap<String, String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 40);
    assert_eq!(rows.iter().filter(|row| row["has_lesion"] == "1").count(), summary.with_lesion);
    assert!(summary.with_lesion > 0 && summary.with_lesion < 40);
    for (row, slice) in rows.iter().zip(generate_all(&config).expect("the settings are valid")) {
        assert_eq!(row["id"], slice.id());
        assert_eq!(row["view"], slice.view.name());
        assert_eq!(row["mass_area"], slice.mass.map_or(String::new(), |mass| mass.area.to_string()));
        let read = |folder: &str| {
            image::open(out.join(folder).join(format!("{}.png", slice.id())))
                .expect("a picture")
                .into_luma8()
                .into_raw()
        };
        assert_eq!(read("images"), slice.image_u8());
        assert_eq!(read("masks"), slice.mask_u8());
    }
    let file = std::fs::File::open(out.join("images/p0000_cc.png")).expect("a picture");
    let header = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a header");
    let notes = &header.info().uncompressed_latin1_text;
    assert!(notes.iter().any(|note| note.keyword == "synthetic" && note.text == "yes"));

    let again = write_dataset(&config, &out, &|_, _| {});
    assert!(matches!(again, Err(PhantomError::NotEmpty { path }) if path == out));
}

/// A process that ends in the middle leaves no folder that is not whole, and the next one begins anew.
#[test]
fn an_interrupted_set_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, out) = (config(20, 64), folder.path().join("set"));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        write_dataset(&config, &out, &|_, _| panic!("the process ends here"))
    }));
    assert!(ended.is_err() && !out.exists());
    let summary = write_dataset(&config, &out, &|_, _| {}).expect("written");
    assert_eq!(summary.slices, 40);
    assert_eq!(std::fs::read_dir(out.join("images")).expect("images").count(), 40);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1, "no temporary folder stays");
}

#[test]
fn an_unwritable_folder_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = write_dataset(&config(1, 64), &file.join("set"), &|_, _| {}).expect_err("a file is in the way");
    assert!(error.to_string().contains("file"), "{error}");
    assert!(matches!(error, PhantomError::Write { .. }));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refuse = |name: &str, change: &dyn Fn(&mut PhantomConfig)| {
        let mut config = config(3, 64);
        change(&mut config);
        match generate_slice(&config, 0, View::Cc) {
            Err(PhantomError::Setting { setting, .. }) => assert_eq!(setting, name),
            other => panic!("{name}: {other:?}"),
        }
    };
    refuse("patients", &|c| c.patients = 0);
    refuse("size", &|c| c.size = [16, 64]);
    refuse("size", &|c| c.size = [64, 200]);
    refuse("mass_contrast", &|c| c.mass_contrast = [0.4, 0.2]);
    refuse("mass_contrast", &|c| c.mass_contrast = [0.1, f32::NAN]);
    refuse("mass_diameter", &|c| c.mass_diameter = [0.1, 0.5]);
    refuse("spiculated_share", &|c| c.spiculated_share = 1.5);
    refuse("lesion_free_share", &|c| c.lesion_free_share = -0.1);
    let beyond = generate_slice(&config(3, 64), 3, View::Cc);
    assert!(matches!(beyond, Err(PhantomError::NoSuchPatient { patient: 3, last: 2 })));
}

#[test]
fn slices_that_are_not_square_keep_the_breast_inside() {
    for size in [[192, 256], [256, 160], [100, 75]] {
        let config = PhantomConfig { size, ..config(10, 64) };
        for slice in generate_all(&config).expect("the settings are valid") {
            assert_eq!(slice.image.len(), size[0] * size[1]);
            assert!(slice.image.iter().all(|grey| (0.0..=1.0).contains(grey)));
            assert!(slice.mass.expect("a mass").area > 4);
        }
    }
}
