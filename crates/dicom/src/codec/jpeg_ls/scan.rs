//! The pixels of one scan, line by line (T.87 annexes A and B).

use super::bits::Bits;
use super::context::{J, Parameters, State};

/// Receives the decoded values, interleaved by pixel.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) values: &'a mut [u16],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) samples: usize,
}

/// Two lines of one component, with a border at both ends.
#[derive(Debug)]
struct Lines {
    above: Vec<i32>,
    line: Vec<i32>,
    /// RUNindex.
    run: usize,
}

impl Lines {
    fn new(columns: usize) -> Self {
        Self { above: vec![0; columns + 2], line: vec![0; columns + 2], run: 0 }
    }

    /// Moves to the next line. The left border of the new line gets the value of the pixel above its first pixel; for the line
    /// after, that border is the upper left corner (A.2.1 figure A.1: for the first pixel of a line, Ra is Rb, and Rc is the Ra
    /// of the line above).
    fn advance(&mut self) {
        std::mem::swap(&mut self.above, &mut self.line);
        let last = self.above.len() - 1;
        self.above[last] = self.above[last - 1];
        self.line[0] = self.above[1];
    }

    /// The signed context of a pixel (A.3); 0 if a run may begin there.
    fn context(&self, x: usize, parameters: &Parameters) -> i32 {
        let (ra, rb, rc, rd) = self.around(x);
        let q = (parameters.region(rd - rb) * 9 + parameters.region(rb - rc)) * 9 + parameters.region(rc - ra);
        debug_assert!(q.abs() < 365);
        q
    }

    fn around(&self, x: usize) -> (i32, i32, i32, i32) {
        (self.line[x - 1], self.above[x], self.above[x - 1], self.above[x + 1])
    }
}

/// Decodes the components `indices` of an image; returns the number of bytes used. `interleave` is ILV.
pub(super) fn decode(
    data: &[u8],
    image: &mut Image<'_>,
    indices: &[usize],
    interleave: u8,
    parameters: Parameters,
) -> Result<usize, String> {
    let mut bits = Bits::new(data);
    let mut state = State::new(parameters);
    let together = match (interleave, indices.len()) {
        (0 | 2, 1) | (1, _) => false,
        (2, _) => true,
        (0, count) => return Err(format!("{count} components in a scan without interleaving, expected 1")),
        (other, _) => return Err(format!("interleave mode {other}, expected 0, 1 or 2")),
    };
    let mut components: Vec<Lines> = indices.iter().map(|_| Lines::new(image.columns)).collect();
    for row in 0..image.rows {
        components.iter_mut().for_each(Lines::advance);
        if together {
            line_of_pixels(&mut bits, &mut state, &mut components, image.columns)?;
        } else {
            for lines in &mut components {
                line(&mut bits, &mut state, lines, image.columns)?;
            }
        }
        let target = &mut image.values[row * image.columns * image.samples..][..image.columns * image.samples];
        for (lines, &index) in components.iter().zip(indices) {
            let places = target.iter_mut().skip(index).step_by(image.samples);
            places.zip(&lines.line[1..]).for_each(|(place, &value)| *place = value as u16);
        }
    }
    Ok(bits.position())
}

/// Reads the length of a run of at most `left` pixels (A.7.1); `true` if a pixel interrupts it.
fn run(bits: &mut Bits<'_>, index: &mut usize, left: usize) -> Result<(usize, bool), String> {
    let mut length = 0;
    while length < left {
        if bits.read(1)? == 0 {
            let rest = bits.read(J[*index])? as usize;
            if rest >= left - length {
                return Err(format!(
                    "an interrupted run of {} pixels, expected fewer than the {left} left in the line",
                    length + rest
                ));
            }
            return Ok((length + rest, true));
        }
        let full = 1 << J[*index];
        if full <= left - length {
            *index = (*index + 1).min(31);
        }
        length += full.min(left - length);
    }
    Ok((length, false))
}

/// Decodes one line of one component.
fn line(bits: &mut Bits<'_>, state: &mut State, lines: &mut Lines, columns: usize) -> Result<(), String> {
    let mut x = 1;
    while x <= columns {
        let q = lines.context(x, &state.parameters);
        if q != 0 {
            let (ra, rb, rc, _) = lines.around(x);
            lines.line[x] = state.regular(bits, q, ra, rb, rc)?;
            x += 1;
            continue;
        }
        let (length, interrupted) = run(bits, &mut lines.run, columns + 1 - x)?;
        let value = lines.line[x - 1];
        lines.line[x..x + length].fill(value);
        x += length;
        if interrupted {
            let (ra, rb) = (lines.line[x - 1], lines.above[x]);
            let kind = usize::from((ra - rb).abs() <= state.parameters.near);
            lines.line[x] = state.interruption(bits, kind, J[lines.run], ra, rb)?;
            lines.run = lines.run.saturating_sub(1);
            x += 1;
        }
    }
    Ok(())
}

/// Decodes one line of components that are interleaved by pixel (B.2.3): a run covers all components, and its interruption
/// is always predicted from the pixel above.
fn line_of_pixels(
    bits: &mut Bits<'_>,
    state: &mut State,
    components: &mut [Lines],
    columns: usize,
) -> Result<(), String> {
    let mut x = 1;
    while x <= columns {
        let contexts = components.iter().map(|lines| lines.context(x, &state.parameters));
        let mut q = [0; 4];
        q.iter_mut().zip(contexts).for_each(|(place, context)| *place = context);
        if q.iter().any(|&context| context != 0) {
            for (lines, context) in components.iter_mut().zip(q) {
                let (ra, rb, rc, _) = lines.around(x);
                lines.line[x] = state.regular(bits, context, ra, rb, rc)?;
            }
            x += 1;
            continue;
        }
        let mut index = components[0].run;
        let (length, interrupted) = run(bits, &mut index, columns + 1 - x)?;
        for lines in components.iter_mut() {
            let value = lines.line[x - 1];
            lines.line[x..x + length].fill(value);
        }
        x += length;
        if interrupted {
            for lines in components.iter_mut() {
                let (ra, rb) = (lines.line[x - 1], lines.above[x]);
                lines.line[x] = state.interruption(bits, 0, J[index], ra, rb)?;
            }
            index = index.saturating_sub(1);
            x += 1;
        }
        components[0].run = index;
    }
    Ok(())
}
