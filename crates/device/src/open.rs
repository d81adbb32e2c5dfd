//! Finding devices and trying them.

use crate::{DeviceError, DeviceKind, Request};
#[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu", feature = "metal"))]
use burn::tensor::DeviceType;
use burn::tensor::{Device, Tensor, TensorData};
use std::panic::{self, AssertUnwindSafe};

/// A device that works.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The kind of the device.
    pub kind: DeviceKind,
    /// The number of the device within its kind.
    pub index: usize,
    /// The name that the driver reports.
    pub name: String,
    /// The device on which to create tensors.
    pub device: Device,
}

impl Opened {
    /// The request that opens this device again: `cpu`, `cuda:0`.
    pub fn label(&self) -> String {
        self.kind.label(self.index)
    }
}

/// One device of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of the device within its kind.
    pub index: usize,
    /// The name that the driver reports; empty if it reports none.
    pub name: String,
    /// Whether the device is a program that emulates a GPU on the processor, such as Mesa's llvmpipe. `auto` skips it.
    pub is_software: bool,
    /// Why the device does not work; None if it works. A build with `vulkan` (SPIR-V) does not try software devices,
    /// because Mesa's software device ends the whole process.
    pub problem: Option<String>,
}

/// A kind of device and the machine's devices of that kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindReport {
    /// The kind.
    pub kind: DeviceKind,
    /// The devices; None if this build does not support the kind.
    pub found: Option<Vec<Found>>,
}

/// Opens the requested device.
pub fn open(request: Request) -> Result<Opened, DeviceError> {
    match request {
        Request::Auto => Ok(best()),
        Request::Kind(kind, index) => open_kind(kind, index),
    }
}

/// Opens the device of one of several processes on a machine, the `local`-th from 0: where the request names no number, each process takes a GPU
/// of its own.
///
/// # Errors
/// When the machine has fewer devices of the kind than processes, and those of [`open`].
pub fn open_own(request: Request, local: usize) -> Result<Opened, DeviceError> {
    match request {
        Request::Kind(kind, None) if kind != DeviceKind::Cpu => {
            open_kind(kind, Some(local)).map_err(|error| match error {
                DeviceError::Index { kind, index, last } => DeviceError::TooFew { kind, local: index, count: last + 1 },
                other => other,
            })
        }
        Request::Kind(kind, index) => open_kind(kind, index),
        Request::Auto => {
            let hardware = |kind| candidates(kind).iter().filter(|candidate| !candidate.is_software()).count();
            let mut gpus = DeviceKind::built().filter(|&kind| kind != DeviceKind::Cpu);
            let Some((kind, count)) =
                gpus.find_map(|kind| Some((kind, hardware(kind))).filter(|&(_, count)| count > 0))
            else {
                return Ok(cpu());
            };
            if local >= count {
                return Err(DeviceError::TooFew { kind, local, count });
            }
            open_kind(kind, Some(local))
        }
    }
}

/// The first device of the best kind that works. Software devices are skipped: they are slower than our own CPU kernels.
fn best() -> Opened {
    let gpus = DeviceKind::built().filter(|&kind| kind != DeviceKind::Cpu);
    let mut hardware = gpus.flat_map(|kind| candidates(kind).into_iter().filter(|candidate| !candidate.is_software()));
    hardware.find_map(|candidate| candidate.open().ok()).unwrap_or_else(cpu)
}

fn open_kind(kind: DeviceKind, index: Option<usize>) -> Result<Opened, DeviceError> {
    if !kind.is_built() {
        return Err(DeviceError::NotBuilt { kind });
    }
    let mut candidates = candidates(kind);
    let Some(last) = candidates.len().checked_sub(1) else { return Err(DeviceError::Missing { kind }) };
    let index = index.unwrap_or(0);
    if index > last {
        return Err(DeviceError::Index { kind, index, last });
    }
    candidates.swap_remove(index).open().map_err(|problem| DeviceError::Failed { kind, index, problem })
}

/// Every kind with the machine's devices of that kind, each tried.
pub fn report() -> Vec<KindReport> {
    let found = |kind| candidates(kind).into_iter().map(Candidate::report).collect();
    DeviceKind::ALL.map(|kind| KindReport { kind, found: kind.is_built().then(|| found(kind)) }).into()
}

fn cpu() -> Opened {
    let name = std::env::consts::ARCH.to_owned();
    Opened { kind: DeviceKind::Cpu, index: 0, name, device: Device::flex() }
}

/// A device that the machine lists and that is not tried yet.
struct Candidate {
    kind: DeviceKind,
    index: usize,
    device: Device,
}

/// The devices of a kind, hardware first. Empty if this build does not support the kind.
fn candidates(kind: DeviceKind) -> Vec<Candidate> {
    let mut devices = match kind {
        DeviceKind::Cpu => vec![Device::flex()],
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => Device::enumerate(DeviceType::Vulkan).into_vec(),
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => Device::enumerate(DeviceType::Wgpu).into_vec(),
        #[cfg(feature = "metal")]
        DeviceKind::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
        #[allow(unreachable_patterns, reason = "it is reached unless every feature is on")]
        _ => Vec::new(),
    };
    devices.sort_by_key(is_software);
    devices.into_iter().enumerate().map(|(index, device)| Candidate { kind, index, device }).collect()
}

impl Candidate {
    fn is_software(&self) -> bool {
        is_software(&self.device)
    }

    /// Opens the device after a small matrix product on it gave the right result. The CPU is not tried.
    fn open(self) -> Result<Opened, String> {
        let Self { kind, index, device } = self;
        if kind == DeviceKind::Cpu {
            return Ok(cpu());
        }
        let name = quietly(|| {
            let name = name(&device);
            try_out(&device).map(|()| name)
        })??;
        Ok(Opened { kind, index, name, device })
    }

    fn report(self) -> Found {
        let (index, is_software) = (self.index, self.is_software());
        if is_software && cfg!(feature = "vulkan") {
            let name = quietly(|| name(&self.device)).unwrap_or_default();
            return Found { index, name, is_software, problem: Some("not tried: software".to_owned()) };
        }
        match self.open() {
            Ok(opened) => Found { index, name: opened.name, is_software, problem: None },
            Err(problem) => Found { index, name: String::new(), is_software, problem: Some(problem) },
        }
    }
}

/// Multiplies two matrices of ones on the device, reads the result back and checks it.
fn try_out(device: &Device) -> Result<(), String> {
    const SIDE: usize = 8;
    let ones = || Tensor::<2>::from_data(TensorData::new(vec![1.0_f32; SIDE * SIDE], [SIDE, SIDE]), device);
    let product = ones().matmul(ones()).try_into_data().map_err(|error| format!("{error:?}"))?;
    let values = product.try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
    match values.into_iter().find(|&value| value != SIDE as f32) {
        Some(value) => Err(format!("it gave {value} for a sum of {SIDE} ones")),
        None => Ok(()),
    }
}

/// Runs `work` and returns the first line of a panic message as an error, because a missing or broken driver causes a
/// panic. The panic hook, which would print the message, is replaced while `work` runs.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.as_deref().and_then(|text| text.lines().next()).unwrap_or("a panic without a message").to_owned()
    })
}

#[cfg(any(feature = "vulkan", feature = "wgpu", feature = "metal"))]
fn is_software(device: &Device) -> bool {
    use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
    let dispatch = device.as_dispatch();
    matches!(dispatch, DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) if wgpu.kind == WgpuDeviceKind::Cpu)
}

#[cfg(not(any(feature = "vulkan", feature = "wgpu", feature = "metal")))]
fn is_software(_: &Device) -> bool {
    false
}

#[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu", feature = "metal"))]
fn name(device: &Device) -> String {
    device.identity().map(|identity| identity.name).unwrap_or_default()
}

#[cfg(not(any(feature = "cuda", feature = "vulkan", feature = "wgpu", feature = "metal")))]
fn name(_: &Device) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_opens() {
        let opened = open(Request::Kind(DeviceKind::Cpu, None)).unwrap();
        assert_eq!((opened.kind, opened.device), (DeviceKind::Cpu, Device::flex()));
        assert_eq!(try_out(&Device::flex()), Ok(()));
    }

    #[test]
    fn auto_opens_something_that_is_no_software() {
        let opened = open(Request::Auto).unwrap();
        assert!(!is_software(&opened.device));
        if DeviceKind::built().count() == 1 {
            assert_eq!(opened.kind, DeviceKind::Cpu);
        }
    }

    #[test]
    fn each_process_has_a_gpu_of_its_own() {
        let cpu = DeviceKind::Cpu;
        assert_eq!(open_own(Request::Kind(cpu, None), 3).unwrap().kind, cpu);
        for kind in DeviceKind::built().filter(|&kind| kind != cpu) {
            let count = candidates(kind).len();
            let last = count.checked_sub(1);
            let index = last.map(|last| DeviceError::Index { kind, index: count, last });
            let too_few = last.map(|_| DeviceError::TooFew { kind, local: count, count });
            for (asked, expected) in [(Some(count), index), (None, too_few)] {
                let error = open_own(Request::Kind(kind, asked), count).unwrap_err();
                assert_eq!(error, expected.unwrap_or(DeviceError::Missing { kind }));
            }
        }
        if DeviceKind::built().count() == 1 {
            assert_eq!(open_own(Request::Auto, 1).unwrap().kind, cpu);
        }
    }

    #[test]
    fn what_is_not_built_or_not_there_is_an_error() {
        for kind in DeviceKind::ALL {
            let error = open(Request::Kind(kind, Some(99))).unwrap_err();
            let expected = if !kind.is_built() {
                DeviceError::NotBuilt { kind }
            } else if let Some(last) = candidates(kind).len().checked_sub(1) {
                DeviceError::Index { kind, index: 99, last }
            } else {
                DeviceError::Missing { kind }
            };
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn the_report_names_every_kind() {
        let report = report();
        assert_eq!(report.len(), DeviceKind::ALL.len());
        for KindReport { kind, found } in &report {
            assert_eq!(found.is_some(), kind.is_built(), "{kind}");
        }
        let cpu = report.last().and_then(|report| report.found.as_ref()).unwrap();
        assert!(cpu.iter().all(|found| found.problem.is_none() && !found.is_software));
    }

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 1), Ok(1));
        assert_eq!(quietly(|| panic!("no driver\nbacktrace")), Err::<(), _>("no driver".to_owned()));
    }
}
