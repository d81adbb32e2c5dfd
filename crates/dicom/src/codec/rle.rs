//! RLE Lossless, PS3.5 annex G: PackBits, one segment for each byte of each sample, highest byte first.

/// Size of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) pixels: usize,
    /// Samples per pixel.
    pub(crate) samples: usize,
    /// Bytes per sample.
    pub(crate) width: usize,
}

/// Decodes a frame to little-endian bytes, interleaved by pixel.
pub(crate) fn decode(data: &[u8], size: Size) -> Result<Vec<u8>, String> {
    let Some(header) = data.first_chunk::<64>() else {
        return Err(format!("found {} bytes, expected at least a header of 64", data.len()));
    };
    let offsets: Vec<usize> =
        header.as_chunks::<4>().0.iter().map(|entry| u32::from_le_bytes(*entry) as usize).collect();
    let segments = size.samples * size.width;
    if offsets[0] != segments {
        return Err(format!("found {} segments, expected {segments}", offsets[0]));
    }
    if segments > 15 {
        return Err(format!("expected at most 15 segments, found {segments}"));
    }
    // A run packs at most 128 bytes into two. This check keeps a small file from requesting a large frame.
    if size.pixels.saturating_mul(segments) > data.len().saturating_mul(64) {
        return Err(format!("found {} bytes, too few for {} pixels", data.len(), size.pixels));
    }
    let step = size.samples * size.width;
    let mut frame = vec![0; size.pixels * step];
    for segment in 0..segments {
        let from = offsets[segment + 1];
        let to = if segment + 1 < segments { offsets[segment + 2] } else { data.len() };
        let packed = data.get(from..to).ok_or_else(|| format!("segment {segment} lies outside the frame"))?;
        let (sample, byte) = (segment / size.width, segment % size.width);
        let place = sample * size.width + (size.width - 1 - byte);
        unpack(packed, frame.iter_mut().skip(place).step_by(step), size.pixels)
            .map_err(|found| format!("segment {segment} holds {found} bytes, expected {}", size.pixels))?;
    }
    Ok(frame)
}

/// Unpacks `count` bytes of PackBits data into `places`; the error is the number of bytes found, if they are too few.
fn unpack<'a>(packed: &[u8], mut places: impl Iterator<Item = &'a mut u8>, count: usize) -> Result<(), usize> {
    let mut filled = 0;
    let mut rest = packed;
    while filled < count {
        let Some((&control, tail)) = rest.split_first() else { return Err(filled) };
        rest = tail;
        let control = control as i8;
        if control == -128 {
            continue;
        }
        let run = usize::from(control.unsigned_abs()) + 1;
        if control >= 0 {
            let literal = rest.get(..run).ok_or(filled + rest.len())?;
            rest = &rest[run..];
            for (place, &value) in places.by_ref().take(run.min(count - filled)).zip(literal) {
                *place = value;
            }
        } else {
            let (&value, tail) = rest.split_first().ok_or(filled)?;
            rest = tail;
            places.by_ref().take(run.min(count - filled)).for_each(|place| *place = value);
        }
        filled += run;
    }
    Ok(())
}
