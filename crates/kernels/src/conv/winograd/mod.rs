//! 3x3 convolutions with stride 1 by Winograd's minimal filtering F(4x4, 3x3), in `f32`.
//!
//! A tile of 6x6 inputs gives 4x4 outputs with 36 products of transformed values, instead of the 144 products of the direct sum
//! (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016). The transforms use the points 0, a, -a, b,
//! -b and infinity; a = 1/sqrt 2 and b = sqrt 2 lose less accuracy than the usual 1 and 2. Tiles are computed independently, so
//! results do not depend on the batch or on the number of threads.

mod gradient;
mod transform;

use super::Conv2d;
use crate::element::Element;
use crate::lines::{Line, lines};
use crate::panel::{Packed, Turn, groups};
use crate::reduce;
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use crate::tile::Rows;
use crate::{Extras, conv::run::check_extras};
use std::cell::Cell;
use std::ops::Range;
use transform::{IN, Image, OUT, POINTS, output_1d, weights_1d, write};

/// The size in bytes of the transformed values per job: they stay in the L2 cache.
const JOB_BYTES: usize = 512 << 10;

/// Transformed weights of one convolution for [`Conv2d::forward_winograd`].
#[derive(Debug)]
pub struct WinogradForward(Packed);

/// Transformed weights of one convolution for [`Conv2d::backward_data_winograd`].
#[derive(Debug)]
pub struct WinogradBackward(Packed);

impl Conv2d {
    /// Whether Winograd's method supports this shape and is faster than the direct passes: a 3x3 kernel, stride 1, output images
    /// with sides of at least 3 pixels, and enough channels.
    ///
    /// # Panics
    /// When the kernel is larger than the image with its padding.
    pub fn is_winograd(&self) -> bool {
        self.has_winograd() && self.out_height().min(self.out_width()) >= 3
    }

    /// Whether Winograd's method supports this convolution, for images of any size.
    fn has_winograd(&self) -> bool {
        self.kernel == 3
            && self.stride == 1
            && self.in_channels.min(self.out_channels) >= LANES
            && self.padding.iter().all(|&p| p <= 2)
    }

    /// Transforms `weights` `[out, in, 3, 3]` for [`forward_winograd`](Self::forward_winograd).
    ///
    /// # Panics
    /// When the length does not match, or [`is_winograd`](Self::is_winograd) does not hold.
    pub fn pack_forward_winograd(&self, level: Level, weights: &[f32]) -> WinogradForward {
        assert!(self.is_winograd(), "Winograd's method does not support this convolution");
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        WinogradForward(Packed::new::<f32, _>(level, self.weights(weights), &Turned::<false>))
    }

    /// Transforms `weights` `[out, in, 3, 3]` for [`backward_data_winograd`](Self::backward_data_winograd).
    ///
    /// # Panics
    /// When the length does not match, or [`is_winograd`](Self::is_winograd) does not hold.
    pub fn pack_backward_winograd(&self, level: Level, weights: &[f32]) -> WinogradBackward {
        assert!(self.is_winograd(), "Winograd's method does not support this convolution");
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        // The gradient of the input is a convolution with the kernel rotated by 180 degrees.
        WinogradBackward(Packed::new::<f32, _>(level, self.weights(weights).backward(), &Turned::<true>))
    }

    /// As [`forward_fused`](Self::forward_fused) with one input, with errors of about 1e-6 of the largest output.
    ///
    /// # Panics
    /// When a length does not match, the weights were transformed for other channels, or
    /// [`is_winograd`](Self::is_winograd) is false for another reason than the size of the images.
    pub fn forward_winograd<E: Element>(
        &self,
        level: Level,
        x: &[E],
        weights: &WinogradForward,
        extras: Extras<'_>,
        y: &mut [f32],
    ) {
        let packed = &weights.0;
        assert!(self.has_winograd(), "Winograd's method does not support this convolution");
        packed.check::<f32>(POINTS, self.in_channels, self.out_channels);
        assert_eq!(x.len(), self.input_len(), "length of the input");
        assert_eq!(y.len(), self.output_len(), "length of the output");
        check_extras(self, &extras);
        run(level, self.image(), x, packed, extras, y);
    }

    /// As [`backward_data`](Self::backward_data), with errors of about 1e-6 of the largest gradient.
    ///
    /// # Panics
    /// When a length does not match, the weights were transformed for other channels, or
    /// [`is_winograd`](Self::is_winograd) is false for another reason than the size of the images.
    pub fn backward_data_winograd(&self, level: Level, dy: &[f32], weights: &WinogradBackward, dx: &mut [f32]) {
        let packed = &weights.0;
        assert!(self.has_winograd(), "Winograd's method does not support this convolution");
        packed.check::<f32>(POINTS, self.out_channels, self.in_channels);
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dx.len(), self.input_len(), "length of the input's gradient");
        let image = Image {
            batch: self.batch,
            input: [self.out_height(), self.out_width()],
            output: [self.height, self.width],
            padding: [2 - self.padding[0], 2 - self.padding[2]],
        };
        run(level, image, dy, packed, Extras::default(), dx);
    }

    /// As [`backward_weights`](Self::backward_weights), with errors of about 1e-6 of the largest gradient.
    ///
    /// # Panics
    /// When a length does not match, or [`is_winograd`](Self::is_winograd) does not hold.
    pub fn backward_weights_winograd<E: Element>(
        &self,
        level: Level,
        x: &[E],
        dy: &[f32],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        assert!(self.is_winograd(), "Winograd's method does not support this convolution");
        assert_eq!(x.len(), self.input_len(), "length of the input");
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dw.len(), self.weight_len(), "length of the weights' gradient");
        gradient::weights(level, self, x, dy, dw);
        if let Some(db) = db {
            assert_eq!(db.len(), self.out_channels, "length of the bias's gradient");
            reduce::column_sums(level, dy, self.out_channels, db);
        }
    }

    /// The image sizes of the forward pass.
    fn image(&self) -> Image {
        Image {
            batch: self.batch,
            input: [self.height, self.width],
            output: [self.out_height(), self.out_width()],
            padding: [self.padding[0], self.padding[2]],
        }
    }
}

fn run<E: Element>(level: Level, image: Image, x: &[E], packed: &Packed, extras: Extras<'_>, y: &mut [f32]) {
    let tiles = image.batch * image.tiles()[0] * image.tiles()[1];
    if tiles == 0 {
        return;
    }
    let (ci, co) = (packed.in_units, packed.out_channels);
    let fits = JOB_BYTES / (4 * POINTS * (ci + co)) / 12 * 12;
    let fair = tiles.div_ceil(3 * rayon::current_num_threads()).next_multiple_of(12);
    let size = fits.max(12).min(fair);
    let y = SharedMut::new(y);
    for_each_job(tiles.div_ceil(size), POINTS * tiles * ci * co, |job| {
        let tiles = job * size..tiles.min((job + 1) * size);
        let mut scratch = SCRATCH.take();
        level.dispatch(Block { image, x, packed, extras, tiles, scratch: &mut scratch, y });
        SCRATCH.set(scratch);
    });
}

thread_local! {
    /// Buffers for transformed values, reused by later jobs: new memory would cost as much time as the products.
    static SCRATCH: Cell<[Vec<Line>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// The transformed weights, G g G^T, of a kernel or of one that is rotated by 180 degrees.
struct Turned<const ROTATED: bool>;

impl<const ROTATED: bool> Turn for Turned<ROTATED> {
    const TAPS: usize = POINTS;

    #[inline(always)]
    fn turn<S: Simd>(&self, s: S, weights: &[Line], mut store: impl FnMut(usize, S::V)) {
        let mut g = [s.splat(0.0); 9];
        for k in 0..9 {
            g[k] = s.read(&weights[if ROTATED { 8 - k } else { k }].0);
        }
        let first = weights_1d(s, [g[0], g[3], g[6]]);
        let second = weights_1d(s, [g[1], g[4], g[7]]);
        let third = weights_1d(s, [g[2], g[5], g[8]]);
        for r in 0..IN {
            let turned = weights_1d(s, [first[r], second[r], third[r]]);
            for c in 0..IN {
                store(r * IN + c, turned[c]);
            }
        }
    }
}

/// Processes a range of tiles: transforms the inputs, multiplies, and transforms back.
struct Block<'a, E> {
    image: Image,
    x: &'a [E],
    packed: &'a Packed,
    extras: Extras<'a>,
    tiles: Range<usize>,
    scratch: &'a mut [Vec<Line>; 2],
    y: SharedMut<'a, f32>,
}

impl<E: Element> Kernel for Block<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (count, ci, co) = (self.tiles.len(), self.packed.in_units, self.packed.out_channels);
        let [values, products] = self.scratch;
        let strips = co.div_ceil(LANES);
        for (buffer, len) in [(&mut *values, POINTS * count * ci), (&mut *products, POINTS * count * strips * LANES)] {
            if buffer.len() < len.div_ceil(LANES) {
                *buffer = lines(len);
            }
        }
        // SAFETY: `Line` is sixteen `f32` without gaps, and the buffer holds `POINTS * count * ci` of them.
        let values: &mut [f32] =
            unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), POINTS * count * ci) };
        for (row, tile) in self.tiles.clone().enumerate() {
            let corner = self.image.corner(tile);
            for first in (0..ci).step_by(LANES) {
                let lanes = LANES.min(ci - first);
                // The position of the last point is inside, so those of all other points are, too.
                assert!(((POINTS - 1) * count + row) * ci + first + lanes <= values.len());
                let start = values.as_mut_ptr().wrapping_add(row * ci + first);
                self.image.transform(s, self.x, ci, corner, first, |point, v| {
                    // SAFETY: as asserted.
                    unsafe { write(s, start.add(point * count * ci), v, lanes) };
                });
            }
        }
        multiply(s, self.packed, values, count, products);
        let out = Output { image: self.image, channels: co, extras: self.extras, y: self.y };
        for (row, tile) in self.tiles.enumerate() {
            let place = self.image.place(tile);
            for strip in 0..strips {
                let products = &products[row * strips + strip..];
                assert!((POINTS - 1) * count * strips < products.len());
                // SAFETY: as asserted, the line of the last point is inside, so all other lines are, too.
                let product = |point: usize| unsafe { s.load(products.as_ptr().add(point * count * strips).cast()) };
                out.transform(s, place, strip, product);
            }
        }
    }
}

/// The thirty-six products `[tiles, in] [in, out]`.
#[inline(always)]
fn multiply<S: Simd>(s: S, packed: &Packed, values: &[f32], count: usize, products: &mut [Line]) {
    let (ci, strips) = (packed.in_units, packed.out_channels.div_ceil(LANES));
    let groups = groups(packed.out_channels);
    for point in 0..POINTS {
        let x = &values[point * count * ci..(point + 1) * count * ci];
        let y = &mut products[point * count * strips..(point + 1) * count * strips];
        Rows { x, packed, tap: point, groups: &groups, y }.run(s);
    }
}

/// The destination of the outputs.
struct Output<'a> {
    image: Image,
    channels: usize,
    extras: Extras<'a>,
    y: SharedMut<'a, f32>,
}

impl Output<'_> {
    /// A^T m A of one tile and one strip of channels, stored with the extras added.
    #[inline(always)]
    fn transform<S: Simd>(&self, s: S, place: [usize; 3], strip: usize, product: impl Fn(usize) -> S::V) {
        let [sample, row, column] = place;
        let [height, width] = self.image.output;
        // Without loops, because arrays that are indexed in loops would be in memory and not in registers.
        macro_rules! column {
            ($c:literal) => {
                output_1d(
                    s,
                    [
                        product($c),
                        product(IN + $c),
                        product(2 * IN + $c),
                        product(3 * IN + $c),
                        product(4 * IN + $c),
                        product(5 * IN + $c),
                    ],
                )
            };
        }
        let columns = [column!(0), column!(1), column!(2), column!(3), column!(4), column!(5)];
        macro_rules! row {
            ($r:literal) => {
                output_1d(
                    s,
                    [columns[0][$r], columns[1][$r], columns[2][$r], columns[3][$r], columns[4][$r], columns[5][$r]],
                )
            };
        }
        let rows = [row!(0), row!(1), row!(2), row!(3)];
        let first = strip * LANES;
        let last = self.channels.min(first + LANES);
        let mut shift = s.splat(0.0);
        if let Some(bias) = self.extras.bias {
            shift = s.read(&bias[first..last]);
        }
        if let Some(bias) = self.extras.sample_bias {
            shift = s.add(shift, s.read(&bias[sample * self.channels..][first..last]));
        }
        let corner = ((sample * height + row) * width + column) * self.channels + first;
        if row + OUT <= height && column + OUT <= width && last - first == LANES {
            let farthest = corner + (OUT - 1) * (width + 1) * self.channels + LANES;
            let residual = self.extras.residual.map(|residual| {
                assert!(farthest <= residual.len(), "tile outside the residual");
                residual.as_ptr()
            });
            for r in 0..OUT {
                for c in 0..OUT {
                    let at = corner + (r * width + c) * self.channels;
                    let mut v = s.add(rows[r][c], shift);
                    if let Some(residual) = residual {
                        // SAFETY: the last pixel is inside, as asserted.
                        v = s.add(v, unsafe { s.load(residual.add(at)) });
                    }
                    // SAFETY: the tile lies inside the output, whose length was checked, and belongs only to this job.
                    unsafe { s.store(self.y.get().add(at), v) };
                }
            }
            return;
        }
        for r in 0..OUT.min(height - row) {
            for c in 0..OUT.min(width - column) {
                let at = corner + (r * width + c) * self.channels;
                let mut v = s.add(rows[r][c], shift);
                if let Some(residual) = self.extras.residual {
                    v = s.add(v, s.read(&residual[at..at + last - first]));
                }
                // SAFETY: the pixel lies inside the output, whose length was checked, and belongs only to this tile.
                s.write(unsafe { self.y.slice(at, last - first) }, v);
            }
        }
    }
}
