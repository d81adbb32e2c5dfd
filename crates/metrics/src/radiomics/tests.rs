use super::*;

/// IBSI's digital phantom (manual, section 5.1): four slices with four rows each; 0 is outside the region.
const PHANTOM: [[usize; 20]; 4] = [
    [1, 4, 4, 1, 1, 1, 4, 6, 1, 1, 4, 1, 6, 4, 1, 4, 4, 6, 4, 1],
    [1, 4, 4, 1, 1, 1, 1, 6, 1, 1, 0, 1, 3, 1, 1, 4, 4, 6, 1, 1],
    [1, 4, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 6, 1, 1],
    [1, 4, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 6, 1, 1],
];

/// Whether a value agrees within half a unit of the third significant digit, the precision of IBSI's tables.
fn agrees(found: f64, printed: f64) -> bool {
    let unit = 10.0_f64.powf(printed.abs().log10().floor() - 2.0);
    (found - printed).abs() <= 0.5 * unit * (1.0 + 1e-9)
}

fn check<const N: usize>(names: [&str; N], found: [f64; N], printed: [f64; N]) {
    for ((name, found), printed) in names.iter().zip(found).zip(printed) {
        assert!(agrees(found, printed), "{name}: {found}, IBSI prints {printed}");
    }
}

/// The features of each slice of the phantom, averaged over the slices.
fn averaged<const N: usize>(of: impl Fn(&Levels) -> [f64; N]) -> [f64; N] {
    let mut mean = [0.0; N];
    for slice in &PHANTOM {
        let values = of(&Levels { of: slice, height: 4, width: 5, count: 6 });
        mean.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / PHANTOM.len() as f64);
    }
    mean
}

#[test]
fn intensity_of_the_phantom_is_what_ibsi_prints() {
    let values: Vec<f64> = PHANTOM.iter().flatten().filter(|&&v| v > 0).map(|&v| v as f64).collect();
    assert_eq!(values.len(), 74);
    let printed = [2.15, 3.05, 1.08, -0.355, 1.0, 1.0, 1.0, 4.0, 6.0, 3.0, 1.55, 1.11, 1.15, 0.812, 0.6, 567.0, 2.77];
    check(intensity::NAMES, intensity::features(&values), printed);
}

#[test]
fn co_occurrence_of_the_phantom_is_what_ibsi_prints() {
    let printed = [
        0.512, 2.14, 2.71, 2.24, 1.4, 3.06, 1.49, 5.66, 1.79, 0.352, 5.19, 0.683, 0.854, 0.625, 0.901, 0.0553, 0.0173,
        5.14, 6.98, 80.4, -0.0341, 0.263,
    ];
    check(glcm::NAMES, averaged(|levels| glcm::features(levels).unwrap()), printed);
}

#[test]
fn run_lengths_of_the_phantom_are_what_ibsi_prints() {
    let printed =
        [0.661, 3.51, 0.609, 9.74, 0.311, 8.67, 2.92, 16.1, 20.5, 0.456, 21.6, 0.441, 0.627, 3.37, 0.778, 2.57];
    check(glrlm::NAMES, averaged(glrlm::features), printed);
}

#[test]
fn a_rectangle_has_the_shape_it_should() {
    // 3 x 5 pixels in a corner of the image: the outline is a 3 x 5 rectangle with its four corners cut off.
    let mask: Vec<bool> = (0..60).map(|i| i / 10 < 3 && i % 10 < 5).collect();
    let [area, perimeter, _, circularity, diameter, major, minor, elongation] = shape::features(&mask, 6, 10);
    assert_eq!(area, 15.0 - 4.0 * 0.125);
    assert!((perimeter - (2.0 * (2.0 + 4.0) + 4.0 * 0.5_f64.sqrt())).abs() < 1e-12);
    assert!((circularity - 2.0 * (std::f64::consts::PI * area).sqrt() / perimeter).abs() < 1e-12);
    // From the side midpoint of one corner pixel to that of the opposite corner pixel: 5 wide and 2 high, or 3 high and 4 wide.
    assert!((diameter - 29.0_f64.sqrt()).abs() < 1e-12);
    // The variances of 0 to 4 and of 0 to 2.
    assert!((major - 4.0 * 2.0_f64.sqrt()).abs() < 1e-12 && (minor - 4.0 * (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert!((elongation - (1.0_f64 / 3.0).sqrt()).abs() < 1e-12);
}

#[test]
fn degenerate_regions_have_numbers_or_none() {
    let discretisation = Discretisation::default();
    let flat = radiomics(&[0.5; 12], &[true; 12], 3, 4, &discretisation).unwrap();
    assert_eq!(flat.len(), names().len());
    assert!(flat.iter().all(|value| value.is_finite()), "{flat:?}");
    let mut apart = [false; 12];
    (apart[0], apart[6]) = (true, true);
    assert_eq!(radiomics(&[0.5; 12], &apart, 3, 4, &discretisation), None);
    assert_eq!(radiomics(&[0.5; 12], &[false; 12], 3, 4, &discretisation), None);
    assert_eq!([-1.0, 0.0, 0.031, 0.0313, 0.999, 1.0, 2.0].map(|v| discretisation.level(v)), [1, 1, 1, 2, 32, 32, 32]);
}

#[test]
fn names_are_unique() {
    assert_eq!(names().len() - without_shape().len(), shape::NAMES.len());
    let names = names();
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
}

#[test]
fn standardised_features_have_unit_variance_and_constants_go() {
    let reference = Features::new(vec![1.0, 7.0, 10.0, 3.0, 7.0, 30.0, 5.0, 7.0, 50.0], 3).unwrap();
    let other = Features::new(vec![3.0, 9.0, 50.0, 7.0, 9.0, 70.0], 3).unwrap();
    let (ours, theirs, kept) = standardise(&reference, &other).unwrap();
    assert_eq!(kept, [0, 2]);
    assert_eq!(ours.vectors().flatten().copied().collect::<Vec<_>>(), [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0]);
    assert_eq!(theirs.vectors().flatten().copied().collect::<Vec<_>>(), [0.0, 1.0, 2.0, 2.0]);
    let error = standardise(&other.select(&[0, 0]), &other).unwrap_err();
    assert!(error.to_string().starts_with("no feature differs among the 2 images of the reference"), "{error}");
    let far = Features::new(vec![3.0, 9.0, 5000.0, -900.0, 9.0, 30.0], 3).unwrap();
    let (_, theirs, _) = standardise(&reference, &far).unwrap();
    let limit = STANDARDISED_LIMIT;
    assert_eq!(theirs.vectors().flatten().copied().collect::<Vec<_>>(), [0.0, limit, -limit, 0.0]);
}
