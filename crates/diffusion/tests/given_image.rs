//! Tests masks for given images on Gaussian pairs: E[x_0 | y_0] = rho y_0, so the mask must change by rho when the image
//! changes by 1.

mod common;

use burn::tensor::DType;
use common::{GaussianPair, device, linear::Linear, paper_schedule, tensor, values};
use pig_diffusion::{
    independent::NoisedGuide,
    noise::{NoiseSource, Stream},
    prediction::PredictionType,
    resample::sample_resampled,
    single::sample_conditional,
    step::Ddim,
    timesteps::{TimestepSpacing, Timesteps},
};

const IDS: [u64; 1] = [3];

/// x_0 for the image `y_0`; everything else is the same in every call.
fn mask_for(y_0: f64, rho: f64, looks: Option<usize>) -> f64 {
    let (schedule, dtype) = (paper_schedule(), DType::F64);
    let pair = GaussianPair { rho };
    let exact = Linear {
        schedule: &schedule,
        kind: PredictionType::Epsilon,
        coefficients: |alpha_bar| pair.clean_given_noisy(alpha_bar),
    };
    let noise = NoiseSource::new(1, IDS.to_vec(), &device(dtype)).with_dtype(dtype);
    let draw = |stream| noise.draw(stream, 0, [1, 1, 1]);
    let model_x = NoisedGuide { denoiser: exact, schedule: &schedule, eps: draw(Stream::Y) };
    let timesteps = Timesteps::new(1024, 64, TimestepSpacing::Trailing).unwrap();
    let mut step = Ddim { schedule: &schedule, eta: 0.0, set_alpha_to_one: true, noise: (noise.clone(), Stream::X) };
    let (given, x_start) = (tensor(&[y_0], [1, 1, 1, 1], dtype), draw(Stream::X));
    let (schedule, timesteps) = (&schedule, &timesteps);
    let x_0 = match looks {
        None => sample_conditional(&model_x, schedule, timesteps, &given, &mut step, x_start, &mut |_, _| {}),
        Some(looks) => {
            let looks = (looks, &noise);
            sample_resampled(&model_x, schedule, timesteps, &given, &mut step, looks, x_start, &mut |_, _| {})
        }
    };
    values(&x_0)[0]
}

/// The loop is linear, so the difference between the masks of two images is the slope, without sampling error.
fn slope(rho: f64, looks: usize) -> f64 {
    mask_for(1.0, rho, Some(looks)) - mask_for(0.0, rho, Some(looks))
}

#[test]
fn one_look_is_the_plain_loop_to_the_last_bit() {
    assert_eq!(mask_for(0.7, 0.9, Some(1)).to_bits(), mask_for(0.7, 0.9, None).to_bits());
}

/// The expected values for one look and for ten looks come from an independent program: a recursion in two numbers.
#[test]
fn looks_bring_the_mask_to_what_the_image_says() {
    for (rho, one, ten) in [(0.5, 0.180, 0.431), (0.9, 0.449, 0.856)] {
        let found = [1, 10].map(|looks| slope(rho, looks));
        assert!((found[0] - one).abs() < 2e-3 && (found[1] - ten).abs() < 2e-3, "rho {rho}: {found:?}");
        let many = slope(rho, 60);
        assert!((many - rho).abs() < 0.03, "rho {rho}: {many} after 60 looks");
    }
}
