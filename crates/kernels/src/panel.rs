//! Weights in the order in which the register tile reads them.
//!
//! Output channels are divided into strips of sixteen, and strips into groups of up to four. A group holds, for every tap and
//! every input channel, the weights of its output channels next to each other: `[group][tap][input channel][16 x strips]`; the
//! last strip is padded with zeros. If there are at most four output channels, they are stored as rows instead, `[output
//! channel][tap][input channels, padded to a multiple of 16]`, for the dot-product kernel.
//!
//! "Input channel" means a unit of 32 bits: one channel in `f32`, two neighbouring ones in `bf16`.

use crate::element::{Bf16, Element, per_unit};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::LANES;

/// The largest number of output channels for which vectors run along the input channels instead of the output channels.
pub(crate) const DOT_MAX: usize = 4;

/// Sixteen values that fill one cache line, so that vector loads never cross a line boundary.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

/// A buffer of zeros for at least `len` values, aligned to cache lines.
pub(crate) fn lines(len: usize) -> Vec<Line> {
    vec![Line([0.0; LANES]); len.div_ceil(LANES)]
}

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

/// Packed weights of `taps` taps from `in_units` units of input channels to `out_channels`.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) taps: usize,
    pub(crate) in_units: usize,
    pub(crate) out_channels: usize,
    data: Vec<Line>,
}

impl Packed {
    /// Packs weights: `taps_of(output channel, input channel)` gives the values of all taps.
    pub(crate) fn new<'w, E: Element>(
        taps: usize,
        in_channels: usize,
        out_channels: usize,
        taps_of: impl Fn(usize, usize) -> &'w [f32] + Sync,
    ) -> Self {
        let in_units = in_channels.div_ceil(per_unit::<E>());
        let mut packed = Self { taps, in_units, out_channels, data: Vec::new() };
        if in_units == 0 || out_channels == 0 {
            return packed;
        }
        // The values of one unit: `put` receives the tap and the unit.
        let units = |o: usize, unit: usize, put: &mut dyn FnMut(usize, f32)| {
            if !E::IS_PAIRED {
                taps_of(o, unit)[..taps].iter().enumerate().for_each(|(t, &w)| put(t, w));
                return;
            }
            let low = &taps_of(o, 2 * unit)[..taps];
            let high = (2 * unit + 1 < in_channels).then(|| &taps_of(o, 2 * unit + 1)[..taps]);
            for (t, &low) in low.iter().enumerate() {
                let half = |w: f32| u32::from(<Bf16 as Element>::from_f32(w).to_bits());
                put(t, f32::from_bits(half(low) | high.map_or(0, |high| half(high[t])) << 16));
            }
        };
        if packed.is_dot() {
            packed.fill_rows(units);
        } else {
            packed.fill_lines(|first, unit, out| {
                for lane in 0..LANES.min(out_channels - first) {
                    units(first + lane, unit, &mut |t, w| out[t].0[lane] = w);
                }
            });
        }
        packed
    }

    fn fill_rows(&mut self, units: impl Fn(usize, usize, &mut dyn FnMut(usize, f32))) {
        let padded = self.in_units.next_multiple_of(LANES);
        self.data = lines(self.out_channels * self.taps * padded);
        for o in 0..self.out_channels {
            for i in 0..self.in_units {
                units(o, i, &mut |t, w| {
                    let at = (o * self.taps + t) * padded + i;
                    self.data[at / LANES].0[at % LANES] = w;
                });
            }
        }
    }

    /// Packs lines of sixteen output channels: `line(first output channel, input channel, lines)` fills one line per tap; a line
    /// initially contains zeros.
    pub(crate) fn by_lines(
        taps: usize,
        in_units: usize,
        out_channels: usize,
        line: impl Fn(usize, usize, &mut [Line]) + Sync,
    ) -> Self {
        assert!(out_channels > DOT_MAX, "weights of at most {DOT_MAX} output channels are not stored as lines");
        let mut packed = Self { taps, in_units, out_channels, data: Vec::new() };
        packed.fill_lines(line);
        packed
    }

    fn fill_lines(&mut self, line: impl Fn(usize, usize, &mut [Line]) + Sync) {
        let (taps, in_units, out_channels) = (self.taps, self.in_units, self.out_channels);
        self.data = lines(out_channels.next_multiple_of(LANES) * taps * in_units);
        let groups = groups(out_channels);
        let data = SharedMut::new(&mut self.data);
        // Blocks of input channels keep the lines of the source and of the panel in the L1 cache.
        let blocks = in_units.div_ceil(LANES);
        for_each_job(groups.len() * blocks, taps * in_units * out_channels, |job| {
            let group = groups[job / blocks];
            let first = job % blocks * LANES;
            let mut out = vec![Line([0.0; LANES]); taps];
            for i in first..in_units.min(first + LANES) {
                for strip in 0..group.strips {
                    line(group.first + strip * LANES, i, &mut out);
                    for (t, line) in out.iter().enumerate() {
                        let at = group.first / LANES * taps * in_units + (t * in_units + i) * group.strips + strip;
                        // SAFETY: the line lies inside `data`, and jobs have distinct groups or input channels.
                        unsafe { *data.get().add(at) = *line };
                    }
                }
            }
        });
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
