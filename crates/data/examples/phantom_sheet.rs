//! Writes contact sheets of the phantom: `phantom_sheet OUT.png [OUT_SMALL.png]`.
//!
//! The first sheet shows slices at their native size; the second shows them reduced to 64 x 64 and enlarged three times.
//! Below each row of slices is the same row with the outline of the mask. Columns alternate between the two views of a
//! patient. Prints the mean contrast of the masses against a ring around them, at both sizes.

use std::error::Error;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use pig_data::phantom::{PhantomConfig, PhantomSlice, View, generate_slice};

const COLUMNS: usize = 6;
const ROWS: usize = 3;
const SMALL: u32 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = std::env::args().skip(1);
    let native = names.next().ok_or("usage: phantom_sheet OUT.png [OUT_SMALL.png]")?;
    let small = names.next();
    let config = PhantomConfig::default();
    let slices = (0..COLUMNS * ROWS)
        .map(|k| generate_slice(&config, k / 2, View::BOTH[k % 2]))
        .collect::<Result<Vec<_>, _>>()?;
    let pairs: Vec<_> = slices.iter().map(pair).collect();
    write_sheet(Path::new(&native), &pairs, 1)?;
    let reduced: Vec<_> = pairs.iter().map(|(image, mask)| (reduce(image), reduce(mask))).collect();
    if let Some(name) = small {
        write_sheet(Path::new(&name), &reduced, 3)?;
    }
    println!(
        "mean contrast against a ring, {} slices: {:.3} native, {:.3} at 64",
        pairs.len(),
        mean(&pairs, 4),
        mean(&reduced, 2)
    );
    Ok(())
}

type Pair = (GrayImage, GrayImage);

fn pair(slice: &PhantomSlice) -> Pair {
    let gray = |pixels: Vec<u8>| {
        let mut pixels = pixels.into_iter();
        GrayImage::from_fn(slice.width as u32, slice.height as u32, |_, _| Luma([pixels.next().unwrap_or(0)]))
    };
    // `from_fn` goes row by row, as the slice does.
    (gray(slice.image_u8()), gray(slice.mask_u8()))
}

/// Area average to 64 x 64.
fn reduce(image: &GrayImage) -> GrayImage {
    let (across, down) = (image.width() / SMALL, image.height() / SMALL);
    GrayImage::from_fn(SMALL, SMALL, |x, y| {
        let cells = (0..down).flat_map(|j| (0..across).map(move |i| (i, j)));
        let sum: u32 = cells.map(|(i, j)| u32::from(image.get_pixel(x * across + i, y * down + j)[0])).sum();
        Luma([((sum + across * down / 2) / (across * down)) as u8])
    })
}

fn inside(mask: &GrayImage, x: i64, y: i64) -> bool {
    let within = (0..i64::from(mask.width())).contains(&x) && (0..i64::from(mask.height())).contains(&y);
    within && mask.get_pixel(x as u32, y as u32)[0] >= 128
}

fn write_sheet(path: &Path, pairs: &[Pair], zoom: u32) -> Result<(), image::ImageError> {
    let (width, height) = (pairs[0].0.width() * zoom + 4, pairs[0].0.height() * zoom + 4);
    let mut sheet = RgbImage::from_pixel(COLUMNS as u32 * width, 2 * ROWS as u32 * height, Rgb([60, 60, 60]));
    for (k, (image, mask)) in pairs.iter().enumerate() {
        let (left, top) = ((k % COLUMNS) as u32 * width, 2 * (k / COLUMNS) as u32 * height);
        for y in 0..image.height() * zoom {
            for x in 0..image.width() * zoom {
                let grey = image.get_pixel(x / zoom, y / zoom)[0];
                let at = |dx: i64, dy: i64| {
                    inside(
                        mask,
                        (i64::from(x) + dx).div_euclid(i64::from(zoom)),
                        (i64::from(y) + dy).div_euclid(i64::from(zoom)),
                    )
                };
                let edge = at(0, 0) && !(at(-1, 0) && at(1, 0) && at(0, -1) && at(0, 1));
                sheet.put_pixel(left + x, top + y, Rgb([grey; 3]));
                sheet.put_pixel(left + x, top + height + y, if edge { Rgb([255, 60, 40]) } else { Rgb([grey; 3]) });
            }
        }
    }
    sheet.save(path)
}

/// Mean over slices of (mean in the mask) - (mean in a ring `gap + 1` to `3 gap` pixels outside), as a share of full range.
fn mean(pairs: &[Pair], gap: i64) -> f64 {
    let contrasts: Vec<f64> = pairs.iter().filter_map(|(image, mask)| contrast(image, mask, gap)).collect();
    contrasts.iter().sum::<f64>() / contrasts.len() as f64
}

fn contrast(image: &GrayImage, mask: &GrayImage, gap: i64) -> Option<f64> {
    let near = |x: i64, y: i64, reach: i64| {
        (-reach..=reach).any(|j| (-reach..=reach).any(|i| i * i + j * j <= reach * reach && inside(mask, x + i, y + j)))
    };
    let (mut core, mut ring) = ((0.0, 0.0), (0.0, 0.0));
    for (x, y, pixel) in image.enumerate_pixels() {
        let (x, y, grey) = (i64::from(x), i64::from(y), f64::from(pixel[0]) / 255.0);
        if inside(mask, x, y) {
            core = (core.0 + grey, core.1 + 1.0);
        } else if grey > 0.0 && near(x, y, 3 * gap) && !near(x, y, gap) {
            ring = (ring.0 + grey, ring.1 + 1.0);
        }
    }
    (core.1 > 0.0 && ring.1 > 0.0).then(|| core.0 / core.1 - ring.0 / ring.1)
}
