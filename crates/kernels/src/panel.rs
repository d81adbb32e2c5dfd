//! Weights in the order in which the register tile reads them.
//!
//! Output channels are divided into strips of sixteen, and strips into groups of up to four. A group holds, for every tap and
//! every input channel, the weights of its output channels next to each other: `[group][tap][input channel][16 x strips]`; the
//! last strip is padded with zeros. If there are at most four output channels, they are stored as rows instead, `[output
//! channel][tap][input channels, padded to a multiple of 16]`, for the dot-product kernel.
//!
//! "Input channel" means a unit of 32 bits: one channel in `f32`, two neighbouring ones in `bf16`.

use crate::element::{Bf16, Element, per_unit};
use crate::lines::{Line, Lines};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use crate::transpose;
use std::marker::PhantomData;
use std::ops::Range;

/// The largest number of output channels for which vectors run along the input channels instead of the output channels.
pub(crate) const DOT_MAX: usize = 4;

/// One group of strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The first output channel.
    pub(crate) first: usize,
    /// The number of strips of sixteen channels, 1 to 4.
    pub(crate) strips: usize,
}

/// Groups of four strips. If five strips remain, they become groups of three and two, because a single strip uses the fewest
/// registers.
pub(crate) fn groups(out_channels: usize) -> Vec<Group> {
    let mut left = out_channels.div_ceil(LANES);
    let mut first = 0;
    let mut groups = Vec::new();
    while left > 0 {
        let strips = match left {
            5 => 3,
            n => n.min(4),
        };
        groups.push(Group { first, strips });
        first += strips * LANES;
        left -= strips;
    }
    groups
}

/// The weights of a layer before they are packed: those between output channel o and input channel i begin at `o out_step + i in_step`.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) values: &'a [f32],
    /// The number of weights between two channels, at most 9.
    pub(crate) taps: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) in_step: usize,
    pub(crate) out_step: usize,
}

/// The largest number of weights between two channels.
const MAX_WEIGHTS: usize = 9;

impl<'a> Weights<'a> {
    /// Weights `[out, in, taps]`.
    pub(crate) fn forward(values: &'a [f32], taps: usize, in_channels: usize, out_channels: usize) -> Self {
        Self { values, taps, in_channels, out_channels, in_step: taps, out_step: in_channels * taps }
    }

    /// The same weights for the gradient of the input, whose channels are the output channels there.
    pub(crate) fn backward(self) -> Self {
        Self {
            in_channels: self.out_channels,
            out_channels: self.in_channels,
            in_step: self.out_step,
            out_step: self.in_step,
            ..self
        }
    }

    /// Lines of `lanes` output channels from `first` on, for each of these input channels and each tap.
    #[inline(always)]
    fn read<S: Simd>(&self, s: S, first: usize, lanes: usize, channels: Range<usize>, lines: &mut [Line]) {
        let Self { values, taps, in_step, out_step, .. } = *self;
        let start = first * out_step + channels.start * in_step;
        let last = start + (lanes - 1) * out_step + (channels.len() - 1) * in_step + taps;
        assert!(lanes <= LANES && last <= values.len(), "channels outside the weights");
        let from = values.as_ptr().wrapping_add(start);
        let lines = &mut lines[..channels.len() * taps];
        // SAFETY: as asserted, the last weight is inside, so all others are, too.
        unsafe {
            if in_step == taps {
                return transpose::from_rows(s, from, out_step, lanes, lines);
            }
            for (channel, lines) in lines.chunks_mut(taps).enumerate() {
                let from = from.add(channel * in_step);
                if out_step == 1 && taps == 1 {
                    s.write(&mut lines[0].0, s.load_partial(from, lanes));
                } else {
                    transpose::from_rows(s, from, out_step, lanes, lines);
                }
            }
        }
    }
}

/// What is stored of the weights between two channels.
pub(crate) trait Turn: Sync {
    /// The number of stored values.
    const TAPS: usize;

    /// Makes them from the weights of sixteen output channels: `store` receives each value.
    fn turn<S: Simd>(&self, s: S, weights: &[Line], store: impl FnMut(usize, S::V));
}

/// The weights as they are.
pub(crate) struct Plain<const TAPS: usize>;

impl<const TAPS: usize> Turn for Plain<TAPS> {
    const TAPS: usize = TAPS;

    #[inline(always)]
    fn turn<S: Simd>(&self, s: S, weights: &[Line], mut store: impl FnMut(usize, S::V)) {
        for (tap, line) in weights[..TAPS].iter().enumerate() {
            store(tap, s.read(&line.0));
        }
    }
}

/// Packed weights of `taps` taps from `in_units` units of input channels to `out_channels`.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) taps: usize,
    pub(crate) in_units: usize,
    pub(crate) out_channels: usize,
    data: Lines,
}

impl Packed {
    /// Packs what `turn` makes of the weights.
    pub(crate) fn new<E: Element, T: Turn>(level: Level, weights: Weights<'_>, turn: &T) -> Self {
        assert!((1..=MAX_WEIGHTS).contains(&weights.taps), "at most {MAX_WEIGHTS} weights between two channels");
        let (taps, out_channels) = (T::TAPS, weights.out_channels);
        let in_units = weights.in_channels.div_ceil(per_unit::<E>());
        if in_units == 0 || out_channels == 0 {
            return Self { taps, in_units, out_channels, data: Lines::new(0) };
        }
        let is_dot = out_channels <= DOT_MAX;
        let (lanes, units) = if is_dot {
            (out_channels, in_units.next_multiple_of(LANES))
        } else {
            (out_channels.next_multiple_of(LANES), in_units)
        };
        let mut data = Lines::new(lanes * taps * units);
        if is_dot {
            data.fill(Line::ZERO);
        }
        let groups = groups(out_channels);
        // Blocks of sixteen input channels keep the lines of the source and of the panel in the L1 cache.
        let block = LANES / per_unit::<E>();
        let blocks = in_units.div_ceil(block);
        let shared = SharedMut::new(&mut data);
        for_each_job(groups.len() * blocks, taps * in_units * out_channels, |job| {
            let (group, first) = (groups[job / blocks], job % blocks * block);
            let units = first..in_units.min(first + block);
            level.dispatch(Fill { weights, turn, group, units, in_units, to: shared, element: PhantomData::<E> });
        });
        Self { taps, in_units, out_channels, data }
    }

    /// The same weights in memory that they fill, and that no later operation waits for.
    pub(crate) fn kept(self) -> Self {
        Self { data: self.data.kept(), ..self }
    }

    /// Panics unless the weights were packed for these taps and channels.
    pub(crate) fn check<E: Element>(&self, taps: usize, in_channels: usize, out_channels: usize) {
        assert_eq!(
            (self.taps, self.in_units, self.out_channels),
            (taps, in_channels.div_ceil(per_unit::<E>()), out_channels),
            "weights were packed for other taps or channels"
        );
    }

    /// Whether the weights are stored as rows for the dot-product kernel.
    pub(crate) fn is_dot(&self) -> bool {
        self.out_channels <= DOT_MAX
    }

    /// The packed values.
    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr().cast()
    }

    /// The offset of the weights of a group.
    pub(crate) fn group_offset(&self, group: Group) -> usize {
        group.first * self.taps * self.in_units
    }
}

/// Packs some input channels of a group.
struct Fill<'a, T, E> {
    weights: Weights<'a>,
    turn: &'a T,
    group: Group,
    /// The units of up to sixteen input channels, of so many units.
    units: Range<usize>,
    in_units: usize,
    to: SharedMut<'a, Line>,
    element: PhantomData<E>,
}

impl<T: Turn, E: Element> Kernel for Fill<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { weights, group, .. } = self;
        let channels = weights.in_channels.min(per_unit::<E>() * self.units.start)
            ..weights.in_channels.min(per_unit::<E>() * self.units.end);
        let mut lines = [Line::ZERO; LANES * MAX_WEIGHTS];
        for strip in 0..group.strips {
            let first = group.first + strip * LANES;
            let lanes = LANES.min(weights.out_channels - first);
            weights.read(s, first, lanes, channels.clone(), &mut lines);
            let of_channel = |channel: usize| &lines[channel * weights.taps..][..weights.taps];
            for (index, unit) in self.units.clone().enumerate() {
                if !E::IS_PAIRED {
                    self.turn.turn(s, of_channel(index), |tap, v| self.put(s, strip, unit, tap, v));
                    continue;
                }
                let (mut low, mut high) = ([Line::ZERO; 2 * LANES], [Line::ZERO; 2 * LANES]);
                self.turn.turn(s, of_channel(2 * index), |tap, v| s.write(&mut low[tap].0, v));
                if 2 * index + 1 < channels.len() {
                    self.turn.turn(s, of_channel(2 * index + 1), |tap, v| s.write(&mut high[tap].0, v));
                }
                for tap in 0..T::TAPS {
                    let mut pairs = Line::ZERO;
                    for lane in 0..LANES {
                        let bits = rounded(low[tap].0[lane]) | rounded(high[tap].0[lane]) << 16;
                        pairs.0[lane] = f32::from_bits(bits);
                    }
                    self.put(s, strip, unit, tap, s.read(&pairs.0));
                }
            }
        }
    }
}

/// The bits of the nearest `bf16`.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    u32::from(<Bf16 as Element>::from_f32(x).to_bits())
}

impl<T: Turn, E> Fill<'_, T, E> {
    /// Stores the values of a tap and of a unit for a strip of output channels.
    #[inline(always)]
    fn put<S: Simd>(&self, s: S, strip: usize, unit: usize, tap: usize, v: S::V) {
        let (Group { first, strips }, in_units) = (self.group, self.in_units);
        let to = self.to.get().cast::<f32>();
        if self.weights.out_channels <= DOT_MAX {
            let padded = in_units.next_multiple_of(LANES);
            for (o, value) in s.to_array(v).into_iter().enumerate().take(self.weights.out_channels) {
                // SAFETY: the value lies inside the buffer, and jobs have distinct input channels.
                unsafe { *to.add((o * T::TAPS + tap) * padded + unit) = value };
            }
            return;
        }
        let at = first / LANES * T::TAPS * in_units + (tap * in_units + unit) * strips + strip;
        // SAFETY: the line lies inside the buffer, and jobs have distinct groups or input channels.
        unsafe { s.store(to.add(at * LANES), v) };
    }
}
