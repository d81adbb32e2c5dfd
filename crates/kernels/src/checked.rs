//! Computes tensor lengths from sizes that can be wrong in the caller.

/// The number of values of a tensor with these dimensions.
///
/// The product of all dimensions that are not 0 is checked. So no later product of some of them, in any order, can overflow
/// `usize` or `isize`.
///
/// # Panics
/// When that product exceeds `isize::MAX`.
pub(crate) fn len<const N: usize>(tensor: &str, dimensions: [usize; N]) -> usize {
    let product = dimensions.iter().try_fold(1_usize, |product, &size| product.checked_mul(size.max(1)));
    let Some(product) = product.filter(|&product| isize::try_from(product).is_ok()) else {
        panic!("the {tensor} would have {dimensions:?} values, which are too many to address");
    };
    if dimensions.contains(&0) { 0 } else { product }
}

#[cfg(test)]
mod tests {
    use super::len;

    #[test]
    fn lengths_are_products() {
        assert_eq!(len("tensor", [2, 3, 5]), 30);
        assert_eq!(len("tensor", [isize::MAX as usize, 1]), isize::MAX as usize);
        assert_eq!(len("tensor", [usize::MAX >> 1, 0]), 0);
    }

    #[test]
    #[should_panic(expected = "the input would have [9223372036854775808, 1] values")]
    #[cfg(target_pointer_width = "64")]
    fn a_length_beyond_isize_is_refused() {
        len("input", [1 << 63, 1]);
    }

    #[test]
    #[should_panic(expected = "too many to address")]
    fn a_zero_does_not_hide_an_overflow() {
        len("input", [0, usize::MAX, 2]);
    }
}
