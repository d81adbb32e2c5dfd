//! `pig doctor`: whether this machine can do the work.

use crate::{args::Args, terminal::device};
use anyhow::Context;
use burn::tensor::{Device, Tensor};
use pig_nn::{config::UNetConfig, cost::forward_flops, dropout::Dropout, parameters, unet::UNet};
use std::{process::ExitCode, time::Instant};

/// Checks device, threads, codecs and disk, and times one forward pass of the released layout.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let device = device(args);
    let (threads, simd) = (rayon::current_num_threads(), pig_kernels::Level::best().name());
    codecs()?;
    let (seconds, gflops) = time_forward(&device)?;
    let peak = pig_train::plan::peak_memory();
    if args.machine.json {
        let json = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "device": format!("{device:?}"), "threads": threads, "simd": simd,
            "peak_memory_bytes": peak, "forward_seconds": seconds, "forward_gflops": gflops, "passed": true,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("pig {}", env!("CARGO_PKG_VERSION"));
    println!("device      {device:?}");
    println!("threads     {threads}");
    println!("simd        {simd}");
    println!("codecs      PNG, JPEG, TIFF and BMP are read; PNG is written and read back");
    println!(
        "speed       {seconds:.3} s a forward pass of the released layout, 8 images of 64 x 64 ({gflops:.0} GFLOP/s)"
    );
    if let Some(peak) = peak {
        println!("memory      {:.0} MB used by pig for it", peak as f64 / 1e6);
    }
    println!("all checks passed");
    Ok(ExitCode::SUCCESS)
}

/// Writes a picture to the folder for temporary files and reads it back.
fn codecs() -> anyhow::Result<()> {
    let path = std::env::temp_dir().join(format!("pig-doctor-{}.png", std::process::id()));
    let pixels: Vec<u8> = (0..=255).collect();
    image::save_buffer(&path, &pixels, 16, 16, image::ColorType::L8)
        .with_context(|| format!("{}: cannot write a test picture; check the disk", path.display()))?;
    let read = pig_data::read::read_image(&path, 1);
    // Whatever it held, the test picture has served.
    let _ = std::fs::remove_file(&path);
    let same = read?.data.iter().zip(&pixels).all(|(&value, &pixel)| value == f32::from(pixel));
    anyhow::ensure!(same, "{}: a picture did not come back as it was written", path.display());
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
        let output = unet.forward(x.clone(), &times, &Dropout::off());
        output.into_data();
        best = best.min(since.elapsed().as_secs_f64());
    }
    Ok((best, batch as f64 * forward_flops(&config, [2, 1], size) / best / 1e9))
}
