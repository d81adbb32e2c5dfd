//! Tests the decoders on streams from third-party encoders and from a small encoder here, whose pixels follow from a formula, and
//! on corrupt streams.

mod common;

use std::path::Path;

use common::{JPEG_2000, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, Pixels, RLE, decode};
use pig_dicom::Error;
use proptest::prelude::*;

const ROWS: u32 = 36;
const COLUMNS: u32 = 40;

/// The picture of tests/peers/dicom_fixtures.py.
fn value(bits: u32, sample: u32, y: u32, x: u32) -> u32 {
    let flat = (x / 9 + y / 5).is_multiple_of(2);
    (if flat { (1 << bits) / 3 + sample } else { x * x * 3 + y * 5 + x * y * 7 + sample * 29 }) % (1 << bits)
}

fn picture(bits: u32, samples: u32) -> Vec<f64> {
    let mut values = Vec::new();
    for y in 0..ROWS {
        for x in 0..COLUMNS {
            values.extend((0..samples).map(|sample| f64::from(value(bits, sample, y, x))));
        }
    }
    values
}

fn header(bits: u16, samples: u16, signed: bool) -> Pixels {
    Pixels {
        rows: ROWS as u16,
        columns: COLUMNS as u16,
        samples,
        photometric: if samples == 1 { "MONOCHROME2" } else { "RGB" },
        allocated: if bits <= 8 { 8 } else { 16 },
        stored: bits,
        high: bits - 1,
        signed: u16::from(signed),
        ..Pixels::default()
    }
}

fn fixtures(extension: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"));
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let matching = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    matching
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

fn farthest(found: impl Iterator<Item = f64>, expected: &[f64]) -> f64 {
    found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn jpeg_ls_of_charls_is_decoded() {
    let fixtures = fixtures("jls");
    assert_eq!(fixtures.len(), 17);
    for (name, data) in fixtures {
        let numbers: Vec<u16> = name.split('_').map(|part| part[1..].parse().unwrap()).collect();
        let [bits, samples, near, _] = numbers[..] else { panic!("{name}") };
        let frames = decode(header(bits, samples, false).compressed(JPEG_LS, &data)).unwrap();
        let expected = picture(u32::from(bits), u32::from(samples));
        assert_eq!(frames[0].stored().len(), expected.len());
        let apart = farthest(frames[0].stored().iter(), &expected);
        assert!(apart <= f64::from(near), "{name}: {apart}");
        assert!(near == 0 || apart > 0.0, "{name}: near-lossless data that is exact tests nothing");
    }
}

#[test]
fn jpeg_2000_of_openjpeg_is_decoded() {
    let fixtures = fixtures("j2k");
    assert_eq!(fixtures.len(), 7);
    for (name, data) in fixtures {
        let (bits, kind) = name.split_once('_').unwrap();
        let bits: u16 = bits[1..].parse().unwrap();
        let samples = if kind == "rgb" { 3 } else { 1 };
        let signed = kind == "signed";
        let offset = if signed { f64::from(1_u32 << (bits - 1)) } else { 0.0 };
        let expected: Vec<f64> =
            picture(u32::from(bits), u32::from(samples)).iter().map(|value| value - offset).collect();
        let frames = decode(header(bits, samples, signed).compressed(JPEG_2000, &data)).unwrap();
        assert!(frames[0].stored().iter().eq(expected), "{name}");
    }
}

#[test]
fn baseline_jpeg_of_libjpeg_is_decoded() {
    let fixtures = fixtures("jpg");
    assert_eq!(fixtures.len(), 3);
    for (name, data) in fixtures {
        let samples = if name.contains("_s3_") { 3 } else { 1 };
        let photometric = if samples == 3 { "YBR_FULL" } else { "MONOCHROME2" };
        let pixels = Pixels { photometric, ..header(8, samples, false) };
        let frame = &decode(pixels.compressed(JPEG_BASELINE, &data)).unwrap()[0];
        // Gray in three channels: luma is the picture, chroma is flat, whatever its resolution.
        for (pixel, expected) in picture(8, 1).into_iter().enumerate() {
            let at = |sample: usize| frame.stored().get(usize::from(samples) * pixel + sample);
            assert!((at(0) - expected).abs() <= 2.0, "{name}: {} at {pixel} is not {expected}", at(0));
            assert!(samples == 1 || (at(1) - 128.0).abs() <= 1.0 && (at(2) - 128.0).abs() <= 1.0, "{name}: chroma");
        }
    }
}

/// Lossless JPEG with one Huffman table, in which the code of category c is the five-bit number c.
fn lossless_jpeg(bits: u32, samples: u32, predictor: u8, shift: u32, restart_rows: u32) -> Vec<u8> {
    let mut data = vec![0xFF, 0xD8, 0xFF, 0xC4, 0, 36, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    data.extend(0..17);
    data.extend([0xFF, 0xDD, 0, 4]);
    data.extend(((restart_rows * COLUMNS) as u16).to_be_bytes());
    data.extend([0xFF, 0xC3, 0, 8 + 3 * samples as u8, bits as u8, 0, ROWS as u8, 0, COLUMNS as u8, samples as u8]);
    (0..samples as u8).for_each(|sample| data.extend([sample + 1, 0x11, 0]));
    data.extend([0xFF, 0xDA, 0, 6 + 2 * samples as u8, samples as u8]);
    (0..samples as u8).for_each(|sample| data.extend([sample + 1, 0]));
    data.extend([predictor, 0, shift as u8]);
    let at = |sample, y: u32, x: u32| (value(bits, sample, y, x) >> shift) as i32;
    let mut held: Vec<bool> = Vec::new();
    for y in 0..ROWS {
        let fresh = y == 0 || (restart_rows > 0 && y % restart_rows == 0);
        if fresh && y > 0 {
            flush(&mut data, &mut held);
            data.extend([0xFF, 0xD0 + ((y / restart_rows - 1) % 8) as u8]);
        }
        for x in 0..COLUMNS {
            for sample in 0..samples {
                let predicted = match (fresh, x) {
                    (true, 0) => 1 << (bits - shift - 1),
                    (true, _) => at(sample, y, x - 1),
                    (false, 0) => at(sample, y - 1, x),
                    _ => {
                        let (a, b, c) = (at(sample, y, x - 1), at(sample, y - 1, x), at(sample, y - 1, x - 1));
                        [a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1]
                            [usize::from(predictor) - 1]
                    }
                };
                // Modulo 2^16, in the range -32767 to 32768.
                let difference = match i32::from((at(sample, y, x) - predicted) as i16) {
                    -32768 => 32768,
                    other => other,
                };
                let category = 32 - difference.unsigned_abs().leading_zeros();
                push(&mut held, category, 5);
                if category < 16 {
                    let code = if difference < 0 { difference + (1 << category) - 1 } else { difference };
                    push(&mut held, code as u32, category);
                }
            }
        }
    }
    flush(&mut data, &mut held);
    data.extend([0xFF, 0xD9]);
    data
}

fn push(held: &mut Vec<bool>, value: u32, count: u32) {
    held.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
}

fn flush(data: &mut Vec<u8>, held: &mut Vec<bool>) {
    held.resize(held.len().next_multiple_of(8), true);
    for bits in held.chunks(8) {
        let byte = bits.iter().fold(0, |sum, &bit| sum << 1 | u8::from(bit));
        data.push(byte);
        if byte == 0xFF {
            data.push(0);
        }
    }
    held.clear();
}

#[test]
fn every_predictor_of_lossless_jpeg_is_undone() {
    for bits in [8, 12, 16] {
        for predictor in 1..=7 {
            for (samples, shift, restart_rows) in [(1, 0, 0), (1, 0, 5), (1, 2, 0), (1, 1, 1), (3, 0, 0), (3, 3, 7)] {
                let data = lossless_jpeg(bits, samples, predictor, shift, restart_rows);
                let frames = decode(header(bits as u16, samples as u16, false).compressed(JPEG_LOSSLESS, &data));
                let expected = picture(bits, samples);
                let expected = expected.iter().map(|&value| f64::from(value as u32 >> shift << shift));
                let frames = frames.unwrap();
                let case =
                    format!("{bits} bits, {samples} samples, predictor {predictor}, shift {shift}, {restart_rows}");
                assert!(frames[0].stored().iter().eq(expected), "{case}");
            }
        }
    }
}

#[test]
fn a_cut_or_restarted_scan_is_an_error() {
    let data = lossless_jpeg(12, 1, 1, 0, 5);
    for length in (0..data.len() - 40).step_by(97) {
        let error = decode(header(12, 1, false).compressed(JPEG_LOSSLESS, &data[..length])).unwrap_err();
        assert!(matches!(error, Error::Codec { .. }), "{length}: {error}");
    }
    let marker = data.windows(2).position(|pair| pair == [0xFF, 0xD1]).unwrap();
    let mut without = data.clone();
    without.drain(marker..marker + 2);
    assert!(decode(header(12, 1, false).compressed(JPEG_LOSSLESS, &without)).is_err());
}

/// Signed values whose stored width differs from the codestream's width.
#[test]
fn the_sign_comes_from_the_narrower_of_codestream_and_header() {
    // 16 bits in the codestream, 12 of them stored: 0x0FFF and 0xFFFF are both -1.
    let data = lossless_jpeg(16, 1, 1, 0, 0);
    let pixels = Pixels { stored: 12, high: 11, ..header(16, 1, true) };
    let frames = decode(pixels.compressed(JPEG_LOSSLESS, &data)).unwrap();
    let expected = picture(16, 1).into_iter().map(|value| {
        let low = value as i32 & 0xFFF;
        f64::from(if low >= 0x800 { low - 0x1000 } else { low })
    });
    assert!(frames[0].stored().iter().eq(expected));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A stream with a few changed bytes gives an error or pixels.
    #[test]
    fn noise_is_no_panic(seed in any::<u64>(), places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let streams = [
            (JPEG_LS, header(12, 1, false), lookup("b12_s1_n3_i0", "jls")),
            (JPEG_LS, header(8, 3, false), lookup("b8_s3_n3_i2", "jls")),
            (JPEG_2000, header(12, 1, true), lookup("b12_signed", "j2k")),
            (JPEG_LOSSLESS, header(12, 1, false), lossless_jpeg(12, 1, 6, 0, 4)),
            (JPEG_BASELINE, header(12, 1, false), lossless_jpeg(12, 1, 1, 0, 0)),
            (RLE, header(12, 1, false), common::rle(&vec![77; 1440])),
        ];
        let (syntax, pixels, mut data) = streams[(seed % 6) as usize].clone();
        for (place, byte) in places {
            let place = place.index(data.len());
            data[place] = byte;
        }
        let _ = decode(pixels.compressed(syntax, &data));
    }
}

fn lookup(name: &str, extension: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}.{extension}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_cut_codestream_is_an_error() {
    let streams = [
        (JPEG_BASELINE, header(8, 1, false), lookup("b8_s1_gray", "jpg")),
        (JPEG_BASELINE, Pixels { photometric: "YBR_FULL", ..header(8, 3, false) }, lookup("b8_s3_420", "jpg")),
        (JPEG_LOSSLESS, header(12, 1, false), lossless_jpeg(12, 1, 1, 0, 5)),
        (JPEG_LS, header(12, 1, false), lookup("b12_s1_n3_i0", "jls")),
        (JPEG_LS, header(8, 3, false), lookup("b8_s3_n0_i0", "jls")),
        (JPEG_2000, header(12, 1, false), lookup("b12_unsigned", "j2k")),
    ];
    for (syntax, pixels, data) in streams {
        let of = |data: &[u8]| decode(pixels.clone().compressed(syntax, data));
        let whole = of(&data).unwrap();
        // Behind the end there may be padding.
        let padded = of(&[&data[..], &[0; 4]].concat()).unwrap();
        assert!(padded[0].stored().iter().eq(whole[0].stored().iter()), "{syntax}");
        let lengths = (data.len() / 4..data.len() - 9).step_by(7).chain(data.len() - 9..data.len());
        for length in lengths {
            let Err(error) = of(&data[..length]) else {
                panic!("{syntax}: {length} of {} bytes were read", data.len())
            };
            assert!(matches!(error, Error::Codec { .. }), "{syntax}, {length}: {error}");
        }
        // Without the end marker alone, every pixel is there, but nothing says that it is the last.
        if syntax != JPEG_2000 {
            let error = of(&data[..data.len() - 2]).unwrap_err().to_string();
            assert!(error.contains("no end marker (EOI, FFD9)"), "{syntax}: {error}");
        }
    }
}
