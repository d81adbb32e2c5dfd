//! `images/`, `masks/` and a manifest, which `pig train` and `pig export` can read again.

use crate::error::Result;
use crate::job::Job;

/// Writes the pairs.
pub(crate) fn write(job: &mut Job<'_>) -> Result<()> {
    for index in 0..job.len() {
        let loaded = job.load(index, false)?;
        let pair = job.pair(index);
        let (image, mask) = (format!("images/{}.png", pair.stem), format!("masks/{}.png", pair.stem));
        job.staging.write(&image, &loaded.image_png(&pair.image)?)?;
        job.staging.write(&mask, &job.mask_png(index, &loaded, u8::MAX)?)?;
        job.record(index, &loaded, [&image, &mask], 1)?;
    }
    Ok(())
}
