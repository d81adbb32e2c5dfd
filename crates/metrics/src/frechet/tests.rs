use super::*;
use rand::Rng;

fn statistics(mean: &[f64], covariance: Mat<f64>) -> FeatureStatistics {
    FeatureStatistics { mean: mean.to_vec(), spread: Spread::Covariance(covariance) }
}

fn diagonal(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), values.len(), |row, column| if row == column { values[row] } else { 0.0 })
}

fn features(values: Vec<f64>, width: usize) -> Features {
    Features::new(values, width).unwrap()
}

/// For diagonal covariances the distance is the sum of (sqrt a - sqrt b)^2 plus the squared shift; a common rotation does not change
/// it.
#[test]
fn diagonal_and_rotated_covariances_have_the_closed_form() {
    let (a, b) = (diagonal(&[4.0, 1.0, 0.0]), diagonal(&[1.0, 9.0, 0.25]));
    let expected = 1.0 + 4.0 + 0.25 + (1.0 + 4.0 + 9.0);
    let (m, n) = ([0.0, 0.0, 0.0], [1.0, -2.0, 3.0]);
    let plain = frechet_distance(&statistics(&m, a.clone()), &statistics(&n, b.clone())).unwrap();
    assert!((plain - expected).abs() < 1e-12, "{plain}");

    let (sin, cos) = 0.7_f64.sin_cos();
    let rotation = faer::mat![[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]];
    let turn = |matrix: Mat<f64>| &rotation * matrix * rotation.transpose();
    let turned_mean: Vec<f64> = (0..3).map(|i| (0..3).map(|j| rotation[(i, j)] * n[j]).sum()).collect();
    let turned = frechet_distance(&statistics(&m, turn(a)), &statistics(&turned_mean, turn(b))).unwrap();
    assert!((turned - expected).abs() < 1e-12, "{turned}");
}

#[test]
fn statistics_are_those_of_the_vectors() {
    let found = FeatureStatistics::new(&features(vec![1.0, 2.0, 3.0, 6.0, 5.0, 4.0], 2)).unwrap();
    assert_eq!(found.mean(), [3.0, 4.0]);
    let differences = found.covariance().into_iter().zip([4.0, 2.0, 2.0, 4.0]).map(|(a, b): (f64, f64)| (a - b).abs());
    assert!(differences.fold(0.0, f64::max) < 1e-14);
    assert!(frechet_distance(&found, &found).unwrap().abs() < 1e-12);
    let one = FeatureStatistics::new(&features(vec![1.0, 2.0], 2)).unwrap_err();
    assert_eq!(one, FeatureError::TooFew { found: 1, needed: 2 });
}

/// Three vectors of eight values span two dimensions; the distance to a shifted copy is the squared shift only.
#[test]
fn fewer_vectors_than_values_are_no_obstacle() {
    let values: Vec<f64> = (0..24).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let shifted: Vec<f64> = values.iter().map(|value| value + 0.5).collect();
    let of = |values: Vec<f64>| FeatureStatistics::new(&features(values, 8)).unwrap();
    let distance = frechet_distance(&of(values), &of(shifted)).unwrap();
    assert!((distance - 8.0 * 0.25).abs() < 1e-12, "{distance}");
}

/// The distance does not depend on the form of the covariances.
#[test]
fn roots_and_covariances_agree() {
    let set = |seed: f64, count: u32| features((0..count * 6).map(|i| (f64::from(i) * seed).sin()).collect(), 6);
    let (few, many) = (FeatureStatistics::new(&set(0.37, 5)).unwrap(), FeatureStatistics::new(&set(1.7, 6)).unwrap());
    let full = |s: &FeatureStatistics| FeatureStatistics::from_parts(s.mean().to_vec(), &s.covariance()).unwrap();
    let by_roots = frechet_distance(&few, &many).unwrap();
    for distance in [
        frechet_distance(&few, &full(&many)).unwrap(),
        frechet_distance(&full(&few), &many).unwrap(),
        frechet_distance(&full(&few), &full(&many)).unwrap(),
    ] {
        // The eigenvalues of a singular covariance have rounding errors; their roots have errors of the size of the root of these.
        assert!((distance - by_roots).abs() < 1e-6, "{distance}, by roots {by_roots}");
    }
    assert!(by_roots > 0.1);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let error = FeatureStatistics::from_parts(vec![0.0; 2], &[0.0; 3]).unwrap_err();
    assert_eq!(error, FeatureError::Ragged { values: 3, width: 2 });
    let error = FeatureStatistics::from_parts(vec![f64::NAN], &[1.0]).unwrap_err();
    assert_eq!(error, FeatureError::NoConvergence);
}

/// Normal features with unit variance; the second set is shifted by 1 in each of 16 dimensions, so the distance of infinite sets is 16.
#[test]
fn extrapolation_takes_the_bias_away() {
    let draw = |seed: u64, shift: f64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let normal = |rng: &mut ChaCha8Rng| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0 + shift;
        features((0..16 * 150).map(|_| normal(&mut rng)).collect(), 16)
    };
    let (mut plain, mut extrapolated) = (0.0, 0.0);
    for seed in 0..20 {
        let (a, b) = (draw(seed, 0.0), draw(1000 + seed, 1.0));
        let of = |set: &Features| FeatureStatistics::new(set).unwrap();
        plain += (frechet_distance(&of(&a), &of(&b)).unwrap() - 16.0) / 20.0;
        extrapolated += (frechet_infinity(&a, &b, &Extrapolation::default()).unwrap() - 16.0) / 20.0;
    }
    // The bias of the squared shift is 2 * 16 / 150 = 0.21; the bias of the covariances is added to it.
    assert!(plain > 0.6, "{plain}");
    assert!(extrapolated.abs() < 0.3 && extrapolated.abs() < plain / 2.0, "{extrapolated}, not extrapolated {plain}");
}
