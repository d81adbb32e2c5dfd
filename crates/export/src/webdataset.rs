//! WebDataset shards: tar files in which the members of a sample share a key and follow each other.
//!
//! Samples are shuffled with the seed, because readers take them in order: without a shuffle, batches would hold only real
//! or only generated pairs. The request determines every byte: members have no owner and no time.

use serde_json::json;

use crate::error::{ExportError, Result};
use crate::job::Job;
use crate::source::ranked;
use crate::staging::StagedFile;

/// Writes the shards.
pub(crate) fn write(job: &mut Job<'_>, shard_size: usize) -> Result<()> {
    let order = ranked(job.pairs.list.iter().map(|pair| pair.stem.as_str()), job.request.seed);
    for (number, indices) in order.chunks(shard_size).enumerate() {
        let name = format!("pairs-{number:06}.tar");
        let mut tar = tar::Builder::new(job.staging.file(&name)?);
        for &index in indices {
            sample(job, &mut tar, &name, index)?;
        }
        let path = job.request.out.join(&name);
        tar.into_inner().map_err(ExportError::io(&path, "write"))?.finish()?;
    }
    let shards = job.len().div_ceil(shard_size);
    let last = shards.saturating_sub(1);
    job.notes.push(format!("shards: pairs-{{000000..{last:06}}}.tar, members image.png, mask.png and json"));
    Ok(())
}

fn sample(job: &mut Job<'_>, tar: &mut tar::Builder<StagedFile>, shard: &str, index: usize) -> Result<()> {
    let loaded = job.load(index, false)?;
    let pair = job.pair(index);
    let mut about = json!({
        "id": pair.stem,
        "origin": pair.origin.word(),
        "synthetic": pair.synthetic,
        "source_id": pair.source_id,
        "group": pair.group,
        "width": loaded.width,
        "height": loaded.height,
        "mask_pixels": loaded.mask_pixels(),
        "text": loaded.text,
    });
    let classes = job.several_classes();
    if !classes.is_empty() {
        about["classes"] = json!(classes);
        if job.coding().overlap {
            // The index of a pixel is a set of classes: its lowest bit is the first class.
            about["classes_overlap"] = true.into();
        }
    }
    let names = ["image.png", "mask.png", "json"].map(|ending| format!("{}.{ending}", pair.stem));
    let about = serde_json::to_vec(&about).map_err(|error| ExportError::encode(&pair.image)(&error))?;
    let contents = [loaded.image_png(&pair.image)?, job.mask_png(index, &loaded, u8::MAX)?, about];
    let path = job.request.out.join(shard);
    for (name, content) in names.iter().zip(&contents) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).map_err(ExportError::io(&path, "write"))?;
    }
    job.record(index, &loaded, [&format!("{shard}/{}", names[0]), &format!("{shard}/{}", names[1])], 1)
}
