//! Parameters and the adaptive state of T.87 annex A.

use super::bits::Bits;

/// Parameters of a scan and the values derived from them (A.2.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) maxval: i32,
    pub(super) near: i32,
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
}

impl Parameters {
    pub(super) fn new(maxval: i32, near: i32, thresholds: [i32; 3], reset: i32) -> Self {
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bits_of = |values: i32| (values - 1).max(1).ilog2() + 1;
        let bpp = bits_of(maxval + 1).max(2);
        Self { maxval, near, thresholds, reset, range, qbpp: bits_of(range), limit: 2 * (bpp + bpp.max(8)) }
    }

    /// The region of a gradient, -4 to 4 (A.3.3).
    pub(super) fn region(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = gradient.abs();
        let region = if size <= self.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        region * gradient.signum()
    }

    /// Reconstructs a pixel from its prediction and a signed error (A.4.4, A.5.1).
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maxval + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maxval)
    }

    /// Reads a mapped error in the limited-length Golomb code (A.5.3).
    fn golomb(&self, bits: &mut Bits<'_>, k: u32, limit: u32) -> Result<i32, String> {
        let escape = limit.saturating_sub(self.qbpp + 1);
        let zeros = bits.zeros(escape)?;
        if zeros == escape {
            return Ok(bits.read(self.qbpp)? as i32 + 1);
        }
        let value = u64::from(zeros) << k | u64::from(bits.read(k)?);
        // Four times the widest range (2^16): a larger value cannot be the error of a pixel.
        if value > 1 << 18 {
            return Err(format!("a mapped prediction error of {value}, expected at most 262144"));
        }
        Ok(value as i32)
    }
}

/// The four counters of one context of the regular mode.
#[derive(Debug, Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// The counters of one context of the run interruption.
#[derive(Debug, Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
}

/// Everything that adapts within a scan.
#[derive(Debug)]
pub(super) struct State {
    pub(super) parameters: Parameters,
    regular: Vec<Context>,
    runs: [RunContext; 2],
}

/// Lengths of runs as powers of two (A.2.1).
pub(super) const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The Golomb parameter (A.5.1): the smallest k with n * 2^k >= a.
fn golomb_parameter(n: i32, a: i32) -> u32 {
    (0..31).find(|&k| i64::from(n) << k >= i64::from(a)).unwrap_or(31)
}

impl State {
    pub(super) fn new(parameters: Parameters) -> Self {
        let a = ((parameters.range + 32) / 64).max(2);
        Self {
            parameters,
            regular: vec![Context { a, b: 0, c: 0, n: 1 }; 365],
            runs: [RunContext { a, n: 1, negative: 0 }; 2],
        }
    }

    /// Decodes a pixel of the regular mode; `q` is the signed context (A.4 to A.6).
    pub(super) fn regular(&mut self, bits: &mut Bits<'_>, q: i32, ra: i32, rb: i32, rc: i32) -> Result<i32, String> {
        let parameters = self.parameters;
        let sign = if q < 0 { -1 } else { 1 };
        let context = &mut self.regular[q.unsigned_abs() as usize];
        let edge = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let predicted = (edge + sign * context.c).clamp(0, parameters.maxval);
        let k = golomb_parameter(context.n, context.a);
        let mapped = parameters.golomb(bits, k, parameters.limit)?;
        let even = mapped % 2 == 0;
        let error = if parameters.near == 0 && k == 0 && 2 * context.b <= -context.n {
            if even { -(mapped / 2) - 1 } else { mapped / 2 }
        } else if even {
            mapped / 2
        } else {
            -(mapped / 2) - 1
        };
        if error.abs() > parameters.range {
            return Err(format!("a prediction error of {error}, outside the range of {}", parameters.range));
        }
        context.update(error, &parameters);
        Ok(parameters.reconstruct(predicted, sign * error))
    }

    /// Decodes the pixel that ends a run (A.7.2). `kind` is RItype and `j` is J[RUNindex]: the code for the run length took
    /// `j` + 1 bits, and the length limit of this code is smaller by as many.
    pub(super) fn interruption(
        &mut self,
        bits: &mut Bits<'_>,
        kind: usize,
        j: u32,
        ra: i32,
        rb: i32,
    ) -> Result<i32, String> {
        let parameters = self.parameters;
        let context = &mut self.runs[kind];
        let extra = if kind == 1 { context.n >> 1 } else { 0 };
        let k = golomb_parameter(context.n, context.a.saturating_add(extra));
        let mapped = parameters.golomb(bits, k, parameters.limit.saturating_sub(j + 1))?;
        let folded = mapped + kind as i32;
        let odd = folded & 1;
        // Half of it, rounded up.
        let size = (folded >> 1) + odd;
        let negative = (k != 0 || 2 * context.negative >= context.n) == (odd == 1);
        let error = if negative { -size } else { size };
        if size > parameters.range {
            return Err(format!("a prediction error of {error}, outside the range of {}", parameters.range));
        }
        if error < 0 {
            context.negative += 1;
        }
        context.a = context.a.saturating_add((mapped + 1 - kind as i32) >> 1);
        if context.n == parameters.reset {
            context.a >>= 1;
            context.n >>= 1;
            context.negative >>= 1;
        }
        context.n += 1;
        let (predicted, sign) = match kind {
            1 => (ra, 1),
            _ => (rb, if ra > rb { -1 } else { 1 }),
        };
        Ok(parameters.reconstruct(predicted, sign * error))
    }
}

impl Context {
    /// Updates the counters (A.6).
    fn update(&mut self, error: i32, parameters: &Parameters) {
        self.b += error * (2 * parameters.near + 1);
        self.a = self.a.saturating_add(error.abs());
        if self.n == parameters.reset {
            self.a >>= 1;
            self.b = if self.b >= 0 { self.b >> 1 } else { -((1 - self.b) >> 1) };
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
    }
}
