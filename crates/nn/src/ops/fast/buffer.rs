//! Buffers between tensors and slices, and the list of free ones.
//!
//! A training step makes and drops the same buffers over and over. Returned to the system, each costs page faults and
//! zeros when it comes back: more time than the norms take. So the buffers that our operations are the last to read are
//! kept for the next one of the same length.

use burn::{
    backend::{
        TensorMetadata,
        flex::{FlexTensor, Layout},
    },
    tensor::{Bytes, DType, Shape},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The same tensor without gaps or repetitions: itself, where it has none.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

/// The values of a tensor that went through [`contiguous`].
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("a contiguous f32 tensor")
}

/// A tensor with these values.
pub(super) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// A buffer for as many values as `x` has, to be overwritten.
pub(super) fn buffer_like(x: &FlexTensor) -> Vec<f32> {
    buffer(x.shape().num_elements())
}

/// A buffer of `len` values, to be overwritten: what they are at first is not defined.
pub(super) fn buffer(len: usize) -> Vec<f32> {
    if len < SMALLEST {
        return vec![0.0; len];
    }
    let free = pool().take(len);
    free.unwrap_or_else(|| vec![0.0; len])
}

/// Keeps the tensor's buffer for the next [`buffer`] of its length, if nobody else reads it.
pub(super) fn recycle(x: FlexTensor) {
    if !x.is_unique() || x.dtype() != DType::F32 || x.bytes().len() < SMALLEST * size_of::<f32>() {
        return;
    }
    // A view of a part of a buffer is copied here; our own results are never such views.
    if x.bytes().len() == x.shape().num_elements() * size_of::<f32>()
        && let Ok(values) = x.into_data().try_into_vec()
    {
        pool().give(values);
    }
}

/// Values below which the allocator's own lists serve as well.
const SMALLEST: usize = 1 << 12;

/// Buffers are dropped when as many others were asked for since they came free: more than a training step of a large
/// network asks for.
const LIFETIME: u64 = 1 << 13;

static POOL: Mutex<Pool> = Mutex::new(Pool { free: BTreeMap::new(), clock: 0 });

fn pool() -> MutexGuard<'static, Pool> {
    // The pool is whole after every statement, so a panic elsewhere leaves nothing to repair.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Free buffers by their length, each with the time when it came free; time counts the buffers asked for.
struct Pool {
    free: BTreeMap<usize, Vec<(u64, Vec<f32>)>>,
    clock: u64,
}

impl Pool {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        self.clock += 1;
        if self.clock.is_multiple_of(LIFETIME) {
            let oldest = self.clock - LIFETIME;
            self.free.values_mut().for_each(|buffers| buffers.retain(|(since, _)| *since > oldest));
        }
        Some(self.free.get_mut(&len)?.pop()?.1)
    }

    fn give(&mut self, values: Vec<f32>) {
        self.free.entry(values.len()).or_default().push((self.clock, values));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_while_it_is_young() {
        let mut pool = Pool { free: BTreeMap::new(), clock: 0 };
        pool.give(vec![1.0; 5]);
        assert_eq!(pool.take(4), None);
        assert_eq!(pool.take(5), Some(vec![1.0; 5]));
        assert_eq!(pool.take(5), None);

        pool.give(vec![1.0; 5]);
        for _ in 0..2 * LIFETIME {
            pool.take(4);
        }
        assert_eq!(pool.take(5), None);
    }

    #[test]
    fn only_the_last_owner_gives_a_buffer_away() {
        // A length that no other test uses.
        let len = SMALLEST + 12_345;
        let x = tensor(vec![2.0; len], Shape::from([len]));
        recycle(x.clone());
        assert_eq!(pool().take(len), None);
        recycle(x);
        assert_eq!(pool().take(len), Some(vec![2.0; len]));
    }
}
