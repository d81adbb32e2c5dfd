//! Numbers as text with a fixed number of decimals, and p-values. A value that rounds to zero has no minus sign: rounding errors leave values such as
//! -1e-12 where the true value is 0.

/// The value with `decimals` decimals.
#[must_use]
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if is_zero(digits) => digits.to_owned(),
        _ => text,
    }
}

/// The value with its sign and `decimals` decimals; zero has a plus sign.
#[must_use]
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if text.starts_with('-') || value.is_nan() { text } else { format!("+{text}") }
}

/// A p-value with four decimals, or with `<` and the bound if it is smaller than what can be shown.
#[must_use]
pub fn p_text(p: f64, is_bound: bool) -> String {
    const LEAST: f64 = 0.0001;
    match (is_bound, p < LEAST) {
        (_, true) => format!("< {LEAST:.4}"),
        (true, false) => format!("< {p:.4}"),
        (false, false) => format!("{p:.4}"),
    }
}

fn is_zero(digits: &str) -> bool {
    digits.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_no_minus_sign() {
        for (value, plain, with_sign) in [
            (-1e-9, "0.0000", "+0.0000"),
            (-0.0, "0.0000", "+0.0000"),
            (0.0, "0.0000", "+0.0000"),
            (-0.00005, "-0.0001", "-0.0001"),
            (-0.00004, "0.0000", "+0.0000"),
            (-6.17, "-6.1700", "-6.1700"),
            (2.5, "2.5000", "+2.5000"),
            (f64::INFINITY, "inf", "+inf"),
            (f64::NEG_INFINITY, "-inf", "-inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!((fixed(value, 4).as_str(), signed(value, 4).as_str()), (plain, with_sign));
        }
        assert_eq!((p_text(0.2, false).as_str(), p_text(1e-7, false).as_str()), ("0.2000", "< 0.0001"));
        assert_eq!((p_text(0.001, true).as_str(), p_text(0.0001, true).as_str()), ("< 0.0010", "< 0.0001"));
        assert_eq!((fixed(-0.4, 0).as_str(), fixed(-0.6, 0).as_str()), ("0", "-1"));
    }
}
