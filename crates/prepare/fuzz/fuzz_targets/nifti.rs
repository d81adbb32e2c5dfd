//! A NIfTI file, read as an image and as its own mask. The first byte chooses the axis, and whether the file is compressed.
#![no_main]

use std::io::Write;

use pig_prepare::sources::nifti::NiftiVolume;
use pig_prepare_fuzz::{BYTES, exercise, folder, put};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, file)) = data.split_first() else { return };
    let axis = usize::from(choice % 3);
    let file = if choice & 16 != 0 && choice & 32 == 0 {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(file).and_then(|()| encoder.finish()).unwrap_or_default()
    } else {
        file.to_vec()
    };
    let path = put("nifti/images/a.nii", &file);
    if let Ok(volume) = NiftiVolume::open(&path, axis, BYTES) {
        let [height, width] = volume.size();
        let _ = format!("{:?} {:?}", volume.geometry(), volume.stored_range());
        for index in [0, volume.slices() / 2, volume.slices() - 1] {
            // The length of the file was checked against the header, so every slice can be read.
            let values = volume.slice(index).expect("a slice");
            assert_eq!(values.len(), height * width);
            assert!(values.iter().all(|value| value.is_finite()));
        }
    }
    if choice & 64 != 0 {
        put("nifti/masks/a.nii", &file);
        exercise(&folder().join("nifti"), pig_prepare::Layout::Generic);
    }
});
