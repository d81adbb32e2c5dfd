//! Weights packed for the kernels, kept from one forward pass to the next.
//!
//! A sampling runs the same weights hundreds of times; packing them takes a tenth of a small image's forward pass. While
//! training they change with every step, so only passes without gradients keep them.

use super::buffer::values;
use burn::{backend::flex::FlexTensor, tensor::Bytes};
use pig_kernels::{Conv2d, ForwardWeights};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// What is packed, and from what.
struct Entry {
    /// Dead as soon as the weights are dropped or written to: a sole owner that writes moves the values to an allocation
    /// of its own, because this reference exists.
    source: Weak<Bytes>,
    /// Out, in, kernel.
    shape: [usize; 3],
    packed: Arc<ForwardWeights>,
}

/// By the address of the weights' shared allocation, which stays taken as long as the entry refers to it.
static ENTRIES: Mutex<Option<HashMap<usize, Entry>>> = Mutex::new(None);

/// `weight` packed for the forward pass of `conv`.
pub(super) fn forward_weights(conv: &Conv2d, weight: &FlexTensor) -> Arc<ForwardWeights> {
    let pack = || Arc::new(conv.pack_forward(values(weight)));
    let source = weight.data_arc();
    if source.len() != size_of_val(values(weight)) {
        // A part of a larger buffer: another part may have the same allocation and shape.
        return pack();
    }
    let key = Arc::as_ptr(&source).addr();
    let shape = [conv.out_channels, conv.in_channels, conv.kernel];
    let find = |entries: &HashMap<usize, Entry>| {
        let entry = entries.get(&key).filter(|entry| entry.shape == shape && entry.source.strong_count() > 0)?;
        Some(entry.packed.clone())
    };
    if let Some(packed) = with_entries(|entries| find(entries)) {
        return packed;
    }
    let packed = pack();
    let entry = Entry { source: Arc::downgrade(&source), shape, packed: packed.clone() };
    with_entries(|entries| {
        entries.retain(|_, entry| entry.source.strong_count() > 0);
        entries.insert(key, entry);
    });
    packed
}

fn with_entries<T>(f: impl FnOnce(&mut HashMap<usize, Entry>) -> T) -> T {
    // The map is whole after every statement, so a panic elsewhere leaves nothing to repair.
    f(ENTRIES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

#[cfg(test)]
mod tests {
    use super::{super::buffer::tensor, *};
    use burn::tensor::Shape;

    #[test]
    fn weights_are_packed_again_when_they_change() {
        let conv = Conv2d::same(1, 1, 1, 3, 17, 1);
        let mut weight = tensor(vec![1.0; 51], Shape::from([17, 3]));
        let first = forward_weights(&conv, &weight);
        assert!(Arc::ptr_eq(&first, &forward_weights(&conv, &weight.clone())));

        weight.storage_mut::<f32>()[0] = 2.0;
        let second = forward_weights(&conv, &weight);
        assert!(!Arc::ptr_eq(&first, &second));
        let mut y = vec![0.0; 17];
        conv.forward(pig_kernels::Level::best(), &[1.0; 3], &second, None, &mut y);
        assert_eq!(y[..2], [4.0, 3.0]);
    }

    #[test]
    fn other_shapes_of_the_same_values_are_packed_apart() {
        let weight = tensor(vec![1.0; 54], Shape::from([2, 3, 3, 3]));
        let first = forward_weights(&Conv2d::same(1, 4, 4, 3, 2, 3), &weight);
        let second = forward_weights(&Conv2d::same(1, 4, 4, 2, 3, 3), &weight);
        assert!(!Arc::ptr_eq(&first, &second));
    }
}
