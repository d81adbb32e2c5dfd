//! `pig doctor`: whether this machine can do the work.

use crate::args::Args;
use anyhow::Context;
use burn::tensor::{Device, Tensor};
use pig_device::{Found, KindReport};
use pig_nn::{config::UNetConfig, cost::forward_flops, parameters, pass::Pass, unet::UNet};
use pig_train::{Config, gradient::size_of_part, workers::threads_of_workers};
use std::{process::ExitCode, time::Instant};

/// Checks device, threads, codecs and disk, and times one forward pass of the U-Net in the released layout.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let chosen = pig_device::open(args.machine.device)?;
    let device = format!("{} ({})", chosen.label(), chosen.name);
    let kinds = pig_device::report();
    let (threads, simd) = (rayon::current_num_threads(), pig_kernels::Level::best().name());
    codecs()?;
    let (seconds, gflops) = time_forward(&chosen.device)?;
    let peak = pig_study::plan::peak_memory();
    if args.machine.json {
        let workers = default_workers(threads);
        let json = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "device": device, "devices": kinds.iter().map(kind_json).collect::<Vec<_>>(),
            "threads": threads, "workers": { "train": workers.0.len(), "sample": workers.1.len() }, "simd": simd,
            "peak_memory_bytes": peak, "forward_seconds": seconds, "forward_gflops": gflops, "passed": true,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("pig {}", env!("CARGO_PKG_VERSION"));
    println!("device      {device}; available in this build and on this machine:");
    for kind in &kinds {
        print!("{}", kind_text(kind));
    }
    println!("threads     {threads}");
    println!("workers     {}", workers_text(threads));
    println!("simd        {simd}");
    println!("codecs      PNG, JPEG, TIFF and BMP are read; PNG is written and read back");
    println!(
        "speed       {seconds:.3} s for a forward pass of the released layout, 8 images of 64 x 64 ({gflops:.0} GFLOP/s)"
    );
    if let Some(peak) = peak {
        println!("memory      {:.0} MB used by pig for this", peak as f64 / 1e6);
    }
    println!("all checks passed");
    Ok(ExitCode::SUCCESS)
}

/// The threads of each worker that trains, and of each that samples, with the default configuration.
fn default_workers(threads: usize) -> (Vec<usize>, Vec<usize>) {
    let config = Config::default();
    let size = size_of_part(config.train.micro_batch_size, config.train.batch_size);
    let parts = config.train.images_in_step().div_ceil(size);
    (threads_of_workers(threads, parts), threads_of_workers(threads, config.sample.batch_size))
}

/// How many workers the default configuration would have on the CPU, and why.
fn workers_text(threads: usize) -> String {
    let Config { train, sample, .. } = Config::default();
    let (training, sampling) = default_workers(threads);
    format!(
        "{} to train: {} images a step, {} at once for each worker; {} to sample: batches of {} samples; {threads} threads in all",
        training.len(),
        train.images_in_step(),
        train.micro_batch_size,
        sampling.len(),
        sample.batch_size
    )
}

/// One line for each device of a kind, or one line that says why there is none.
fn kind_text(KindReport { kind, found }: &KindReport) -> String {
    let line = |name: &str, text: &str| format!("            {name:<10}{text}\n");
    match found.as_deref() {
        None => line(kind.name(), &format!("not in this build; build pig with --features {kind}")),
        Some([]) => line(kind.name(), "none found on this machine"),
        Some(found) => found
            .iter()
            .map(|Found { index, name, problem, .. }| {
                let device = kind.label(*index);
                let state =
                    problem.as_ref().map_or("works".to_owned(), |problem| format!("does not compute: {problem}"));
                line(&device, &format!("{name}: {state}"))
            })
            .collect(),
    }
}

fn kind_json(KindReport { kind, found }: &KindReport) -> serde_json::Value {
    let device = |found: &Found| {
        let Found { index, name, is_software, problem } = found;
        serde_json::json!({ "index": index, "name": name, "software": is_software, "problem": problem })
    };
    let devices = found.as_ref().map(|found| found.iter().map(device).collect::<Vec<_>>());
    serde_json::json!({ "kind": kind.name(), "built": found.is_some(), "devices": devices })
}

/// Writes a picture to the folder for temporary files and reads it back.
fn codecs() -> anyhow::Result<()> {
    let path = std::env::temp_dir().join(format!("pig-doctor-{}.png", std::process::id()));
    let pixels: Vec<u8> = (0..=255).collect();
    image::save_buffer(&path, &pixels, 16, 16, image::ColorType::L8)
        .with_context(|| format!("{}: cannot write a test picture; check the disk", path.display()))?;
    let read = pig_data::read::read_image(&path, 1);
    // The test picture is not needed any more, whatever it holds.
    let _ = std::fs::remove_file(&path);
    let same = read?.data.iter().zip(&pixels).all(|(&value, &pixel)| value == f32::from(pixel));
    anyhow::ensure!(same, "{}: the test picture was read back with other values than were written", path.display());
    Ok(())
}

fn time_forward(device: &Device) -> anyhow::Result<(f64, f64)> {
    let (config, size, batch) = (UNetConfig::default(), [64, 64], 8);
    let unet = parameters::initialise(UNet::new(&config, [2, 1], device)?, 0);
    let x = Tensor::<4>::zeros([batch, size[0], size[1], 2], device);
    let times = vec![500.0; batch];
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let since = Instant::now();
        let output = unet.forward(x.clone(), &times, &Pass::default());
        output.into_data();
        best = best.min(since.elapsed().as_secs_f64());
    }
    Ok((best, batch as f64 * forward_flops(&config, [2, 1], [1, size[0], size[1]]) / best / 1e9))
}
