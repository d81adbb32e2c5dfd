//! Colour from the source to the prepared pairs: kept, reduced or copied as the settings and the images say, and told.

mod common;

use std::path::Path;

use common::*;
use pig_data::Pixels;
use pig_data::png_file::{read_png, write_png};
use pig_prepare::prepared_folder::read_description;
use pig_prepare::settings::{Colour, ConfigFile, LateralityRule};
use pig_prepare::{PrepareConfig, Request};

const SIZE: [usize; 2] = [40, 50];

/// A picture whose channels have nothing in common.
fn rgb(seed: u64) -> Vec<u8> {
    let [red, green, blue] = [0, 1, 2].map(|channel| picture(SIZE[0], SIZE[1], 10 * seed + channel));
    (0..SIZE[0] * SIZE[1]).flat_map(|index| [red[index], green[index], blue[index]]).collect()
}

fn write_rgb(path: &Path, values: Vec<u8>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_png(path, SIZE, 3, &Pixels::Eight(values), &[]).unwrap();
}

/// `coloured` pairs in colour, `p0` and so on, and `gray` gray ones after them.
fn source(coloured: u64, gray: u64) -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for index in 0..coloured + gray {
        write_pair(source.path(), &format!("p{index}"), SIZE[0], SIZE[1], index, 9.0);
        if index < coloured {
            write_rgb(&source.path().join(format!("images/p{index}.png")), rgb(index));
        }
    }
    source
}

fn asked(source: &Path, out: &Path, colour: Colour) -> Request {
    request(source, out, PrepareConfig { size: SIZE, colour, ..PrepareConfig::default() })
}

fn prepared(out: &Path, name: &str) -> (usize, Vec<u8>) {
    let png = read_png(&out.join(format!("images/{name}.png"))).unwrap();
    let Pixels::Eight(values) = png.pixels else { panic!("16 bits") };
    (png.channels, values)
}

#[test]
fn colours_of_pngs_are_prepared_exactly() {
    let (source, out) = (source(3, 0), tempfile::tempdir().unwrap());
    let summary = run(&asked(source.path(), out.path(), Colour::Auto)).unwrap();
    for index in 0..3 {
        assert!(prepared(out.path(), &format!("p{index}")) == (3, rgb(index)), "p{index}");
    }
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    let description = read_description(out.path()).unwrap();
    assert_eq!((description.channels, description.colour_images), (3, 3));
    assert!(std::fs::read_to_string(out.path().join("dataset.toml")).unwrap().contains("\nchannels = 3\n"));
    // Finished pairs are recognised.
    assert_eq!(run(&asked(source.path(), out.path(), Colour::Auto)).unwrap().kept, 3);
}

#[test]
fn colours_of_jpegs_are_those_of_the_decoder() {
    let source = tempfile::tempdir().unwrap();
    write_pair(source.path(), "p0", SIZE[0], SIZE[1], 0, 9.0);
    std::fs::remove_file(source.path().join("images/p0.png")).unwrap();
    let path = source.path().join("images/p0.jpg");
    image::save_buffer(&path, &rgb(0), SIZE[1] as u32, SIZE[0] as u32, image::ColorType::Rgb8).unwrap();
    let decoded = image::open(&path).unwrap().to_rgb8().into_raw();
    let out = tempfile::tempdir().unwrap();
    run(&asked(source.path(), out.path(), Colour::Auto)).unwrap();
    assert!(prepared(out.path(), "p0") == (3, decoded));
}

#[test]
fn colour_is_reduced_as_asked_and_a_warning_says_so() {
    let source = source(3, 0);
    let word: ConfigFile = toml::from_str("[prepare]\ncolour = \"gray\"\n").unwrap();
    assert_eq!(word.prepare.colour, Colour::Luma);
    let luma = |pixel: &[u8]| {
        let sum: f64 = pixel.iter().zip([0.299, 0.587, 0.114]).map(|(&value, weight)| f64::from(value) * weight).sum();
        sum.round() as u8
    };
    // The setting, its word, what the warning says, and the channel that is kept; luma is of all three.
    for (colour, word, words, kept) in [
        (Colour::Luma, "luma", "Rec. 601 luma", None),
        (Colour::Red, "red", "red channel", Some(0)),
        (Colour::Blue, "blue", "blue channel", Some(2)),
    ] {
        let out = tempfile::tempdir().unwrap();
        let summary = run(&asked(source.path(), out.path(), colour)).unwrap();
        let (channels, values) = prepared(out.path(), "p1");
        let of = |pixel: &[u8]| kept.map_or_else(|| luma(pixel), |channel| pixel[channel]);
        let expected: Vec<u8> = rgb(1).chunks_exact(3).map(of).collect();
        assert!(channels == 1 && values == expected, "{word}");
        let warning = &summary.warnings[0];
        assert!(warning.starts_with("3 of 3 image(s)") && warning.contains(words), "{warning}");
        assert!(warning.contains(&format!("prepare.colour = \"{word}\"")), "{warning}");
        assert_eq!(read_description(out.path()).unwrap().channels, 1);
    }
}

#[test]
fn the_majority_decides_for_a_mixed_set() {
    // Coloured and gray pictures, the setting, the channels, the warning.
    for (coloured, gray, colour, channels, warning) in [
        (2, 1, Colour::Auto, 3, "1 of 3 image(s) or volume(s) are gray and were copied to three channels"),
        (1, 2, Colour::Auto, 1, "1 of 3 image(s) or volume(s) are in colour and were reduced to gray"),
        (1, 2, Colour::Keep, 3, "2 of 3 image(s) or volume(s) are gray and were copied to three channels"),
    ] {
        let (source, out) = (source(coloured, gray), tempfile::tempdir().unwrap());
        let summary = run(&asked(source.path(), out.path(), colour)).unwrap();
        assert!(summary.warnings[0].starts_with(warning), "{:?}", summary.warnings);
        assert_eq!(summary.warnings.len(), 1);
        let last = coloured + gray - 1;
        let shade = picture(SIZE[0], SIZE[1], last);
        let expected = if channels == 3 { shade.iter().flat_map(|&value| [value; 3]).collect() } else { shade };
        assert!(prepared(out.path(), &format!("p{last}")) == (channels, expected), "{coloured} and {gray}");
        assert_eq!(prepared(out.path(), "p0").0, channels, "all pairs have the same number of channels");
    }
}

#[test]
fn gray_that_is_stored_as_colour_is_gray() {
    let source = source(0, 2);
    let gray = picture(SIZE[0], SIZE[1], 0).into_iter().flat_map(|value| [value; 3]).collect();
    write_rgb(&source.path().join("images/p0.png"), gray);
    for colour in [Colour::Auto, Colour::Keep] {
        let out = tempfile::tempdir().unwrap();
        let summary = run(&asked(source.path(), out.path(), colour)).unwrap();
        assert!(prepared(out.path(), "p0") == (1, picture(SIZE[0], SIZE[1], 0)));
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    }
}

#[test]
fn pixels_in_colour_are_mirrored_and_padded_as_pixels() {
    let (source, out) = (source(2, 0), tempfile::tempdir().unwrap());
    std::fs::write(source.path().join("manifest.csv"), "id,laterality\np0,R\np1,L\n").unwrap();
    let mut asked = asked(source.path(), out.path(), Colour::Keep);
    asked.config.laterality = LateralityRule::Left;
    asked.config.size = [SIZE[0] + 4, SIZE[1]];
    run(&asked).unwrap();
    let (_, values) = prepared(out.path(), "p0");
    let row = 3 * SIZE[1];
    let expected: Vec<u8> =
        rgb(0).chunks_exact(row).flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect();
    assert!(values[..2 * row].iter().all(|&value| value == 0), "two rows above are padding");
    assert!(values[2 * row..values.len() - 2 * row] == expected);
}

#[test]
fn a_set_that_becomes_one_in_colour_is_prepared_again() {
    let (source, out) = (source(1, 2), tempfile::tempdir().unwrap());
    run(&asked(source.path(), out.path(), Colour::Auto)).unwrap();
    write_rgb(&source.path().join("images/p1.png"), rgb(1));
    let summary = run(&asked(source.path(), out.path(), Colour::Auto)).unwrap();
    assert_eq!((summary.kept, summary.description.channels), (0, 3));
    assert!((0..3).all(|index| prepared(out.path(), &format!("p{index}")).0 == 3));
}
