//! Networks of Haar coefficients. A closed form: the exact denoiser of spatially correlated Gaussian pairs, computed in coefficients, takes
//! Algorithm 2 to the same pair as computed in pixels.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pig_diffusion::{
    denoiser::Denoiser,
    guide::PredictedX0,
    joint::JointDenoiser,
    noise::{NoiseSource, Stream},
    pair::algorithm_2,
    prediction::PredictionType,
    schedule::{Schedule, ScheduleConfig},
    step::Ddim,
    timesteps::{TimestepSpacing, Timesteps},
};
use pig_nn::{
    config::UNetConfig,
    network::Network,
    parameters::{export, import},
    space::Space,
    unet::UNet,
};

/// Height and width; a picture has 64 pixels.
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const RHO: f64 = 0.6;

type Matrix = Vec<Vec<f64>>;

fn tensor(values: Vec<f64>, dims: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, dims), (&Device::flex(), DType::F64))
}

fn host(tensor: &Tensor<4>) -> Vec<f64> {
    tensor.to_data_as::<f64>().try_to_vec().unwrap()
}

/// The covariance of neighbouring pixels: it falls with the distance, and faster along the rows than across them.
fn covariance() -> Matrix {
    let place = |pixel: usize| ((pixel / SIDE) as f64, (pixel % SIDE) as f64);
    let entry = |a: usize, b: usize| {
        let ((row_a, column_a), (row_b, column_b)) = (place(a), place(b));
        (-(row_a - row_b).abs() / 6.0 - (column_a - column_b).abs() / 2.0).exp()
    };
    (0..PIXELS).map(|a| (0..PIXELS).map(|b| entry(a, b)).collect()).collect()
}

/// `w * c * w^T`, with the rows of `w` as given.
fn transformed(w: &Matrix, c: &Matrix) -> Matrix {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let half: Matrix = w.iter().map(|row| c.iter().map(|column| dot(row, column)).collect()).collect();
    half.iter().map(|row| w.iter().map(|other| dot(row, other)).collect()).collect()
}

/// The solution of `a x = b` by elimination, for a positive definite matrix.
fn solved(mut a: Matrix, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for pivot in 0..n {
        for row in pivot + 1..n {
            let factor = a[row][pivot] / a[pivot][pivot];
            let (above, below) = a.split_at_mut(row);
            below[0].iter_mut().zip(&above[pivot]).skip(pivot).for_each(|(value, other)| *value -= factor * other);
            b[row] -= factor * b[pivot];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|column| a[row][column] * b[column]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    b
}

/// E[first_0 | first_t, second_t] of pairs with unit variance, correlation rho and this covariance within both members. It works on
/// vectors of coefficients in the order in which `space` gives them.
struct Exact<'a> {
    schedule: &'a Schedule,
    covariance: Matrix,
    space: Space,
    rho: f64,
}

impl Exact<'_> {
    /// The sum and the difference of both members are independent, with variances 1 + rho and 1 - rho.
    fn clean(&self, first: &[f64], second: &[f64], alpha_bar: f64) -> Vec<f64> {
        let part = |sign: f64| {
            let sum: Vec<f64> = first.iter().zip(second).map(|(a, b)| (a + sign * b) / 2.0).collect();
            let scale = alpha_bar * (1.0 + sign * self.rho);
            let noisy = |(i, row): (usize, &Vec<f64>)| -> Vec<f64> {
                let entry = |(j, c): (usize, &f64)| scale * c + if i == j { 1.0 - alpha_bar } else { 0.0 };
                row.iter().enumerate().map(entry).collect()
            };
            let solution = solved(self.covariance.iter().enumerate().map(noisy).collect(), sum);
            let weight = alpha_bar.sqrt() * (1.0 + sign * self.rho);
            let product = |row: &Vec<f64>| weight * row.iter().zip(&solution).map(|(c, s)| c * s).sum::<f64>();
            self.covariance.iter().map(product).collect::<Vec<f64>>()
        };
        part(1.0).iter().zip(part(-1.0)).map(|(a, b)| a + b).collect()
    }
}

impl Denoiser for Exact<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let (first, second) = (self.space.analyse(noisy.clone()), self.space.analyse(guide.clone()));
        let (dims, alpha_bar) = (first.dims(), self.schedule.alpha_bar(t[0]));
        let clean = host(&first)
            .chunks(PIXELS)
            .zip(host(&second).chunks(PIXELS))
            .flat_map(|(first, second)| self.clean(first, second, alpha_bar))
            .collect();
        self.space.synthesise(tensor(clean, dims))
    }

    fn prediction_type(&self) -> PredictionType {
        PredictionType::Sample
    }
}

/// The transform as rows over pixels, from what it makes of single pixels.
fn rows(space: Space) -> Matrix {
    let mut units = vec![0.0; PIXELS * PIXELS];
    for pixel in 0..PIXELS {
        units[pixel * PIXELS + pixel] = 1.0;
    }
    let columns = host(&space.analyse(tensor(units, [PIXELS, SIDE, SIDE, 1])));
    (0..PIXELS).map(|band| (0..PIXELS).map(|pixel| columns[pixel * PIXELS + band]).collect()).collect()
}

fn sampled(space: Space, covariance: Matrix) -> Vec<f64> {
    let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
    let timesteps = Timesteps::new(1024, 24, TimestepSpacing::Trailing).unwrap();
    let noise = NoiseSource::new(3, vec![0, 1], &Device::flex()).with_dtype(DType::F64);
    let step = |stream| Ddim { schedule: &schedule, eta: 0.5, set_alpha_to_one: true, noise: (noise.clone(), stream) };
    let model = Exact { schedule: &schedule, covariance, space, rho: RHO };
    let start = |stream| noise.draw(stream, 0, [SIDE, SIDE, 1]);
    let (x_0, y_0) = algorithm_2(
        &model,
        &model,
        &schedule,
        &timesteps,
        &PredictedX0,
        (&mut step(Stream::X), &mut step(Stream::Y)),
        (start(Stream::X), start(Stream::Y)),
        &mut |_| {},
    );
    [host(&x_0), host(&y_0)].concat()
}

#[test]
fn coefficients_are_denoised_to_the_same_pairs_as_pixels() {
    let pixels = sampled(Space::default(), covariance());
    let largest = pixels.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    assert!(largest > 0.5, "{largest}");
    for haar_levels in 1..=3 {
        let space = Space { haar_levels, volume: None };
        let found = sampled(space, transformed(&rows(space), &covariance()));
        let difference = found.iter().zip(&pixels).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
        assert!(difference < 1e-6, "{haar_levels} levels: {difference}");
    }
    // This test can fail: with the covariance of pixels, the coefficients are denoised to something else.
    let wrong = sampled(Space { haar_levels: 1, volume: None }, covariance());
    let difference = wrong.iter().zip(&pixels).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference > 1e-2, "{difference}");
}

/// A network whose only weights that are not 0 are biases of the last convolution, one for each mean band: the channels of its
/// predictions are constant, and show which channel of the network each one comes from.
#[test]
fn both_members_of_a_pair_get_their_own_channels() {
    let space = Space { haar_levels: 1, volume: None };
    let config = UNetConfig {
        block_out_channels: vec![16],
        layers_per_block: 1,
        attention_levels: Vec::new(),
        norm_num_groups: 4,
        ..UNetConfig::default()
    };
    let unet = UNet::new(&config, [4 * space.bands(); 2], &Device::flex()).unwrap();
    let mut arrays = export(&unet);
    // The mask's mean band is the first of its four; the image's are the next three, one for each colour.
    let means = [(0, 2.0), (4, 4.0), (5, 6.0), (6, 8.0)];
    let bias = arrays.get_mut("conv_out.bias").unwrap();
    bias.values.fill(0.0);
    for (channel, value) in means {
        bias.values[channel] = value;
    }
    let unet = import(unet, &arrays).unwrap();
    let network = Network::new(&unet, &config).in_space(space);
    let zeros = |channels| Tensor::<4>::zeros([2, SIDE, SIDE, channels], &Device::flex());
    let (x, y) = JointDenoiser::predict(&network, &zeros(1), &zeros(3), &[1, 512]);
    assert_eq!((x.dims(), y.dims()), ([2, SIDE, SIDE, 1], [2, SIDE, SIDE, 3]));
    let near = |found: &Tensor<4>, expected: &[f64]| {
        host(found).iter().zip(expected.iter().cycle()).all(|(a, b)| (a - b).abs() < 1e-6)
    };
    // The mean of a block is half of its coefficient.
    assert!(near(&x, &[1.0]) && near(&y, &[2.0, 3.0, 4.0]), "{x} {y}");
}
