//! Speed of every kernel on the shapes of diffusion U-Nets, beside the peak measured in the same run.
//!
//! `cargo run --release -p pig-kernels --example throughput [-- FILTER]`: rows whose name contains FILTER. Each row is the
//! median of several runs, on all threads of rayon's pool.

use pig_kernels::{Bf16, Conv2d, Element, Extras, Level, peak};
use std::time::Instant;

/// Median seconds of `run`: at least 7 runs and 0.15 seconds.
fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 7 || begin.elapsed().as_secs_f64() < 0.15 {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        })
        .collect()
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let level = Level::best();
    println!("level {}, {} threads", level.name(), rayon::current_num_threads());
    convolutions::<f32>("f32", level, &filter, peak::f32_flops);
    winograd(level, &filter);
    if level.has_bf16() {
        convolutions::<Bf16>("bf16", level, &filter, peak::bf16_flops);
    }
}

fn convolutions<E: Element>(element: &str, level: Level, filter: &str, peak: fn(Level) -> f64) {
    println!("{element:<26}{:>24}{:>24}{:>24}{:>10}", "forward", "data gradient", "weight gradient", "peak");
    let tensor = |len: usize, seed: u32| -> Vec<E> { noise(len, seed).into_iter().map(E::from_f32).collect() };
    for (batch, size, ci, co, stride) in SHAPES {
        let name = format!("{ci}->{co} @{size} b{batch}{} {element}", if stride == 2 { " /2" } else { "" });
        if !name.contains(filter) {
            continue;
        }
        let mut conv = Conv2d::same(batch, size, size, ci, co, 3);
        if stride == 2 {
            conv.stride = 2;
            conv.padding = [0, 1, 0, 1];
        }
        let (x, dy) = (tensor(conv.input_len(), 1), tensor(conv.output_len(), 2));
        let w = noise(conv.weight_len(), 3);
        let (forward, backward) = (conv.pack_forward(&w), conv.pack_backward(&w));
        let mut y = vec![0.0; conv.output_len()];
        let mut dx = vec![0.0; conv.input_len()];
        let mut dw = vec![0.0; conv.weight_len()];
        let before = peak(level);
        let times = [
            median(|| conv.forward(level, &x, &forward, None, &mut y)),
            median(|| conv.backward_data(level, &dy, &backward, &mut dx)),
            median(|| conv.backward_weights(level, &x, &dy, &mut dw, None)),
        ];
        let peak = before.max(peak(level));
        print!("{name:<26}");
        for time in times {
            let speed = conv.flops() / time;
            print!("{:>9.3} ms{:>6.0}{:>5.0} %", time * 1e3, speed / 1e9, 100.0 * speed / peak);
        }
        println!("{:>10.0}", peak / 1e9);
    }
}

/// Winograd's method: speeds count the multiplications of the plain sum, so shares of the peak may exceed 100 %.
fn winograd(level: Level, filter: &str) {
    println!("{:<26}{:>24}{:>24}{:>24}{:>10}", "Winograd", "forward", "data gradient", "weight gradient", "peak");
    for (batch, size, ci, co, stride) in SHAPES {
        let name = format!("{ci}->{co} @{size} b{batch} Winograd");
        let conv = Conv2d { stride, ..Conv2d::same(batch, size, size, ci, co, 3) };
        if !name.contains(filter) || !conv.is_winograd() {
            continue;
        }
        let (x, dy) = (noise(conv.input_len(), 1), noise(conv.output_len(), 2));
        let w = noise(conv.weight_len(), 3);
        let forward = conv.pack_forward_winograd(level, &w);
        let backward = conv.pack_backward_winograd(level, &w);
        let (mut y, mut dx) = (vec![0.0; conv.output_len()], vec![0.0; conv.input_len()]);
        let mut dw = vec![0.0; conv.weight_len()];
        let before = peak::f32_flops(level);
        let times = [
            median(|| conv.forward_winograd(level, &x, &forward, Extras::default(), &mut y)),
            median(|| conv.backward_data_winograd(level, &dy, &backward, &mut dx)),
            median(|| conv.backward_weights_winograd(level, &x, &dy, &mut dw, None)),
        ];
        let peak = before.max(peak::f32_flops(level));
        print!("{name:<26}");
        for time in times {
            let speed = conv.flops() / time;
            print!("{:>9.3} ms{:>6.0}{:>5.0} %", time * 1e3, speed / 1e9, 100.0 * speed / peak);
        }
        println!("{:>10.0}", peak / 1e9);
    }
}

/// (batch, size, input channels, output channels, stride)
const SHAPES: [(usize, usize, usize, usize, usize); 23] = [
    (8, 64, 32, 32, 1),
    (8, 64, 64, 32, 1),
    (8, 64, 2, 32, 1),
    (8, 64, 32, 1, 1),
    (8, 64, 32, 32, 2),
    (8, 32, 32, 32, 1),
    (8, 32, 64, 64, 1),
    (8, 32, 96, 64, 1),
    (8, 16, 64, 64, 1),
    (8, 16, 128, 128, 1),
    (8, 16, 192, 128, 1),
    (8, 8, 128, 128, 1),
    (8, 8, 256, 128, 1),
    (8, 4, 128, 128, 1),
    (8, 2, 128, 128, 1),
    (1, 64, 32, 32, 1),
    (1, 8, 128, 128, 1),
    (4, 128, 64, 64, 1),
    (4, 64, 128, 128, 1),
    (4, 64, 64, 64, 2),
    (4, 32, 256, 256, 1),
    (4, 16, 256, 256, 1),
    (4, 16, 512, 256, 1),
];
