//! Makes every export of five sets, which the tools that own the formats then read (`tests/peers/export_readback.py` and
//! `export_classes.py`): phantoms with other phantoms that stand for real pairs, a 16-bit phantom volume with spacing, phantoms of two
//! classes, the same with classes that overlap and have codes and, if given, a folder of real pairs.
//!
//! `cargo run -p pig-export --example exports -- OUT [REAL]` writes `OUT/sources/` and `OUT/SET/FORMAT/`.

use std::error::Error;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pig_data::classes::ClassCode;
use pig_data::phantom::{PhantomConfig, generate_all, write_dataset};
use pig_data::png_file::{encode_class_png, read_label_png, write_png};
use pig_data::{ClassConfig, Pixels};
use pig_export::{Amount, Format, Request, Segmentation, SegmentationType, export};

/// DICOM with label maps, for sets whose classes do not overlap.
const LABELMAP: (&str, Format) = ("dicom-labelmap", Format::DicomSeg { segmentation_type: SegmentationType::Labelmap });

/// The formats and the names of their folders.
const FORMATS: [(&str, Format); 8] = [
    ("Dataset101_Lesions", Format::Nnunet),
    ("monai", Format::Monai),
    ("coco-rle", Format::Coco { segmentation: Segmentation::Rle }),
    ("coco-polygon", Format::Coco { segmentation: Segmentation::Polygon }),
    ("nifti", Format::Nifti),
    ("dicom-seg", Format::DicomSeg { segmentation_type: SegmentationType::Binary }),
    ("webdataset", Format::Webdataset { shard_size: 5 }),
    ("png", Format::Png),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().ok_or("expected a folder to write; give one")?;
    let sources = out.join("sources");
    let phantoms = |seed, lesion_free_share| PhantomConfig {
        patients: 6,
        size: [96, 80],
        seed,
        lesion_free_share,
        ..PhantomConfig::default()
    };
    let (generated, real, volume) = (sources.join("generated"), sources.join("real"), sources.join("volume"));
    let classes = sources.join("classes");
    let two = PhantomConfig { calcification_share: 0.7, ..phantoms(4, 0.3) };
    write_dataset(&two, &classes, &|_, _| {})?;
    write_dataset(&phantoms(1, 0.3), &generated, &|_, _| {})?;
    write_dataset(&phantoms(2, 0.3), &real, &|_, _| {})?;
    write_volume(&phantoms(3, 0.0), &volume)?;
    let merged = |format, out| Request {
        real: Some(real.clone()),
        amount: Amount::Share(0.4),
        ..Request::new(generated.clone(), out, format)
    };
    make(&out, "merged", merged)?;
    make(&out, "volume", |format, out| Request::new(volume.clone(), out, format))?;
    make(&out, "classes", |format, out| Request::new(classes.clone(), out, format))?;
    let regions = sources.join("regions");
    write_regions(&classes, &regions)?;
    make_formats(&out, "regions", FORMATS, |format, out| Request::new(regions.clone(), out, format))?;
    if let Some(given) = arguments.next() {
        make(&out, "given", |format, out| Request::new(given.clone(), out, format))?;
    }
    Ok(())
}

/// Every format of one set, whose classes do not overlap.
fn make(out: &Path, set: &str, request: impl Fn(Format, PathBuf) -> Request) -> Result<(), Box<dyn Error>> {
    make_formats(out, set, FORMATS.into_iter().chain([LABELMAP]), request)
}

/// These formats of one set.
fn make_formats(
    out: &Path,
    set: &str,
    formats: impl IntoIterator<Item = (&'static str, Format)>,
    request: impl Fn(Format, PathBuf) -> Request,
) -> Result<(), Box<dyn Error>> {
    for (name, format) in formats {
        let folder = out.join(set).join(name);
        std::fs::create_dir_all(out.join(set))?;
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let request = Request { created, ..request(format, folder) };
        let summary = export(&request, &|_, _| ControlFlow::Continue(()))?;
        println!("{set}/{name}: {} generated, {} real", summary.generated, summary.real);
    }
    Ok(())
}

/// The pairs of a folder of two classes with regions instead: the whole of both classes, the first class and, in every third mask, the second
/// class as a part of the first region.
fn write_regions(classes: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let code = |[value, scheme, meaning]: [&str; 3]| ClassCode {
        value: value.to_owned(),
        scheme: scheme.to_owned(),
        meaning: meaning.to_owned(),
    };
    let class = |name: &str, own: Option<[&str; 3]>| ClassConfig {
        name: name.to_owned(),
        code: own.map(code),
        ..ClassConfig::default()
    };
    let regions = [
        class("core", None),
        class("mass", Some(["4147007", "SCT", "Mass"])),
        class("whole", Some(["52988006", "SCT", "Lesion"])),
    ];
    std::fs::create_dir_all(out.join("images"))?;
    std::fs::create_dir_all(out.join("masks"))?;
    let mut names: Vec<_> = std::fs::read_dir(classes.join("masks"))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    for (index, name) in names.iter().enumerate() {
        std::fs::copy(classes.join("images").join(name), out.join("images").join(name))?;
        let stored = read_label_png(&classes.join("masks").join(name))?;
        let Pixels::Eight(labels) = stored.pixels else { continue };
        let core = u8::from(index % 3 == 0);
        let sets: Vec<u8> = labels.iter().map(|&label| [0, 0b110 | core, 0b100][usize::from(label)]).collect();
        let path = out.join("masks").join(name);
        std::fs::write(&path, encode_class_png(&path, [stored.height, stored.width], &sets, (&regions, true), &[])?)?;
    }
    Ok(())
}

/// 16-bit phantom slices: two volumes of two patients, one of them with only every second slice, and a single slice.
fn write_volume(config: &PhantomConfig, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut manifest =
        "id,image,mask,patient,volume,slice,pixel_width_mm,pixel_height_mm,slice_spacing_mm\n".to_owned();
    for (index, slice) in generate_all(config)?.into_iter().enumerate() {
        let id = format!("s{index:02}");
        let pixels = slice.image_u8().iter().map(|&value| u16::from(value) * 211 + 1000).collect();
        let size = [slice.height, slice.width];
        std::fs::create_dir_all(out.join("images"))?;
        std::fs::create_dir_all(out.join("masks"))?;
        write_png(&out.join(format!("images/{id}.png")), size, 1, &Pixels::Sixteen(pixels), &[])?;
        write_png(&out.join(format!("masks/{id}.png")), size, 1, &Pixels::Eight(slice.mask_u8()), &[])?;
        let (patient, volume, number) = match index {
            0..6 => ("a", "va", (10 + index).to_string()),
            6..11 => ("b", "vb", (2 * index).to_string()),
            _ => ("c", "", String::new()),
        };
        writeln!(manifest, "{id},images/{id}.png,masks/{id}.png,{patient},{volume},{number},0.085,0.09,1")?;
    }
    std::fs::write(out.join("manifest.csv"), manifest)?;
    Ok(())
}
