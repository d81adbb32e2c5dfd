//! Numbers above 0, such as factors and times.

/// A factor above 0.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err(format!("{text:?} is not a number above 0, such as 0.01")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_above_zero() {
        assert_eq!(factor("0.01"), Ok(0.01));
        for wrong in ["0", "-1", "nan", "inf", "1%"] {
            assert!(factor(wrong).is_err(), "{wrong:?}");
        }
    }
}
