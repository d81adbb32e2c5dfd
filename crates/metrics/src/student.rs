//! Student's t and the normal distribution: two-sided tail probabilities and their inverses, also for fractional degrees of freedom,
//! which Satterthwaite's approximation gives.

use std::f64::consts::SQRT_2;

/// How often the bracket of a quantile is halved: to 1e-15 of its width.
const HALVINGS: usize = 50;

/// The probability that the absolute value of Student's t with `degrees` degrees of freedom exceeds `t`, which is not negative.
#[must_use]
pub fn student_tails(t: f64, degrees: f64) -> f64 {
    incomplete_beta(degrees / (degrees + t * t), 0.5 * degrees, 0.5)
}

/// The value that the absolute value of Student's t exceeds with the probability `share`, between 0 and 1.
#[must_use]
pub fn student_quantile(share: f64, degrees: f64) -> f64 {
    invert(share, |t| student_tails(t, degrees))
}

/// The probability that the absolute value of a standard normal number exceeds `z`, which is not negative.
#[must_use]
pub fn normal_tails(z: f64) -> f64 {
    libm::erfc(z / SQRT_2)
}

/// The value that the absolute value of a standard normal number exceeds with the probability `share`, between 0 and 1.
#[must_use]
pub fn normal_quantile(share: f64) -> f64 {
    invert(share, normal_tails)
}

/// The point at which the falling function `tails` has the value `share`.
fn invert(share: f64, tails: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while tails(high) > share && high < f64::MAX {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if tails(middle) > share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function (DLMF 8.17.22, the continued fraction by the method of Lentz).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below the mean of the distribution; above it, the complement does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let log = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p();
    log.exp() * beta_fraction(x, a, b) / a
}

fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut product = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            change = d * c;
            product *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantiles_match_tables() {
        for (degrees, t) in [(1.0, 12.706_204_736), (4.0, 2.776_445_105), (9.0, 2.262_157_163), (30.0, 2.042_272_456)] {
            assert!((student_quantile(0.05, degrees) - t).abs() < 1e-8, "{degrees}");
            assert!((student_tails(t, degrees) - 0.05).abs() < 1e-10, "{degrees}");
        }
        assert!((normal_quantile(0.05) - 1.959_963_984_540_054).abs() < 1e-12);
        assert!((normal_tails(3.0) - 0.002_699_796_063_260_19).abs() < 1e-15);
        assert!((student_quantile(0.05, 1e7) - normal_quantile(0.05)).abs() < 1e-6);
        // Student's t with 1 degree is Cauchy's distribution.
        assert!((student_tails(1.0, 1.0) - 0.5).abs() < 1e-14);
        assert_eq!((student_tails(0.0, 3.0), student_quantile(1.0, 3.0) < 1e-7), (1.0, true));
    }
}
