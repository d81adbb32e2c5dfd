//! Errors of choosing and opening a device.

use crate::DeviceKind;

/// A device that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A text that names no device.
    #[error(
        "{found:?} is not a device; expected auto, cpu, or one of cuda, vulkan, wgpu and metal, alone or with a number such as cuda:0"
    )]
    Unknown {
        /// The requested text.
        found: String,
    },
    /// A kind that this build does not support.
    #[error(
        "this pig was built without {kind}, it has {}; build it with `--features {kind}`, or choose another device",
        built()
    )]
    NotBuilt {
        /// The requested kind.
        kind: DeviceKind,
    },
    /// A kind of which the machine has no device.
    #[error("no {kind} device was found on this machine; {}, or choose --device cpu", advice(*kind))]
    Missing {
        /// The requested kind.
        kind: DeviceKind,
    },
    /// A device number that is too large for this machine.
    #[error("there is no device {kind}:{index}; this machine has {kind}:0 to {kind}:{last}, which `pig doctor` lists")]
    Index {
        /// The requested kind.
        kind: DeviceKind,
        /// The requested number.
        index: usize,
        /// The largest number on this machine.
        last: usize,
    },
    /// Fewer devices than processes that compute together on a machine.
    #[error(
        "process {local} of this machine (counted from 0) has no {kind} device of its own, since it finds {count}; start no more processes than \
         there are devices, or give --device {kind}:0 if the launcher shows each process its own device alone"
    )]
    TooFew {
        /// The requested kind.
        kind: DeviceKind,
        /// The number of the process among those of its machine.
        local: usize,
        /// The number of devices that it finds.
        count: usize,
    },
    /// A device that does not compute.
    #[error("the device {kind}:{index} was found but does not compute ({problem}); {}, or choose --device cpu", advice(*kind))]
    Failed {
        /// The requested kind.
        kind: DeviceKind,
        /// The number of the device.
        index: usize,
        /// The error of the device.
        problem: String,
    },
}

/// The kinds that this build supports, as a list in words.
fn built() -> String {
    let names: Vec<&str> = DeviceKind::built().map(DeviceKind::name).collect();
    match names.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn advice(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Cpu => "report this as a bug, because every machine has a CPU",
        DeviceKind::Cuda => {
            "check that nvidia-smi lists the GPU, that the CUDA runtime compiler (libnvrtc) is installed, and that CUDA_PATH/include has CUDA's headers"
        }
        DeviceKind::Vulkan | DeviceKind::Wgpu => "check that vulkaninfo lists the GPU and that its driver is installed",
        DeviceKind::Metal => "check that this is a Mac with a Metal GPU",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_device_is_told_what_else_may_be_so() {
        let message = DeviceError::TooFew { kind: DeviceKind::Cuda, local: 1, count: 1 }.to_string();
        assert!(message.contains("process 1 of this machine") && message.contains("--device cuda:0 if"), "{message}");
    }

    #[test]
    fn a_kind_that_was_not_built_names_the_feature_and_what_there_is() {
        let message = DeviceError::NotBuilt { kind: DeviceKind::Cuda }.to_string();
        assert!(
            message.contains("--features cuda") && message.contains("it has ") && message.contains("cpu;"),
            "{message}"
        );
    }
}
