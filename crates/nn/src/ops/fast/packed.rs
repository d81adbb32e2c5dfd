//! Weights that are packed for the kernels and kept for later forward passes.
//!
//! A sampling uses the same weights hundreds of times, and packing them takes a tenth of the forward pass of a small image. In
//! training they change with every step, so passes with gradients keep packed weights only if the step has several parts
//! ([`sharing_weights`]).

use super::{buffer::values, conv::Method};
use burn::{backend::flex::FlexTensor, tensor::Bytes};
use std::{
    any::Any,
    cell::Cell,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::LocalKey,
};

/// The operation for which weights are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Packing {
    /// A convolution.
    Conv {
        /// The numbers of output and input channels.
        channels: [usize; 2],
        kernel: usize,
        method: Method,
    },
    /// The gradient of a convolution with respect to its input.
    ConvBackward {
        /// The numbers of output and input channels.
        channels: [usize; 2],
        kernel: usize,
        method: Method,
    },
    /// A 3x3 convolution after nearest upsampling, with these numbers of output and input channels.
    UpsampleConv([usize; 2], Method),
    /// The gradient of that convolution with respect to its input.
    UpsampleConvBackward([usize; 2], Method),
}

/// Packed weights and their source.
struct Entry {
    /// Invalid as soon as the weights are dropped or written: because this weak reference exists, a sole owner that writes moves the
    /// values to a new allocation.
    source: Weak<Bytes>,
    packed: Arc<dyn Any + Send + Sync>,
}

/// The entries by the address of the shared allocation of the weights, and by packing. The address is not reused as long as the entry refers
/// to it.
static ENTRIES: Mutex<Option<Entries>> = Mutex::new(None);
type Entries = HashMap<(usize, Packing), Entry>;

thread_local! {
    static IS_KEEPING: Cell<bool> = const { Cell::new(true) };
    static IS_SHARING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` without keeping the weights that it packs. It is meant for a forward pass within a training step, because the next step
/// changes the weights. Weights packed for Winograd's method take four times the memory of the weights themselves.
pub fn without_keeping_weights<T>(f: impl FnOnce() -> T) -> T {
    with_flag(&IS_KEEPING, false, f)
}

/// Runs the forward or the backward pass of one of `parts` parts of a training step. If there are several, the weights that it packs are
/// kept for the others, which use the same weights in graphs of their own.
pub fn sharing_weights<T>(parts: usize, f: impl FnOnce() -> T) -> T {
    with_flag(&IS_SHARING, parts > 1, f)
}

/// Runs `f` with another value of a flag of this thread.
fn with_flag<T>(flag: &'static LocalKey<Cell<bool>>, value: bool, f: impl FnOnce() -> T) -> T {
    /// Restores the flag, also when `f` panics.
    struct Restore(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(flag, flag.replace(value));
    f()
}

/// Whether packed weights are kept. It is decided on the thread of the pass; the packing may run on another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping(bool);

impl Keeping {
    /// In a pass without gradients.
    pub(super) fn without_gradients() -> Self {
        Self(IS_KEEPING.get())
    }

    /// In a pass with gradients, forward or backward.
    pub(super) fn in_training() -> Self {
        Self(IS_SHARING.get())
    }

    /// The result of `pack` for `weight`, or a kept result of an earlier call with the same weights and packing.
    pub(super) fn weights<T: Any + Send + Sync>(
        self,
        packing: Packing,
        weight: &FlexTensor,
        pack: impl Fn(&[f32]) -> T,
    ) -> Arc<T> {
        let pack = || Arc::new(pack(values(weight)));
        let source = weight.data_arc();
        // If the weights are a part of a larger buffer, another part can have the same allocation and shape.
        let is_part = source.len() != size_of_val(values(weight));
        if is_part || !self.0 {
            return pack();
        }
        let key = (Arc::as_ptr(&source).addr(), packing);
        let find = |entries: &Entries| {
            let entry = entries.get(&key).filter(|entry| entry.source.strong_count() > 0)?;
            entry.packed.clone().downcast().ok()
        };
        if let Some(packed) = with_entries(|entries| find(entries)) {
            return packed;
        }
        let packed = pack();
        let entry = Entry { source: Arc::downgrade(&source), packed: packed.clone() };
        with_entries(|entries| {
            entries.retain(|_, entry| entry.source.strong_count() > 0);
            entries.insert(key, entry);
        });
        packed
    }
}

fn with_entries<T>(f: impl FnOnce(&mut Entries) -> T) -> T {
    // The map is consistent after every statement, so it can be used after a panic of another thread.
    f(ENTRIES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

#[cfg(test)]
mod tests {
    use super::{super::buffer::tensor, *};
    use burn::tensor::Shape;
    use pig_kernels::{Conv2d, ForwardWeights};

    fn packed(conv: &Conv2d, weight: &FlexTensor) -> Arc<ForwardWeights> {
        let channels = [conv.out_channels, conv.in_channels];
        let packing = Packing::Conv { channels, kernel: conv.kernel, method: Method::F32 };
        Keeping::without_gradients().weights(packing, weight, |weight| conv.pack_forward(weight))
    }

    #[test]
    fn weights_are_packed_again_when_they_change() {
        let conv = Conv2d::same(1, 1, 1, 3, 17, 1);
        let mut weight = tensor(vec![1.0; 51], Shape::from([17, 3]));
        let first = packed(&conv, &weight);
        assert!(Arc::ptr_eq(&first, &packed(&conv, &weight.clone())));

        weight.storage_mut::<f32>()[0] = 2.0;
        let second = packed(&conv, &weight);
        assert!(!Arc::ptr_eq(&first, &second));
        let mut y = vec![0.0; 17];
        conv.forward(pig_kernels::Level::best(), &[1.0; 3], &second, None, &mut y);
        assert_eq!(y[..2], [4.0, 3.0]);
    }

    #[test]
    fn training_keeps_weights_within_a_part_alone() {
        let conv = Conv2d::same(1, 1, 1, 3, 17, 1);
        let weight = tensor(vec![1.0; 51], Shape::from([17, 3]));
        let packing = Packing::ConvBackward { channels: [17, 3], kernel: 1, method: Method::F32 };
        let packed = || Keeping::in_training().weights(packing, &weight, |weight| conv.pack_backward::<f32>(weight));
        assert!(!Arc::ptr_eq(&packed(), &packed()));
        let first = sharing_weights(2, packed);
        assert!(Arc::ptr_eq(&first, &sharing_weights(2, packed)));
        assert!(!Arc::ptr_eq(&first, &sharing_weights(1, packed)));
        assert!(!Arc::ptr_eq(&first, &packed()));
    }

    #[test]
    fn other_shapes_of_the_same_values_are_packed_apart() {
        let weight = tensor(vec![1.0; 54], Shape::from([2, 3, 3, 3]));
        let first = packed(&Conv2d::same(1, 4, 4, 3, 2, 3), &weight);
        let second = packed(&Conv2d::same(1, 4, 4, 2, 3, 3), &weight);
        assert!(!Arc::ptr_eq(&first, &second));
    }
}
