//! Channels-last SIMD kernels.
