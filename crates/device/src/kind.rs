//! Kinds of devices, and the words that name one.

use crate::DeviceError;
use std::{fmt, str::FromStr};

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor, through our own kernels.
    Cpu,
    /// NVIDIA GPUs through CUDA, compiled by NVRTC.
    Cuda,
    /// GPUs through Vulkan, compiled to SPIR-V.
    Vulkan,
    /// GPUs through whatever graphics interface the machine has, compiled to WGSL.
    Wgpu,
    /// Apple's GPUs through Metal.
    Metal,
}

impl DeviceKind {
    /// All kinds, built or not, the best first: the order in which `auto` looks.
    pub const ALL: [Self; 5] = [Self::Cuda, Self::Metal, Self::Vulkan, Self::Wgpu, Self::Cpu];

    /// The kind in a request, and the cargo feature that builds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Metal => "metal",
        }
    }

    /// What asks for one device of it: `cpu`, `cuda:0`.
    pub fn label(self, index: usize) -> String {
        match self {
            Self::Cpu => self.name().to_owned(),
            _ => format!("{self}:{index}"),
        }
    }

    /// Whether this build has it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    /// The kinds that this build has, the best first.
    pub fn built() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| kind.is_built())
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was asked for: `auto`, `cpu`, or a kind with an optional number, such as `cuda` or `vulkan:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The best device that this build has and that works; the CPU where there is no other.
    Auto,
    /// One kind; the first device of it, or the one with this number.
    Kind(DeviceKind, Option<usize>),
}

impl FromStr for Request {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { found: text.to_owned() };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let kind = DeviceKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        match (kind, index) {
            (DeviceKind::Cpu, Some(_)) => Err(unknown()),
            _ => Ok(Self::Kind(kind, index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        assert_eq!("auto".parse(), Ok(Request::Auto));
        assert_eq!("cpu".parse(), Ok(Request::Kind(DeviceKind::Cpu, None)));
        assert_eq!("cuda".parse(), Ok(Request::Kind(DeviceKind::Cuda, None)));
        assert_eq!("vulkan:12".parse(), Ok(Request::Kind(DeviceKind::Vulkan, Some(12))));
        for wrong in ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:0:1", "cpu:0", "auto:0"] {
            let error = wrong.parse::<Request>().unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
    }

    #[test]
    fn the_cpu_is_always_built_and_comes_last() {
        assert_eq!(DeviceKind::built().last(), Some(DeviceKind::Cpu));
    }
}
