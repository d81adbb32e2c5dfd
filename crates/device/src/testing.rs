//! For tests: the device that the environment variable `PIG_TEST_DEVICE` names, such as `wgpu` or `cuda:0`, and the
//! tolerance for results on it. Without the variable, tests run on the CPU.

use crate::{DeviceKind, Opened, Request, open};
use burn::tensor::Device;
use std::sync::OnceLock;

/// The name of the environment variable.
pub const VARIABLE: &str = "PIG_TEST_DEVICE";

/// How far `f32` results may be from those of the CPU or of a reference, relative to the largest value: other devices
/// sum in a different order, fuse products into sums, and have different elementary functions.
const GPU_TOLERANCE: f64 = 1e-3;

fn opened() -> &'static Opened {
    static OPENED: OnceLock<Opened> = OnceLock::new();
    OPENED.get_or_init(|| {
        let Ok(asked) = std::env::var(VARIABLE) else {
            return open(Request::Kind(DeviceKind::Cpu, None)).expect("the CPU is always there");
        };
        let opened = asked.parse().and_then(open).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"));
        println!("{VARIABLE}: tests run on {} ({})", opened.label(), opened.name);
        opened
    })
}

/// The device that tests compute on.
pub fn device() -> Device {
    opened().device.clone()
}

/// Whether tests run on the CPU.
pub fn is_cpu() -> bool {
    opened().kind == DeviceKind::Cpu
}

/// The tolerance of a test whose tolerance on the CPU is `cpu`.
pub fn tolerance(cpu: f64) -> f64 {
    if is_cpu() { cpu } else { cpu.max(GPU_TOLERANCE) }
}

/// Whether a CPU-only test must be skipped because tests run on another device. `reason` says why the test needs the CPU;
/// the skip is recorded (`pig_testing::skip`).
pub fn skips(reason: &str) -> bool {
    if !is_cpu() {
        pig_testing::skip(&format!("on {}: {reason}", opened().kind));
    }
    !is_cpu()
}
