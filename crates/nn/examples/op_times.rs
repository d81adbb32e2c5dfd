//! Prints how much time each operation of a network takes.
//!
//! `cargo run --release --example op_times -- released|reference forward|training BATCH SIZE f32|bf16`, for the released layout or
//! for the U-Net with 18.2 million parameters of docs/PERFORMANCE.md.

use burn::tensor::{Device, Tensor, TensorData};
use pig_nn::{
    config::UNetConfig,
    ops::timers,
    parameters,
    pass::{Pass, Precision},
    unet::UNet,
};
use std::time::Instant;

/// The number of passes that are measured.
const PASSES: usize = 7;

fn main() {
    rayon::scope(|_| run());
}

fn run() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [layout, work, batch, size, precision] = arguments.as_slice() else {
        eprintln!("usage: op_times released|reference forward|training BATCH SIZE f32|bf16");
        std::process::exit(1)
    };
    let (batch, size): (usize, usize) = (batch.parse().expect("a batch"), size.parse().expect("a size"));
    let config = match layout.as_str() {
        "released" => UNetConfig::default(),
        _ => UNetConfig {
            block_out_channels: vec![64, 128, 128, 256],
            attention_levels: vec![3],
            ..UNetConfig::default()
        },
    };
    let is_training = work == "training";
    let constant = Device::flex();
    let device = if is_training { constant.clone().autodiff() } else { constant.clone() };
    let network = parameters::initialise(UNet::new(&config, [2, 1], &device).expect("a valid layout"), 1);
    println!("{} parameters", parameters::count(&network));
    let images = |channels: usize| {
        let dims = [batch, size, size, channels];
        let values: Vec<f32> = (0..dims.iter().product()).map(|i| (i as f32 * 0.37).sin()).collect();
        Tensor::<4>::from_data(TensorData::new(values, dims), &constant)
    };
    let precision = if precision == "bf16" { Precision::Bf16 } else { Precision::F32 };
    let settings = Pass { precision, ..Pass::default() };
    let (x, target, times) = (images(2), images(1), vec![100.0; batch]);
    let pass = || {
        let y = network.forward(x.clone(), &times, &settings);
        if is_training {
            let _ = (y - target.clone()).square().mean().backward();
        } else {
            let _ = y.into_data();
        }
    };
    pass();
    timers::start();
    let begin = Instant::now();
    (0..PASSES).for_each(|_| pass());
    let whole = begin.elapsed().as_secs_f64();
    let mut rows = timers::stop();
    let fastest = |row: &timers::Row| row.calls as f64 * row.fastest;
    rows.sort_by(|a, b| fastest(b).total_cmp(&fastest(a)));
    let counted: f64 = rows.iter().map(|row| row.seconds).sum();
    let least: f64 = rows.iter().map(fastest).sum();
    let per_pass = 1e3 / PASSES as f64;
    println!(
        "{:.1} ms per pass, {:.1} in operations, {:.1} if each call were as fast as the fastest of its kind",
        whole * per_pass,
        counted * per_pass,
        least * per_pass
    );
    for row in rows {
        let calls = row.calls / PASSES as u64;
        println!("{:8.2} ms {calls:4} {:8} {}", fastest(&row) * per_pass, row.pass, row.operation);
    }
}
