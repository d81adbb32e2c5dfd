//! The files that prepared sets, splits and keys are read from. The first byte chooses which file it is.
#![no_main]

use std::sync::Once;

use pig_data::classes::Coding;
use pig_data::{DataConfig, Dataset, Splits};
use pig_prepare::Key;
use pig_prepare::prepared_folder::{read_description, transforms};
use pig_prepare_fuzz::{folder, picture, put};

static PAIRS: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    PAIRS.call_once(|| {
        for name in ["set/images/a.png", "set/masks/a.png"] {
            picture(name, 255);
        }
    });
    let Some((&choice, file)) = data.split_first() else { return };
    let set = folder().join("set");
    match choice % 4 {
        0 => {
            put("set/manifest.csv", file);
            if let Ok(transforms) = transforms(&set) {
                for transform in transforms.values() {
                    let _ = (transform.to_millimetres([0.5, 0.5]), transform.prepared_spacing());
                    let pixels = |[height, width]: [usize; 2]| height.saturating_mul(width);
                    if pixels(transform.prepared).max(pixels(transform.source)) < 1 << 16 {
                        let mask = transform.restore_mask(&vec![1; pixels(transform.prepared)], Coding::exclusive(1));
                        assert_eq!(mask.len(), pixels(transform.source));
                    }
                }
            }
            if let Ok(dataset) = Dataset::discover(&set, &DataConfig::default()) {
                assert!(!dataset.is_empty());
                assert!(dataset.pairs.iter().all(|pair| pair.image.starts_with(&set) && pair.mask.as_ref().is_some_and(|mask| mask.paths().all(|path| path.starts_with(&set)))));
            }
        }
        1 => {
            put("set/dataset.toml", file);
            let _ = read_description(&set);
        }
        2 => {
            let _ = Splits::load(&put("splits.json", file));
        }
        _ => {
            let _ = Key::read(&put("key", file));
        }
    }
});
