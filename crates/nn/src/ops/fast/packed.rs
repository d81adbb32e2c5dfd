//! Weights that are packed for convolutions of the smallest images, and kept for later forward passes.
//!
//! A sampling uses the same weights hundreds of times, and for images of a few pixels packing takes longer than the sums. For larger
//! images it costs little, and packed weights would take more memory than anything else; in training weights change with every step.

use super::{buffer::values, conv::Method};
use burn::{backend::flex::FlexTensor, tensor::Bytes};
use std::{
    any::Any,
    cell::Cell,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The convolution for which weights are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Packing {
    /// The numbers of output and input channels.
    pub(super) channels: [usize; 2],
    pub(super) kernel: usize,
    pub(super) method: Method,
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
}

/// Runs `f` without keeping the weights that it packs. It is meant for a forward pass within a training step, because the next step
/// changes the weights.
pub fn without_keeping_weights<T>(f: impl FnOnce() -> T) -> T {
    /// Restores the flag, also when `f` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_KEEPING.set(self.0);
        }
    }
    let _restore = Restore(IS_KEEPING.replace(false));
    f()
}

/// The result of `pack` for `weight`, or a kept result of an earlier call with the same weights and packing. It is kept unless this pass
/// [is not to keep any](without_keeping_weights).
pub(super) fn kept<T: Any + Send + Sync>(packing: Packing, weight: &FlexTensor, pack: impl Fn(&[f32]) -> T) -> Arc<T> {
    let pack = || Arc::new(pack(values(weight)));
    let source = weight.data_arc();
    // If the weights are a part of a larger buffer, another part can have the same allocation and shape.
    let is_part = source.len() != size_of_val(values(weight));
    if is_part || !IS_KEEPING.get() {
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
        let packing = Packing { channels, kernel: conv.kernel, method: Method::F32 };
        kept(packing, weight, |weight| conv.pack_forward(weight))
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
    fn a_pass_may_keep_nothing() {
        let conv = Conv2d::same(1, 1, 1, 3, 17, 1);
        let weight = tensor(vec![1.0; 51], Shape::from([17, 3]));
        let alone = without_keeping_weights(|| packed(&conv, &weight));
        let first = packed(&conv, &weight);
        assert!(!Arc::ptr_eq(&alone, &first));
        assert!(!Arc::ptr_eq(&first, &without_keeping_weights(|| packed(&conv, &weight))));
        assert!(Arc::ptr_eq(&first, &packed(&conv, &weight)));
    }

    #[test]
    fn other_shapes_of_the_same_values_are_packed_apart() {
        let weight = tensor(vec![1.0; 54], Shape::from([2, 3, 3, 3]));
        let first = packed(&Conv2d::same(1, 4, 4, 3, 2, 3), &weight);
        let second = packed(&Conv2d::same(1, 4, 4, 2, 3, 3), &weight);
        assert!(!Arc::ptr_eq(&first, &second));
    }
}
