//! The devices of tensors.

use burn::{backend::DispatchDevice, tensor::Device};

/// Whether a device is the CPU, with or without autodiff.
pub fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}
