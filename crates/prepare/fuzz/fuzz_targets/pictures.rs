//! A picture file, read as an image, as a mask and for its text chunks. The decoders belong to other projects; this target
//! tests the code that uses their results. So pictures with a large declared size are left to the tests of the limits.
#![no_main]

use pig_data::DataConfig;
use pig_data::png_file::read_png;
use pig_data::read::{count_mask_values, read_header, read_image, read_mask};
use pig_prepare_fuzz::put;

/// The most pixels that a picture's header may declare.
const PIXELS: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = put("picture.png", data);
    let Ok(header) = read_header(&path) else { return };
    if header.width * header.height > PIXELS {
        return;
    }
    for channels in [1, 3] {
        if let Ok(image) = read_image(&path, channels) {
            assert_eq!(image.data.len(), header.width * header.height * channels);
            assert!(image.data.iter().all(|&value| (0.0..=f32::from(image.maximum)).contains(&value)));
        }
    }
    if let Ok(mask) = read_mask(&path, &DataConfig::default()) {
        assert_eq!(mask.data.len(), header.width * header.height);
    }
    let _ = count_mask_values(&path);
    let _ = read_png(&path);
});
