//! Sums and ratios that several families of features use.

/// -sum p log2 p over all p above 0.
pub(super) fn entropy(shares: impl Iterator<Item = f64>) -> f64 {
    -shares.filter(|&p| p > 0.0).map(|p| p * p.log2()).sum::<f64>()
}

/// a / b, or 0 if b is 0.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
