//! Nearest-neighbour upsampling and channel concatenation, channels last.

use crate::checked;
use crate::shared::{SharedMut, for_each_job};

/// Doubles height and width: every pixel of x `[batch, height, width, channels]` fills a 2x2 block of y. If a size is 0, there
/// is nothing to do.
///
/// # Panics
/// When a length does not match.
pub fn upsample(shape: [usize; 4], x: &[f32], y: &mut [f32]) {
    let [batch, height, width, channels] = shape;
    assert_eq!(x.len(), checked::len("input", shape), "length of the input");
    assert_eq!(y.len(), 4 * x.len(), "length of the output");
    if x.is_empty() {
        return;
    }
    let row = width * channels;
    let y = SharedMut::new(y);
    for_each_job(batch * height, 4 * x.len(), |i| {
        // SAFETY: each input row has its own two output rows.
        let (first, second) = unsafe { y.slice(4 * i * row, 4 * row) }.split_at_mut(2 * row);
        for (x, y) in x[i * row..(i + 1) * row].chunks_exact(channels).zip(first.chunks_exact_mut(2 * channels)) {
            y[..channels].copy_from_slice(x);
            y[channels..].copy_from_slice(x);
        }
        second.copy_from_slice(first);
    });
}

/// The gradient of [`upsample`]: every pixel of dx is the sum of a 2x2 block of dy. `shape` is the shape of dx. If a size is 0,
/// there is nothing to do.
///
/// # Panics
/// When a length does not match.
pub fn upsample_backward(shape: [usize; 4], dy: &[f32], dx: &mut [f32]) {
    let [batch, height, width, channels] = shape;
    assert_eq!(dx.len(), checked::len("input's gradient", shape), "length of the input's gradient");
    assert_eq!(dy.len(), 4 * dx.len(), "length of the output's gradient");
    if dx.is_empty() {
        return;
    }
    let row = width * channels;
    let dx = SharedMut::new(dx);
    for_each_job(batch * height, dy.len(), |i| {
        // SAFETY: each job has its own input row.
        let dx = unsafe { dx.slice(i * row, row) };
        let (first, second) = dy[4 * i * row..4 * (i + 1) * row].split_at(2 * row);
        let blocks = first.chunks_exact(2 * channels).zip(second.chunks_exact(2 * channels));
        for (dx, (first, second)) in dx.chunks_exact_mut(channels).zip(blocks) {
            let (a, b) = first.split_at(channels);
            let (c, d) = second.split_at(channels);
            for i in 0..channels {
                dx[i] = (a[i] + b[i]) + (c[i] + d[i]);
            }
        }
    });
}

/// Rows per job.
const ROWS: usize = 512;

/// Concatenates the channels of a `[rows, a_channels]` and of b `[rows, b_channels]`. The number of channels of a or b may be 0.
///
/// # Panics
/// When a length does not match.
pub fn concat(a: &[f32], a_channels: usize, b: &[f32], b_channels: usize, y: &mut [f32]) {
    let [rows, channels] = joined([a.len(), b.len()], [a_channels, b_channels], y.len());
    let y = SharedMut::new(y);
    for_each_job(rows.div_ceil(ROWS), rows * channels, |job| {
        let range = job * ROWS..rows.min((job + 1) * ROWS);
        // SAFETY: each job has its own rows.
        let y = unsafe { y.slice(range.start * channels, range.len() * channels) };
        for (row, y) in range.zip(y.chunks_exact_mut(channels)) {
            y[..a_channels].copy_from_slice(&a[row * a_channels..][..a_channels]);
            y[a_channels..].copy_from_slice(&b[row * b_channels..][..b_channels]);
        }
    });
}

/// The gradient of [`concat()`]: splits dy `[rows, a_channels + b_channels]`. The number of channels of da or db may be 0.
///
/// # Panics
/// When a length does not match.
pub fn split(dy: &[f32], da: &mut [f32], a_channels: usize, db: &mut [f32], b_channels: usize) {
    let [rows, channels] = joined([da.len(), db.len()], [a_channels, b_channels], dy.len());
    let (da, db) = (SharedMut::new(da), SharedMut::new(db));
    for_each_job(rows.div_ceil(ROWS), rows * channels, |job| {
        for row in job * ROWS..rows.min((job + 1) * ROWS) {
            let dy = &dy[row * channels..][..channels];
            // SAFETY: each job has its own rows of both outputs.
            unsafe {
                da.slice(row * a_channels, a_channels).copy_from_slice(&dy[..a_channels]);
                db.slice(row * b_channels, b_channels).copy_from_slice(&dy[a_channels..]);
            }
        }
    });
}

/// The numbers of rows and channels of the joined tensor, from the lengths of both tensors and of the joined one.
fn joined([a, b]: [usize; 2], [a_channels, b_channels]: [usize; 2], both: usize) -> [usize; 2] {
    let channels = a_channels.checked_add(b_channels).expect("too many channels to count");
    let rows = both.checked_div(channels).unwrap_or(0);
    assert_eq!(a, checked::len("first tensor", [rows, a_channels]), "length of the first tensor");
    assert_eq!(b, checked::len("second tensor", [rows, b_channels]), "length of the second tensor");
    assert_eq!(both, a + b, "length of the joined tensor");
    [rows, channels]
}
