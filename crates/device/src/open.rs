//! Finding devices and trying them.

use crate::{DeviceError, DeviceKind, Request};
#[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu", feature = "metal"))]
use burn::tensor::DeviceType;
use burn::tensor::{Device, Tensor, TensorData};
use std::panic::{self, AssertUnwindSafe};

/// A device that computes.
#[derive(Clone, Debug)]
pub struct Opened {
    /// How it is reached.
    pub kind: DeviceKind,
    /// Its number among those of its kind.
    pub index: usize,
    /// What it calls itself.
    pub name: String,
    /// For tensors.
    pub device: Device,
}

impl Opened {
    /// What asks for it again: `cpu`, `cuda:0`.
    pub fn label(&self) -> String {
        self.kind.label(self.index)
    }
}

/// One device of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number among those of its kind.
    pub index: usize,
    /// What it calls itself; empty where it does not say.
    pub name: String,
    /// Whether it is a program that plays a GPU on the processor, such as Mesa's llvmpipe. `auto` passes it by.
    pub is_software: bool,
    /// Why it does not compute; None where it does. A software device that this build reaches through SPIR-V is not
    /// tried, because Mesa's ends the whole process.
    pub problem: Option<String>,
}

/// A kind of device and what the machine has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindReport {
    /// The kind.
    pub kind: DeviceKind,
    /// None where this build does not have the kind.
    pub found: Option<Vec<Found>>,
}

/// Opens what was asked for.
pub fn open(request: Request) -> Result<Opened, DeviceError> {
    match request {
        Request::Auto => Ok(best()),
        Request::Kind(kind, index) => open_kind(kind, index),
    }
}

/// The first device that works, of the best kind. Programs that play a GPU are slower than our own CPU kernels.
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

/// Every kind with the devices that the machine has of it, each tried.
pub fn report() -> Vec<KindReport> {
    let found = |kind| candidates(kind).into_iter().map(Candidate::report).collect();
    DeviceKind::ALL.map(|kind| KindReport { kind, found: kind.is_built().then(|| found(kind)) }).into()
}

fn cpu() -> Opened {
    let name = std::env::consts::ARCH.to_owned();
    Opened { kind: DeviceKind::Cpu, index: 0, name, device: Device::flex() }
}

/// A device that the machine names, not tried yet.
struct Candidate {
    kind: DeviceKind,
    index: usize,
    device: Device,
}

/// The devices of a kind, those that are hardware first. None where this build does not have the kind.
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
        #[allow(unreachable_patterns, reason = "reached unless every feature is on")]
        _ => Vec::new(),
    };
    devices.sort_by_key(is_software);
    devices.into_iter().enumerate().map(|(index, device)| Candidate { kind, index, device }).collect()
}

impl Candidate {
    fn is_software(&self) -> bool {
        is_software(&self.device)
    }

    /// The device with its name, once a small product came out right.
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

/// A product of two matrices of ones, read back.
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

/// Runs `work`, and gives what a panic in it said: drivers that are missing or broken are reported so. The message is
/// returned and not printed, so the hook that prints is put aside meanwhile.
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
