//! Multiplies each sample of a `[batch, ...]` tensor by its own coefficient.

use burn::tensor::{Tensor, TensorData};

/// Multiplies sample `i` of `x` by `coefficients[i]`.
///
/// During sampling all samples are at the same timestep; then the product with one number is exact and cheaper.
pub(crate) fn scale(x: Tensor<4>, coefficients: &[f64]) -> Tensor<4> {
    debug_assert_eq!(x.dims()[0], coefficients.len());
    match coefficients {
        [first, rest @ ..] if rest.iter().all(|c| c == first) => x.mul_scalar(*first),
        _ => {
            let (device, dtype) = (x.device(), x.dtype());
            let data = TensorData::new(coefficients.to_vec(), [coefficients.len(), 1, 1, 1]).convert_dtype(dtype);
            x.mul(Tensor::from_data(data, (&device, dtype)))
        }
    }
}
