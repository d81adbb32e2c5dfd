//! Compares the three preprocessing methods of the Inception network with torch, Pillow and the formula of TensorFlow 1
//! (tests/peers/inception_preprocess.py).

use pig_metrics::inception_preprocess::Preprocess;
use safetensors::SafeTensors;

/// The distance in values between the values of the golden file.
const STEP: usize = 997;

/// The picture of the golden file.
fn picture(height: usize, width: usize) -> Vec<u8> {
    let value = |y: usize, x: usize| ((x * 13 + y * 7 + (x / 5 + y / 3) % 2 * 90) % 256) as u8;
    (0..height).flat_map(|y| (0..width).map(move |x| value(y, x))).collect()
}

#[test]
fn values_are_the_peers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/goldens/inception_preprocess.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(golden.tensor("23x37/image").unwrap().data(), picture(23, 37));
    for [height, width] in [[23, 37], [310, 640], [256, 256]] {
        for way in [Preprocess::TorchFidelity, Preprocess::PytorchFid, Preprocess::Antialiased] {
            let values = way.apply(&picture(height, width), [height, width], 1);
            let found: Vec<f32> = values.iter().step_by(3).step_by(STEP).copied().collect();
            let wanted = golden.tensor(&format!("{height}x{width}/{}", way.word())).unwrap();
            let wanted: Vec<f32> =
                wanted.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            assert_eq!(found.len(), wanted.len());
            let worst = found.iter().zip(&wanted).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
            println!("{height} x {width}, {}: {worst:.1e}", way.word());
            assert!(worst < 2e-6, "{height} x {width}, {}: {worst:e}", way.word());
        }
    }
}
