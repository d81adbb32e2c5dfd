//! Measures the speed of every kernel on shapes of diffusion U-Nets, together with the peak in the same run.
//!
//! `cargo run --release -p pig-kernels --example throughput [-- FILTER]` prints the rows whose name contains FILTER. Each row
//! is the fastest of several runs on all threads of rayon's pool.

use pig_kernels::{
    AdamStep, Attention, Bf16, Conv2d, Element, Extras, GroupNorm, Input, Level, adam, peak, silu, silu_backward,
};
use std::time::Instant;

/// Seconds of the fastest of at least 7 runs that take at least 0.15 seconds together. Other work on the machine disturbs the
/// fastest run least.
fn fastest(mut run: impl FnMut()) -> f64 {
    run();
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 7 || begin.elapsed().as_secs_f64() < 0.15 {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[0]
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
    memory_bound(level, &filter);
    attention(level, &filter);
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
            fastest(|| conv.forward(level, &x, &forward, None, &mut y)),
            fastest(|| conv.backward_data(level, &dy, &backward, &mut dx)),
            fastest(|| conv.backward_weights(level, &x, &dy, &mut dw, None)),
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

/// Winograd's method. The speed counts the multiplications of the direct sum, so the share of the peak can exceed 100 %.
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
            fastest(|| conv.forward_winograd(level, &x, &forward, Extras::default(), &mut y)),
            fastest(|| conv.backward_data_winograd(level, &dy, &backward, &mut dx)),
            fastest(|| conv.backward_weights_winograd(level, &x, &dy, &mut dw, None)),
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

/// Kernels that are limited by memory. The speed counts every tensor once.
fn memory_bound(level: Level, filter: &str) {
    println!("{:<26}{:>24}{:>24}", "memory", "forward", "backward");
    let row = |name: &str, tensors: [usize; 2], len: usize, times: [f64; 2]| {
        print!("{name:<26}");
        for (tensors, time) in tensors.into_iter().zip(times) {
            print!("{:>9.3} ms{:>7.1} GB/s", time * 1e3, (4 * tensors * len) as f64 / time / 1e9);
        }
        println!();
    };
    for (batch, pixels, channels) in [(8, 64 * 64, 32), (8, 16 * 16, 128), (4, 128 * 128, 64)] {
        let name = format!("norm {pixels}x{channels} b{batch}");
        if name.contains(filter) {
            let norm = GroupNorm { batch, pixels, channels, groups: 32, eps: 1e-6, silu: true };
            let len = batch * pixels * channels;
            let (x, dy, gamma, beta) = (noise(len, 1), noise(len, 2), noise(channels, 3), noise(channels, 4));
            let (mut y, mut mean, mut rstd) = (vec![0.0; len], vec![0.0; batch * 32], vec![0.0; batch * 32]);
            let forward = fastest(|| norm.forward(level, Input::One(&x), &gamma, &beta, &mut y, &mut mean, &mut rstd));
            let (mut dgamma, mut dbeta) = (gamma.clone(), beta.clone());
            let backward = fastest(|| {
                let (x, dx) = (Input::One(&x[..]), &mut [&mut y[..]]);
                norm.backward(level, x, &dy, &gamma, &beta, &mean, &rstd, dx, &mut dgamma, &mut dbeta);
            });
            row(&name, [2, 3], len, [forward, backward]);
        }
    }
    let len = 1 << 22;
    if "silu".contains(filter) {
        let (x, dy, mut y) = (noise(len, 1), noise(len, 2), vec![0.0; len]);
        let times = [fastest(|| silu(level, &x, &mut y)), fastest(|| silu_backward(level, &x, &dy, &mut y))];
        row("silu 4M", [2, 3], len, times);
    }
    if "adam".contains(filter) {
        let settings = AdamStep {
            learning_rate: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            step: 1,
            gradient_scale: 1.0,
            ema_decay: 0.999,
        };
        let g = noise(len, 1);
        let [mut p, mut m, mut v, mut a] = [(); 4].map(|()| vec![0.0; len]);
        let time = fastest(|| adam(level, &settings, &g, &mut p, &mut m, &mut v, Some(&mut a)));
        println!("{:<26}{:>9.3} ms{:>7.1} GB/s", "adam + average 4M", time * 1e3, (36 * len) as f64 / time / 1e9);
    }
}

fn attention(level: Level, filter: &str) {
    println!("{:<26}{:>24}{:>24}{:>10}", "attention", "forward", "backward", "peak");
    for (batch, tokens, heads, head_dim) in [(8, 64, 1, 128), (4, 256, 1, 256), (4, 256, 8, 32), (1, 1024, 1, 128)] {
        let name = format!("attention {tokens} {heads}x{head_dim} b{batch}");
        if !name.contains(filter) {
            continue;
        }
        let attention = Attention { batch, tokens, heads, head_dim, scale: (head_dim as f32).powf(-0.5) };
        let [q, k, v, dout] = [1, 2, 3, 4].map(|seed| noise(attention.len(), seed));
        let [mut out, mut dq, mut dk, mut dv] = [(); 4].map(|()| vec![0.0; attention.len()]);
        let peak = peak::f32_flops(level);
        let forward = fastest(|| attention.forward(level, &q, &k, &v, &mut out));
        let backward = fastest(|| attention.backward(level, &q, &k, &v, &dout, &mut dq, &mut dk, &mut dv));
        print!("{name:<26}");
        let product = 2.0 * (batch * heads * tokens * tokens * head_dim) as f64;
        for (products, time) in [(2.0, forward), (5.0, backward)] {
            let speed = products * product / time;
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
