//! Sums and ratios that several families of features share.

/// -sum p log2 p over the p above 0.
pub(super) fn entropy(shares: impl Iterator<Item = f64>) -> f64 {
    -shares.filter(|&p| p > 0.0).map(|p| p * p.log2()).sum::<f64>()
}

/// a / b, or 0 where b is 0.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
