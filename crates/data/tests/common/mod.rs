//! Small data sets in temporary folders.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;

use image::{GrayImage, ImageBuffer, Luma, Rgb};

/// Writes an 8-bit gray file; the ending of the name chooses the format.
pub(crate) fn gray8(path: &Path, width: u32, height: u32, value: impl Fn(u32, u32) -> u8) {
    create_parent(path);
    GrayImage::from_fn(width, height, |x, y| Luma([value(x, y)])).save(path).unwrap();
}

/// Writes a 16-bit gray file.
pub(crate) fn gray16(path: &Path, width: u32, height: u32, value: impl Fn(u32, u32) -> u16) {
    create_parent(path);
    ImageBuffer::<Luma<u16>, _>::from_fn(width, height, |x, y| Luma([value(x, y)])).save(path).unwrap();
}

/// Writes an 8-bit colour file.
pub(crate) fn colour8(path: &Path, width: u32, height: u32, value: impl Fn(u32, u32) -> [u8; 3]) {
    create_parent(path);
    ImageBuffer::<Rgb<u8>, _>::from_fn(width, height, |x, y| Rgb(value(x, y))).save(path).unwrap();
}

/// Writes text.
pub(crate) fn text(path: &Path, content: &str) {
    create_parent(path);
    std::fs::write(path, content).unwrap();
}

/// Makes `images/` and `masks/` with `count` pairs of 8 x 6 pixels named `a00`, `a01`, ...; the lesion is the upper left
/// quarter, 4 x 3 pixels.
pub(crate) fn folders(root: &Path, count: usize) {
    for index in 0..count {
        let name = format!("a{index:02}.png");
        gray8(&root.join("images").join(&name), 8, 6, |x, y| (x * 30 + y + index as u32) as u8);
        gray8(&root.join("masks").join(&name), 8, 6, |x, y| if x < 4 && y < 3 { 255 } else { 0 });
    }
}

fn create_parent(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
}
