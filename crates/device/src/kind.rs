//! Kinds of devices.

use std::fmt;

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor, through our own kernels.
    Cpu,
    /// NVIDIA GPUs through CUDA, compiled by NVRTC.
    Cuda,
    /// GPUs through Vulkan, compiled to SPIR-V.
    Vulkan,
    /// GPUs through any graphics interface that the machine has, compiled to WGSL.
    Wgpu,
    /// Apple's GPUs through Metal.
    Metal,
}

impl DeviceKind {
    /// All kinds, built or not, the best first: the order in which `auto` tries them.
    pub const ALL: [Self; 5] = [Self::Cuda, Self::Metal, Self::Vulkan, Self::Wgpu, Self::Cpu];

    /// The name of the kind in a request and of the cargo feature that builds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Metal => "metal",
        }
    }

    /// The request for one device of this kind: `cpu`, `cuda:0`.
    pub fn label(self, index: usize) -> String {
        match self {
            Self::Cpu => self.name().to_owned(),
            _ => format!("{self}:{index}"),
        }
    }

    /// Whether this build supports the kind.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    /// The kinds that this build supports, the best first.
    pub fn built() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| kind.is_built())
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_built_and_comes_last() {
        assert_eq!(DeviceKind::built().last(), Some(DeviceKind::Cpu));
    }
}
