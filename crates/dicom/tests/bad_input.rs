//! Invalid files: each gives an error that says what is wrong; none causes a panic, takes too much memory or hangs.

mod common;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{
    BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, Pixels, RLE,
    SEQUENCE_END, UNDEFINED, decode, element, encapsulated, file, item, meta, open, ramp, raw, rle, sequence, short,
    text,
};
use pig_dicom::{Error, Image, Limits, Object, is_dicom, open as open_path, open_bytes, privacy};

/// Opens and decodes a file and checks the time that it takes. An error must name the file and must not contain header values.
fn attempt(bytes: Vec<u8>) -> Result<(), Error> {
    let begin = Instant::now();
    let outcome = decode(bytes).map(|_| ());
    assert!(begin.elapsed() < Duration::from_secs(10), "took {:?}", begin.elapsed());
    if let Err(error) = &outcome {
        let said = format!("{error} {error:?}");
        assert!(!said.contains("SECRET"), "{said}");
        assert!(said.contains("made.dcm"), "{said}");
    }
    outcome
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_valid_file_is_read() {
    let (words, bytes) = ramp(24);
    let frames = decode(Pixels::default().native(&bytes)).unwrap();
    assert!(frames[0].stored().iter().eq(words.iter().map(|&word| f64::from(word))));
    let frames = decode(Pixels::default().compressed(RLE, &rle(&words))).unwrap();
    assert!(frames[0].stored().iter().eq(words.iter().map(|&word| f64::from(word))));
    let elements = [Pixels::default().elements(), vec![element((0x7FE0, 0x0010), "OW", &bytes)]].concat();
    let deflated = [meta(DEFLATED), deflate(&elements.concat())].concat();
    assert!(decode(deflated).unwrap()[0].stored().iter().eq(words.iter().map(|&word| f64::from(word))));
    // Without preamble and meta group.
    assert!(decode(elements.concat()).unwrap()[0].stored().iter().eq(words.iter().map(|&word| f64::from(word))));
}

#[test]
fn no_truncation_is_read_as_whole() {
    let (words, bytes) = ramp(24);
    for whole in [Pixels::default().native(&bytes), Pixels::default().compressed(RLE, &rle(&words))] {
        // The sequence delimiter at the end may be missing: nothing is lost without it.
        let needed = if whole.ends_with(&SEQUENCE_END) { whole.len() - 8 } else { whole.len() };
        for length in 0..needed {
            assert!(attempt(whole[..length].to_vec()).is_err(), "{length} of {} bytes", whole.len());
        }
        assert!(attempt(whole[..needed].to_vec()).is_ok());
    }
}

#[test]
fn no_changed_byte_is_a_panic_or_a_leak() {
    let (words, bytes) = ramp(24);
    let mut files = vec![Pixels::default().native(&bytes), Pixels::default().compressed(RLE, &rle(&words))];
    let groups = sequence((0x5200, 0x9229), &[sequence((0x0028, 0x9110), &[text((0x0028, 0x0030), "DS", "0.1\\0.1")])]);
    let elements = [Pixels::default().elements(), vec![groups, element((0x7FE0, 0x0010), "OW", &bytes)]].concat();
    files.push(file(EXPLICIT, &elements));
    files.push([meta(DEFLATED), deflate(&elements.concat())].concat());
    for whole in files {
        for place in 128..whole.len() {
            for value in [0x00, 0x01, 0x7F, 0x80, 0xFF, whole[place] ^ 0x20] {
                let mut changed = whole.clone();
                changed[place] = value;
                let _ = attempt(changed);
            }
        }
    }
}

#[test]
fn stated_lengths_are_held_against_the_file() {
    let huge = 0xFFFF_FFF0;
    for element in [
        raw((0x0010, 0x4000), "UT", huge, b"SECRET"),
        raw((0x0008, 0x1140), "SQ", huge, &item(&[])),
        raw((0x7FE0, 0x0010), "OW", huge, &[0; 48]),
        raw((0x0008, 0x1140), "SQ", 16, &[0xFE, 0xFF, 0x00, 0xE0, 0xF0, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let bytes = file(EXPLICIT, &[Pixels::default().elements(), vec![element]].concat());
        assert!(matches!(attempt(bytes), Err(Error::Truncated { .. })));
    }
    // An element that is longer than the item around it.
    let inner = raw((0x0008, 0x0104), "LO", 40, b"SECRET");
    let mut bytes =
        file(EXPLICIT, &[Pixels::default().elements(), vec![sequence((0x0008, 0x1140), &[inner])]].concat());
    bytes.extend([0; 200]);
    assert!(matches!(attempt(bytes), Err(Error::Truncated { .. })));
    // A fragment.
    let mut fragment = item(&[1, 2, 3, 4]);
    fragment[4..8].copy_from_slice(&huge.to_le_bytes());
    let data = raw((0x7FE0, 0x0010), "OB", UNDEFINED, &[item(&[]), fragment].concat());
    let bytes = file(RLE, &[Pixels::default().elements(), vec![data]].concat());
    assert!(matches!(attempt(bytes), Err(Error::Truncated { .. })));
}

#[test]
fn a_million_frames_are_refused_before_memory_is_taken() {
    let (words, bytes) = ramp(24);
    let many = |frames: &str| Pixels { frames: frames.into(), ..Pixels::default() };
    let limit = attempt(many("999999").native(&bytes));
    assert!(matches!(limit, Err(Error::Limit { setting: "max_frames", found: 999_999, .. })), "{limit:?}");
    let length = attempt(many("100000").native(&bytes)).unwrap_err();
    assert!(matches!(&length, Error::Invalid { found, .. } if found == "48 bytes"), "{length:?}");
    assert!(matches!(attempt(many("100000").compressed(RLE, &rle(&words))), Err(Error::Invalid { .. })));
    for frames in ["-1", "1.5", "1e99", "SECRET", "NaN", "99999999999999999999"] {
        assert!(attempt(many(frames).native(&bytes)).is_err(), "{frames}");
    }
}

#[test]
fn contradictions_are_named() {
    let (_, bytes) = ramp(24);
    let base = Pixels::default();
    let cases = [
        ("BitsStored", Pixels { stored: 17, ..base.clone() }),
        ("BitsStored", Pixels { stored: 0, ..base.clone() }),
        ("HighBit", Pixels { high: 16, ..base.clone() }),
        ("HighBit", Pixels { high: 5, ..base.clone() }),
        ("BitsAllocated", Pixels { allocated: 12, ..base.clone() }),
        ("PixelRepresentation", Pixels { signed: 2, ..base.clone() }),
        ("SamplesPerPixel", Pixels { samples: 2, ..base.clone() }),
        ("SamplesPerPixel", Pixels { samples: 3, ..base.clone() }),
        ("SamplesPerPixel", Pixels { photometric: "RGB", ..base.clone() }),
        ("PhotometricInterpretation", Pixels { photometric: "SECRET", ..base.clone() }),
        ("Rows", Pixels { rows: 0, ..base.clone() }),
        ("Columns", Pixels { columns: 0, ..base.clone() }),
        ("the length of the pixel data", Pixels { rows: 5, ..base.clone() }),
    ];
    for (what, pixels) in cases {
        let error = attempt(pixels.native(&bytes)).unwrap_err();
        assert!(matches!(&error, Error::Invalid { .. }) && error.to_string().contains(what), "{what}: {error}");
    }
    let mut elements = base.elements();
    elements.retain(|element| element[..4] != [0x28, 0, 0x10, 0]);
    elements.push(element((0x7FE0, 0x0010), "OW", &bytes));
    assert!(matches!(attempt(file(EXPLICIT, &elements)), Err(Error::Missing { .. })));
    let mut twice = base.elements();
    twice.extend([element((0x7FE0, 0x0010), "OW", &bytes), element((0x7FE0, 0x0010), "OW", &bytes)]);
    assert!(attempt(file(EXPLICIT, &twice)).is_ok(), "elements after the first pixel data must be ignored");
}

#[test]
fn wrong_values_of_windows_and_groups_are_named() {
    let (_, bytes) = ramp(24);
    let with = |extra: Vec<Vec<u8>>| {
        let elements = [Pixels::default().elements(), extra, vec![element((0x7FE0, 0x0010), "OW", &bytes)]].concat();
        attempt(file(EXPLICIT, &elements))
    };
    let center = text((0x0028, 0x1050), "DS", "100\\200");
    let width = text((0x0028, 0x1051), "DS", "10\\20");
    assert!(with(vec![center.clone(), width.clone(), text((0x0028, 0x1056), "CS", "SECRET")]).is_err());
    assert!(with(vec![center, width]).is_ok());
    assert!(with(vec![text((0x0028, 0x1053), "DS", "SECRET"), text((0x0028, 0x1052), "DS", "0")]).is_err());
    let lut = |descriptor: [u16; 3], data: &[u8]| {
        let descriptor: Vec<u8> = descriptor.iter().flat_map(|word| word.to_le_bytes()).collect();
        let table = [element((0x0028, 0x3002), "US", &descriptor), element((0x0028, 0x3006), "OW", data)].concat();
        with(vec![sequence((0x0028, 0x3000), &[table])])
    };
    assert!(lut([4, 0, 12], &[0; 8]).is_ok());
    assert!(lut([5, 0, 12], &[0; 8]).is_err());
    assert!(lut([4, 0, 40], &[0; 8]).is_err());
    assert!(lut([0, 0, 16], &[0; 8]).is_err());
    // Two frames, one item.
    let per_frame = sequence((0x5200, 0x9230), &[vec![]]);
    let two = Pixels { frames: "2".into(), rows: 2, ..Pixels::default() };
    let elements = [two.elements(), vec![per_frame, element((0x7FE0, 0x0010), "OW", &bytes)]].concat();
    assert!(matches!(attempt(file(EXPLICIT, &elements)), Err(Error::Invalid { .. })));
}

#[test]
fn a_deflate_bomb_is_stopped() {
    let limits = Limits { max_bytes: 40_000_000, max_header_bytes: 8 << 20, ..Limits::default() };
    let name = Path::new("made.dcm");
    // A value that is skipped, a value of the pixel data, and a header of endless small elements.
    let zeros = vec![0; 200_000_000];
    let skipped = raw((0x0042, 0x0011), "OB", zeros.len() as u32, &zeros);
    let elements = [Pixels::default().elements(), vec![skipped]].concat();
    let bomb = [meta(DEFLATED), deflate(&elements.concat())].concat();
    assert!(bomb.len() < 2_000_000);
    let error = Image::from_bytes(bomb, name, &limits).unwrap_err();
    assert!(matches!(error, Error::Limit { setting: "max_bytes", .. }), "{error}");
    assert!(error.to_string().ends_with("raise --memory, or leave the file out"), "{error}");
    let large = Pixels { rows: 1000, columns: 1000, frames: "100".into(), ..Pixels::default() };
    let elements = [large.elements(), vec![element((0x7FE0, 0x0010), "OW", &zeros)]].concat();
    let bomb = [meta(DEFLATED), deflate(&elements.concat())].concat();
    let image = Image::from_bytes(bomb, name, &limits).unwrap();
    assert!(image.frame(3).is_ok());
    assert!(matches!(image.frame(90), Err(Error::Limit { setting: "max_bytes", .. })));
    assert!(image.frame(0).is_ok(), "a backward seek must restart the stream");
    let small = text((0x0009, 0x0010), "LO", "SECRET").repeat(1_000_000);
    let bomb = [meta(DEFLATED), deflate(&[Pixels::default().elements().concat(), small].concat())].concat();
    let error = Image::from_bytes(bomb, name, &limits).unwrap_err();
    assert!(matches!(error, Error::Limit { setting: "max_header_bytes", .. }), "{error}");
}

#[test]
fn nesting_has_an_end() {
    let open_sequence = raw((0x0008, 0x1140), "SQ", UNDEFINED, &[]);
    let open_item = [0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];
    let deep = [open_sequence, open_item.to_vec()].concat().repeat(100_000);
    let bytes = file(EXPLICIT, &[Pixels::default().elements(), vec![deep]].concat());
    let error = attempt(bytes).unwrap_err();
    assert!(matches!(error, Error::Limit { setting: "max_depth", .. }), "{error}");
    assert!(!error.to_string().contains("max_depth") && error.to_string().ends_with("leave it out"), "{error}");
    // Delimiters without anything to close, and items without a sequence.
    for stray in [&SEQUENCE_END[..], &[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0], &[0xFE, 0xFF, 0x34, 0x12, 9, 0, 0, 0]] {
        let _ = attempt(file(EXPLICIT, &[Pixels::default().elements(), vec![stray.repeat(3)]].concat()));
    }
}

#[test]
fn pixel_data_of_another_syntax_is_refused() {
    let (words, bytes) = ramp(24);
    let native = element((0x7FE0, 0x0010), "OW", &bytes);
    for syntax in [RLE, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, JPEG_2000] {
        let elements = [Pixels::default().elements(), vec![native.clone()]].concat();
        assert!(matches!(attempt(file(syntax, &elements)), Err(Error::Invalid { .. })), "{syntax}");
        for data in [&rle(&words)[..], &[0xFF, 0xD8, 0xFF, 0xD9], &[], &[0xFF; 300], &[0xFF, 0x4F, 0xFF, 0x51, 0, 47]] {
            if syntax != RLE || data.len() != rle(&words).len() {
                let error = attempt(Pixels::default().compressed(syntax, data)).unwrap_err();
                assert!(matches!(error, Error::Codec { .. }), "{syntax}: {error}");
            }
        }
    }
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN] {
        let elements = [Pixels::default().elements(), vec![encapsulated(&[&rle(&words)])]].concat();
        assert!(attempt(file(syntax, &elements)).is_err(), "{syntax}");
    }
    let error = attempt(Pixels::default().compressed("1.2.840.10008.1.2.4.100", &[0; 8])).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { found, .. } if found == "1.2.840.10008.1.2.4.100"), "{error}");
    let error = attempt(Pixels::default().compressed("SECRET", &[0; 8])).unwrap_err();
    assert!(!error.to_string().contains("SECRET"));
}

#[test]
fn a_codestream_must_have_the_size_that_the_header_states() {
    // Headers of codestreams that state 65,535 x 65,535 pixels, in files that state the same or another size.
    let sof = |marker: u8| {
        [&[0xFF, 0xD8, 0xFF, marker, 0, 11, 8, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x11, 0], &[0; 30][..]].concat()
    };
    let mut siz = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    siz.extend([65535_u32, 65535, 0, 0, 65535, 65535, 0, 0].iter().flat_map(|size| size.to_be_bytes()));
    siz.extend([0, 1, 7, 1, 1, 0xFF, 0x52, 0, 12]);
    let huge = Pixels { rows: 65535, columns: 65535, allocated: 8, stored: 8, high: 7, ..Pixels::default() };
    for (syntax, data) in
        [(JPEG_BASELINE, sof(0xC0)), (JPEG_LOSSLESS, sof(0xC3)), (JPEG_LS, sof(0xF7)), (JPEG_2000, siz)]
    {
        let small = Pixels { allocated: 8, stored: 8, high: 7, ..Pixels::default() };
        assert!(matches!(attempt(small.compressed(syntax, &data)), Err(Error::Codec { .. })));
        let error = attempt(huge.compressed(syntax, &data)).unwrap_err();
        assert!(matches!(error, Error::Limit { setting: "max_frame_pixels", .. }), "{error}");
        // The size is within the limit, but there is no data for it.
        let large = Pixels { rows: 7000, columns: 7000, ..small };
        let mut data = data;
        let sizes = if syntax == JPEG_2000 { 8..16 } else { 7..11 };
        let size: &[u8] =
            if syntax == JPEG_2000 { &[0, 0, 0x1B, 0x58, 0, 0, 0x1B, 0x58] } else { &[0x1B, 0x58, 0x1B, 0x58] };
        data[sizes].copy_from_slice(size);
        assert!(matches!(attempt(large.compressed(syntax, &data)), Err(Error::Codec { .. })));
    }
}

/// A report has no pixels; an image that has none is not whole.
#[test]
fn an_image_without_its_pixels_is_an_error() {
    let name = Path::new("made.dcm");
    let open = |elements: &[Vec<u8>]| open_bytes(file(EXPLICIT, elements), name, &Limits::default());
    let elements = Pixels::default().elements();
    let error = open(&elements).unwrap_err();
    assert!(matches!(&error, Error::Missing { what, .. } if what == "PixelData (7FE0,0010)"), "{error}");
    assert!(matches!(open(&elements[..4]).unwrap(), Object::Other { sop_class: Some(_) }));
}

#[test]
fn what_is_no_dicom_is_told_so() {
    for bytes in [&b""[..], b"D", b"DICM", &[0; 200], b"\x89PNG\r\n\x1a\n0000000000000", &[b'a'; 4000]] {
        let outcome = attempt(bytes.to_vec());
        assert!(matches!(outcome, Err(Error::NotDicom { .. } | Error::Truncated { .. })), "{outcome:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open_path(folder.path(), &Limits::default()), Err(Error::NotDicom { .. } | Error::Io { .. })));
    assert!(matches!(open_path(&folder.path().join("absent"), &Limits::default()), Err(Error::Io { .. })));
    assert!(!is_dicom(folder.path()) && !is_dicom(&folder.path().join("absent")));
    // A report has no pixels, but is not an error.
    let report = file(EXPLICIT, &[text((0x0008, 0x0016), "UI", "1.2.840.10008.5.1.4.1.1.88.11")]);
    let opened = open_bytes(report, Path::new("made.dcm"), &Limits::default()).unwrap();
    assert!(matches!(opened, Object::Other { sop_class: Some(class) } if class == "1.2.840.10008.5.1.4.1.1.88.11"));
}

#[test]
fn identity_is_listed_by_tag_and_never_by_value() {
    let (_, bytes) = ramp(24);
    let nested = sequence((0x0040, 0x0275), &[text((0x0010, 0x0010), "PN", "SECRET^TWO")]);
    let private = text((0x0009, 0x1001), "LO", "SECRET");
    let mut elements = Pixels::default().elements();
    elements.extend([private, nested, element((0x7FE0, 0x0010), "OW", &bytes)]);
    elements.push(text((0xFFFC, 0xFFFC), "OB", "SECRET"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.dcm");
    std::fs::write(&path, file(EXPLICIT, &elements)).unwrap();
    let tags = privacy(&path, &Limits::default()).unwrap();
    let said = serde_json::to_string(&tags).unwrap();
    assert!(!said.contains("SECRET"), "{said}");
    let find = |tag: &str| tags.iter().find(|entry| entry.tag == tag).unwrap_or_else(|| panic!("{tag} in {said}"));
    assert_eq!((find("(0010,0010)").count, find("(0010,0010)").keyword), (2, "PatientName"));
    assert_eq!(find("(0009,1001)").reason, pig_dicom::Reason::Private);
    assert_eq!(find("(FFFC,FFFC)").reason, pig_dicom::Reason::BasicProfile, "after the pixel data");
    assert!(!said.contains("(0028,0010)"), "Rows must not be listed: {said}");
    let image = open(std::fs::read(&path).unwrap()).unwrap();
    assert!(!format!("{image:?}").contains("SECRET"), "Debug output must not contain it");
    assert_eq!(image.info().patient_id.as_ref().map(pig_dicom::Identifier::reveal), Some("SECRETID"));
    let _ = short((0x0028, 0x0010), 1);
}

#[test]
fn frames_beyond_the_stated_number_are_counted() {
    let (_, data) = ramp(24);
    let left_over = |bytes: Vec<u8>| Image::from_bytes(bytes, Path::new("made.dcm"), &Limits::default()).unwrap();
    let left_over = |bytes: Vec<u8>| left_over(bytes).info().frames_left_over;
    assert_eq!(left_over(Pixels::default().native(&data)), 0);
    assert_eq!(left_over(Pixels::default().native(&data.repeat(3))), 2);
    assert_eq!(left_over(Pixels { frames: "2".into(), ..Pixels::default() }.native(&data.repeat(3))), 1);
    // Half a frame is no frame, and the byte that makes the length even is none either.
    assert_eq!(left_over(Pixels::default().native(&data.repeat(2)[..90])), 0);
    let single = Pixels { rows: 1, columns: 1, allocated: 8, stored: 8, high: 7, ..Pixels::default() };
    assert_eq!(left_over(single.native(&[7, 0])), 0);
    let jpeg = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/b8_s1_gray.jpg")).unwrap();
    for (count, expected) in [(1, 0), (3, 2)] {
        let mut elements = Pixels { allocated: 8, stored: 8, high: 7, ..Pixels::default() }.elements();
        elements.push(common::encapsulated(&vec![&jpeg[..]; count]));
        assert_eq!(left_over(common::file(JPEG_BASELINE, &elements)), expected);
    }
    // One frame in two fragments is one frame.
    let mut elements = Pixels { allocated: 8, stored: 8, high: 7, ..Pixels::default() }.elements();
    elements.push(common::encapsulated(&[&jpeg[..100], &jpeg[100..]]));
    assert_eq!(left_over(common::file(JPEG_BASELINE, &elements)), 0);
}

#[test]
fn content_tells_dicom_from_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        is_dicom(&path)
    };
    let (_, data) = ramp(24);
    let whole = Pixels::default().native(&data);
    for name in ["1.2.840.113619.2.55.3", "I.001", "IM-0001", "a.png", "none"] {
        assert!(told(name, &whole), "{name}");
        assert!(told(name, &whole[132..]), "{name}, without preamble");
    }
    let implicit = |tag: [u8; 4], value: &[u8]| [&tag[..], &(value.len() as u32).to_le_bytes(), value].concat();
    let start = [implicit([8, 0, 8, 0], b"DERIVED "), implicit([8, 0, 0x16, 0], b"1.2.3 ")].concat();
    assert!(told("implicit", &start));
    assert!(told("big", &[&[0, 8, 0, 8][..], b"CS", &[0, 8], b"DERIVED "].concat()));
    // Text and numbers that begin like a data set.
    assert!(!told("lengths", &[8, 0, 8, 0, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4]));
    assert!(!told("odd", &implicit([8, 0, 8, 0], b"odd")));
    let descending = [implicit([8, 0, 0x16, 0], b"1.2.3 "), implicit([8, 0, 8, 0], b"DERIVED ")].concat();
    assert!(!told("descending", &descending));
    let numbers: Vec<u8> = (0..100_u16).flat_map(|number| (8 + number).to_le_bytes()).collect();
    assert!(!told("numbers", &numbers));
    assert!(!told("text", b"id,image,mask\n1,a.png,b.png\n") && !told("empty", b""));
}

#[test]
#[cfg(unix)]
fn a_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.dcm");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(!is_dicom(&path));
    assert!(matches!(open_path(&path, &Limits::default()), Err(Error::NotDicom { .. })));
}
