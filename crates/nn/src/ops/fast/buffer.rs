//! Conversions between tensors and slices, and a pool of free buffers.
//!
//! A training step allocates and frees the same buffers again and again. If they were returned to the system, each new allocation
//! would cost page faults and zeroing: more time than the norms take. So if one of our operations is the last reader of a buffer,
//! the buffer is kept for the next operation that needs the same length. Each worker keeps its own: a buffer that another core wrote last
//! lies in that core's cache, and writing to it takes longer.

use burn::{
    backend::{
        TensorMetadata,
        flex::{FlexTensor, Layout},
    },
    tensor::{Bytes, DType, Element, Shape},
};
use pig_kernels::{Bf16, Input, Level};
use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The number of pools; workers of higher numbers share them.
const POOLS: usize = 64;

thread_local! {
    /// The pool of this thread. Threads that belong to no worker share the first.
    static OWN_POOL: Cell<usize> = const { Cell::new(0) };
}

/// Gives this thread the pool of free buffers of a worker, which all threads of the worker share. Call it once for each thread of the
/// worker.
pub fn use_buffers_of_worker(worker: usize) {
    OWN_POOL.set(1 + worker % (POOLS - 1));
}

/// The type of the values in tensors of our operations: `f32`, or `bf16` between a norm and the layer that reads it.
pub(super) trait Value: Element + pig_kernels::Element {
    /// Burn's name for the type.
    const DTYPE: DType;
    /// The values of a contiguous tensor of this type.
    fn slice(x: &FlexTensor) -> Option<&[Self]>;
    /// The bytes of these values.
    fn bytes(values: Vec<Self>) -> Bytes;
    /// This thread's pool of free buffers.
    fn pool() -> MutexGuard<'static, Pool<Self>>;
}

impl Value for f32 {
    const DTYPE: DType = DType::F32;
    fn slice(x: &FlexTensor) -> Option<&[Self]> {
        x.as_slice()
    }
    fn bytes(values: Vec<Self>) -> Bytes {
        Bytes::from_elems(values)
    }
    fn pool() -> MutexGuard<'static, Pool<Self>> {
        static OF_WORKERS: [Mutex<Pool<f32>>; POOLS] = [const { Mutex::new(Pool::new()) }; POOLS];
        locked(&OF_WORKERS[OWN_POOL.get()])
    }
}

impl Value for Bf16 {
    const DTYPE: DType = DType::BF16;
    fn slice(x: &FlexTensor) -> Option<&[Self]> {
        x.as_slice()
    }
    fn bytes(values: Vec<Self>) -> Bytes {
        Bytes::from_elems(values)
    }
    fn pool() -> MutexGuard<'static, Pool<Self>> {
        static OF_WORKERS: [Mutex<Pool<Bf16>>; POOLS] = [const { Mutex::new(Pool::new()) }; POOLS];
        locked(&OF_WORKERS[OWN_POOL.get()])
    }
}

fn locked<T>(pool: &'static Mutex<Pool<T>>) -> MutexGuard<'static, Pool<T>> {
    // The pool is consistent after every statement, so it can be used after a panic of another thread.
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tensor without gaps or repetitions; a tensor without them is returned unchanged.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    let is_contiguous = f32::slice(&x).is_some() || Bf16::slice(&x).is_some();
    if is_contiguous { x } else { x.to_contiguous() }
}

/// The values of an `f32` tensor that went through [`contiguous`].
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    values_of(x)
}

/// The values of a tensor of this type that went through [`contiguous`].
pub(super) fn values_of<T: Value>(x: &FlexTensor) -> &[T] {
    T::slice(x).expect("a contiguous tensor of this type")
}

/// One tensor, or two tensors with concatenated channels, as an input of the kernels.
///
/// # Panics
/// When there is no tensor, or more than two.
pub(super) fn beside<T: Value>(x: &[FlexTensor]) -> Input<'_, T> {
    match x {
        [x] => Input::One(values_of(x)),
        [a, b] => {
            let first_channels = a.shape().as_slice().last().copied().unwrap_or_default();
            Input::Concat { first: values_of(a), first_channels, second: values_of(b) }
        }
        _ => panic!("an input must be one tensor or two tensors"),
    }
}

/// A tensor with these values.
pub(super) fn tensor<T: Value>(values: Vec<T>, shape: Shape) -> FlexTensor {
    FlexTensor::new(T::bytes(values), Layout::contiguous(shape), T::DTYPE)
}

/// The tensor as `f32`; an `f32` tensor is returned unchanged.
pub(super) fn as_f32(x: &FlexTensor) -> FlexTensor {
    if x.dtype() == DType::F32 {
        return x.clone();
    }
    let mut y = buffer(x.shape().num_elements());
    pig_kernels::from_bf16(Level::best(), values_of(x), &mut y);
    tensor(y, x.shape())
}

/// The tensor rounded to `bf16`; a `bf16` tensor is returned unchanged.
pub(super) fn as_bf16(x: &FlexTensor) -> FlexTensor {
    if x.dtype() == DType::BF16 {
        return x.clone();
    }
    let mut y = buffer::<Bf16>(x.shape().num_elements());
    pig_kernels::to_bf16(Level::best(), values(x), &mut y);
    tensor(y, x.shape())
}

/// A buffer of `f32` for as many values as `x` has. The caller must overwrite all of them.
pub(super) fn buffer_like(x: &FlexTensor) -> Vec<f32> {
    buffer(x.shape().num_elements())
}

/// A buffer of `len` values. The caller must overwrite all of them, because their initial values are not defined.
pub(super) fn buffer<T: Value>(len: usize) -> Vec<T> {
    if len < SMALLEST {
        return vec![T::default(); len];
    }
    let free = T::pool().take(len);
    free.unwrap_or_else(|| vec![T::default(); len])
}

/// Keeps the buffer of the tensor for the next [`buffer`] of the same length, if the tensor has no other owner.
pub(super) fn recycle(x: FlexTensor) {
    match x.dtype() {
        DType::F32 => recycle_as::<f32>(x),
        DType::BF16 => recycle_as::<Bf16>(x),
        _ => {}
    }
}

fn recycle_as<T: Value>(x: FlexTensor) {
    if !x.is_unique() || x.bytes().len() < SMALLEST * size_of::<T>() {
        return;
    }
    // Not for views of a part of a buffer, because they would be copied here; our own results are never such views.
    if x.bytes().len() == x.shape().num_elements() * size_of::<T>()
        && let Ok(values) = x.into_data().try_into_vec()
    {
        T::pool().give(values);
    }
}

/// The smallest number of values for which the pool is used; for smaller buffers the allocator is as fast.
const SMALLEST: usize = 1 << 12;

/// A free buffer is dropped after this number of requests for buffers: more than a training step of a large network makes.
const LIFETIME: u64 = 1 << 13;

/// Free buffers by their length; the clock counts requests.
pub(super) struct Pool<T> {
    shelves: BTreeMap<usize, Shelf<T>>,
    clock: u64,
}

/// The free buffers of one length, each with the time since which it is free.
struct Shelf<T> {
    free: Vec<(u64, Vec<T>)>,
    /// The number of requests without a free buffer. At least this many buffers were in use at the same time, so no more are kept.
    /// Without this limit the pool would grow: it also receives tensors of other operations, possibly of lengths that are never
    /// requested.
    missed: usize,
    last_asked: u64,
}

impl<T> Pool<T> {
    const fn new() -> Self {
        Self { shelves: BTreeMap::new(), clock: 0 }
    }

    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        self.clock += 1;
        if self.clock.is_multiple_of(LIFETIME) {
            let oldest = self.clock - LIFETIME;
            self.shelves.retain(|_, shelf| shelf.last_asked > oldest);
            self.shelves.values_mut().for_each(|shelf| shelf.free.retain(|(since, _)| *since > oldest));
        }
        let shelf = self.shelves.entry(len).or_insert(Shelf { free: Vec::new(), missed: 0, last_asked: 0 });
        shelf.last_asked = self.clock;
        let buffer = shelf.free.pop();
        shelf.missed += usize::from(buffer.is_none());
        Some(buffer?.1)
    }

    fn give(&mut self, values: Vec<T>) {
        if let Some(shelf) = self.shelves.get_mut(&values.len())
            && shelf.free.len() < shelf.missed
        {
            shelf.free.push((self.clock, values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_while_it_is_young() {
        let mut pool: Pool<f32> = Pool::new();
        assert_eq!(pool.take(5), None);
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
    fn no_more_are_kept_than_were_wanted_at_once() {
        let mut pool: Pool<f32> = Pool::new();
        pool.give(vec![0.0; 5]);
        assert_eq!(pool.take(5), None);
        assert_eq!(pool.take(5), None);
        for i in 1..10_u8 {
            pool.give(vec![f32::from(i); 5]);
        }
        assert_eq!([pool.take(5), pool.take(5), pool.take(5)], [Some(vec![2.0; 5]), Some(vec![1.0; 5]), None]);
    }

    #[test]
    fn only_the_last_owner_gives_a_buffer_away() {
        // No other test uses this length.
        let len = SMALLEST + 12_345;
        let x = tensor(vec![2.0_f32; len], Shape::from([len]));
        assert_eq!(f32::pool().take(len), None);
        recycle(x.clone());
        assert_eq!(f32::pool().take(len), None);
        recycle(x);
        assert_eq!(f32::pool().take(len), Some(vec![2.0; len]));
    }

    #[test]
    fn a_worker_s_threads_share_its_buffers_and_no_other_ones() {
        // No other test uses this length.
        let len = SMALLEST + 23_456;
        let on_thread_of = |worker: usize, job: fn(usize) -> Option<Vec<f32>>| {
            let run = move || {
                use_buffers_of_worker(worker);
                job(len)
            };
            std::thread::spawn(run).join().unwrap()
        };
        let used = |len: usize| {
            assert_eq!(f32::pool().take(len), None);
            recycle(tensor(vec![3.0_f32; len], Shape::from([len])));
            None
        };
        on_thread_of(4, used);
        assert_eq!(on_thread_of(5, |len| f32::pool().take(len)), None);
        assert_eq!(f32::pool().take(len), None);
        assert_eq!(on_thread_of(4, |len| f32::pool().take(len)), Some(vec![3.0; len]));
    }
}
