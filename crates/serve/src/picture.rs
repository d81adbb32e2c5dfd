//! `/api/picture`: an image of the folder as a PNG, for browsers that do not show its format, and small where many are shown at once.

use crate::{
    app::App,
    files,
    reply::{Refusal, Reply, aside},
};
use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use pig_data::{
    Pixels,
    png_file::encode_png,
    read::{read_header, read_image},
    resample::{fit_within, resize_image},
};
use serde::Deserialize;
use std::path::Path;

/// The least and the greatest side of a small picture.
const SIDES: [usize; 2] = [16, 1024];

/// The image that is asked for.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// Its address below the served folder.
    address: String,
    /// The most pixels of its longer side; its own size without it. Bounded by [`SIDES`].
    side: Option<usize>,
}

/// Sends the picture. As many are decoded at once as the machine has cores, since a decoded image may take much more memory than its file.
pub(crate) async fn picture(State(app): State<App>, Query(asked): Query<Asked>, headers: HeaderMap) -> Reply<Response> {
    let nothing = || Refusal::missing("There is no such picture below the served folder.");
    let side = asked.side.map(|side| side.clamp(SIDES[0], SIDES[1]));
    let found = app.clone();
    let (path, tag) = aside(move || {
        let path = found.root().find(&asked.address).ok_or_else(nothing)?;
        let metadata = std::fs::metadata(&path).map_err(|_| nothing())?;
        Ok((path, files::tag(&metadata, side)))
    })
    .await?;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(tag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let turn = app.decoders().acquire_owned().await.map_err(Refusal::fault)?;
    let (png, tag) = aside(move || {
        let _turn = turn;
        tagged(&path, side, tag).map_err(|error| Refusal::wrong(error.to_string()))
    })
    .await?;
    let kind = (header::CONTENT_TYPE, "image/png".to_owned());
    Ok(match tag {
        Some(tag) => {
            let head = [kind, (header::CACHE_CONTROL, "private, no-cache".to_owned()), (header::ETAG, tag)];
            (head, png).into_response()
        }
        None => ([kind, (header::CACHE_CONTROL, "no-store".to_owned())], png).into_response(),
    })
}

/// The image at `path` as a PNG, with its tag; without one if the file changed since the tag was made, so that no browser keeps the picture of
/// one file under the tag of another.
fn tagged(path: &Path, side: Option<usize>, tag: String) -> pig_data::Result<(Vec<u8>, Option<String>)> {
    let png = png(path, side)?;
    let is_same = std::fs::metadata(path).is_ok_and(|metadata| files::tag(&metadata, side) == tag);
    Ok((png, is_same.then_some(tag)))
}

/// The image at `path` as a PNG of 8 bits whose longer side has at most `side` pixels.
fn png(path: &Path, side: Option<usize>) -> pig_data::Result<Vec<u8>> {
    // What has no colour in its file is never held three times; gray that is stored as colour is told by its pixels.
    let mut image = read_image(path, if read_header(path)?.colour { 3 } else { 1 })?;
    if image.from_gray() {
        image.data = image.data.into_iter().step_by(3).collect();
        image.channels = 1;
    }
    let own = [image.height, image.width];
    let size = match side {
        Some(side) if own.iter().any(|&length| length > side) => fit_within(own, [side; 2]),
        Some(_) | None => own,
    };
    image.data = resize_image(&image.data, own, size, image.channels);
    encode_png(path, size, image.channels, &Pixels::Eight(image.to_8_bits()), &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_data::png_file::{read_png, write_png};

    /// A reduction keeps the mean, and 16 bits become 8.
    #[test]
    fn large_pictures_become_small_and_keep_their_brightness() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        let values = (0..600 * 300).map(|at| if at % 600 < 300 { 0 } else { 51_400 }).collect();
        write_png(&file, [300, 600], 1, &Pixels::Sixteen(values), &[]).unwrap();
        let small = folder.path().join("small.png");
        for (side, expected) in [(Some(100), [50, 100]), (Some(700), [300, 600]), (None, [300, 600])] {
            std::fs::write(&small, png(&file, side).unwrap()).unwrap();
            let read = read_png(&small).unwrap();
            let Pixels::Eight(pixels) = read.pixels else { panic!("8 bits") };
            assert_eq!(pixels.len(), expected[0] * expected[1], "one channel");
            let row = &pixels[..expected[1]];
            assert_eq!((row[0], row[expected[1] - 1]), (0, 200));
            let mean = pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64;
            assert!((mean - 100.0).abs() < 0.5, "{mean}");
        }
    }

    /// A file that changes between its tag and its pixels is sent without the tag.
    #[test]
    fn a_tag_is_that_of_the_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        write_png(&file, [4, 4], 1, &Pixels::Eight(vec![9; 16]), &[]).unwrap();
        let tag = files::tag(&std::fs::metadata(&file).unwrap(), Some(16));
        assert_eq!(tagged(&file, Some(16), tag.clone()).unwrap().1, Some(tag.clone()));
        write_png(&file, [4, 4], 1, &Pixels::Eight(vec![9; 16]), &[("note", "a longer file")]).unwrap();
        assert_eq!(tagged(&file, Some(16), tag).unwrap().1, None);
    }

    /// Gray that is stored as colour is sent as gray.
    #[test]
    fn equal_channels_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let [file, sent] = ["a.png", "sent.png"].map(|name| folder.path().join(name));
        write_png(&file, [4, 4], 3, &Pixels::Eight([7, 7, 7, 90, 90, 90].repeat(8)), &[]).unwrap();
        std::fs::write(&sent, png(&file, None).unwrap()).unwrap();
        let read = read_png(&sent).unwrap();
        assert_eq!((read.channels, read.pixels), (1, Pixels::Eight([7, 90].repeat(8))));
    }

    #[test]
    fn colour_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [file, small] = ["a.png", "small.png"].map(|name| folder.path().join(name));
        write_png(&file, [40, 40], 3, &Pixels::Eight([10, 200, 90].repeat(1600)), &[]).unwrap();
        std::fs::write(&small, png(&file, Some(20)).unwrap()).unwrap();
        assert_eq!(read_png(&small).unwrap().pixels, Pixels::Eight([10, 200, 90].repeat(400)));
    }
}
