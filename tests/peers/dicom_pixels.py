"""Goldens of what pydicom and highdicom read from DICOM files, and a comparison of their arrays with those of pig's reader.

`dicom_pixels.py [FOLDER]` writes dicom_pixels.json: for each file that pydicom decodes, a SHA-256 of its stored, modality
and windowed values (or red, green and blue) as little-endian float64; if the compression is lossy, a few sampled values instead.
Baseline JPEG is decoded by pydicom's Pillow plugin (libjpeg-turbo), because the chroma of its pylibjpeg plugin differs by up to
three levels. No pixel data is stored. `dicom_pixels.py --compare BINARY` runs pig's example `dicom_arrays` on the same files,
compares whole arrays, then masks of segmentations made by highdicom, and prints what each side reads.

Files: the shared ones (shared/data/dicom_cbis beside the checkout, if present), pydicom's test files and pydicom-data.

pydicom applies rescale and windows only from the top level of a data set. For multi-frame objects, the attributes of a frame
are therefore first copied there from its functional groups (shared, then per frame), where the standard stores them.
"""

import collections
import copy
import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import data_store
import numpy as np
import pydicom
from pydicom import config, pixels
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, RLELossless

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom_cbis"
LOSSY = {str(JPEGBaseline8Bit), "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", str(JPEG2000)}
GROUPS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
}
SAMPLED = 12
# Files that pydicom reads wrongly: (stage, reason).
KNOWN = {
    f"pydicom-data/data/{name}.dcm": ("rgb", "pydicom does not swap the bytes of a big-endian palette")
    for name in ("OBXXXX1A_expb", "OBXXXX1A_expb_2frame")
}
MOST_BYTES = 1_000_000_000


def files():
    """(name, path) of every candidate, in a fixed order; names do not depend on the machine."""
    roots = {
        "cbis": SHARED,
        "pydicom": Path(pydicom.__file__).parent / "data" / "test_files",
        "pydicom-data": Path(data_store.__file__).parent,
    }
    for label, root in roots.items():
        if not root.is_dir():
            print(f"skipped: {label} ({root.name} is absent)")
            continue
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if path.suffix.lower() not in (".py", ".pyc", ".json", ".txt", ".md", ".gz", ".dump", ".icc", ".zip"):
                yield f"{label}/{path.relative_to(root)}", path


def frame_dataset(ds, index):
    """The attributes that pydicom.pixels reads, overridden by those of the frame's functional groups."""
    flat = pydicom.Dataset()
    for element in ds:
        if element.tag.group == 0x0028 or element.keyword in ("VOILUTSequence", "ModalityLUTSequence"):
            flat.add(copy.deepcopy(element))
    flat.file_meta = ds.file_meta
    flat.set_original_encoding(*ds.original_encoding)
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    frames = ds.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (shared[:1], frames[index : index + 1]):
        for item in groups:
            for sequence, keywords in GROUPS.items():
                for macro in (item.get(sequence) or [])[:1]:
                    for keyword in keywords:
                        if keyword in macro:
                            flat[keyword] = copy.deepcopy(macro[keyword])
    return flat


def gray_stages(ds, stored, index):
    """(stored, modality, windowed) of one frame as float64."""
    flat = frame_dataset(ds, index)
    modality = pixels.apply_modality_lut(stored, flat)
    windowed = pixels.apply_voi_lut(modality, flat)
    return [a.astype(np.float64) for a in (stored, modality, windowed)]


def decode(path):
    """(kind, arrays by stage, data set) as pydicom reads the file; raises an error if pydicom cannot read it."""
    ds = pydicom.dcmread(path, force=True)
    if not any(k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise KeyError("no pixel data")
    interpretation = ds.get("PhotometricInterpretation", "")
    plugin = "pillow" if ds.file_meta.get("TransferSyntaxUID") == JPEGBaseline8Bit else ""
    data = pixels.pixel_array(ds, decoding_plugin=plugin)
    frames = int(ds.get("NumberOfFrames") or 1)
    if data.ndim == (2 if ds.SamplesPerPixel == 1 else 3):
        data = data[np.newaxis]
    data = data[:frames]
    if interpretation == "PALETTE COLOR":
        colours = np.stack([pixels.apply_color_lut(f, ds) for f in data])
        return "colour", {"stored": data.astype(np.float64), "rgb": colours.astype(np.float64)}, ds
    if ds.SamplesPerPixel != 1:
        # Raw: the coded values, before YBR is converted to RGB.
        raw = pixels.pixel_array(ds, raw=True, decoding_plugin=plugin).reshape(data.shape)
        return "colour", {"stored": raw.astype(np.float64), "rgb": data.astype(np.float64)}, ds
    stages = zip(*(gray_stages(ds, frame, index) for index, frame in enumerate(data)))
    return "gray", dict(zip(("stored", "modality", "windowed"), map(np.stack, stages))), ds


def outcome(path):
    """What pydicom reads from a file: (kind, stages, data set), or (reason, None, None)."""
    try:
        return decode(path)
    except KeyError as error:
        if "no pixel data" in str(error):
            return "no pixels", None, None
        return f"refused: {type(error).__name__}", None, None
    except Exception as error:  # Any error of pydicom is its answer.
        return f"refused: {type(error).__name__}", None, None


def is_lossy(ds):
    return str(ds.file_meta.get("TransferSyntaxUID", "")) in LOSSY


def summary(array, lossy):
    """The entry of a golden for a stage."""
    flat = np.ascontiguousarray(array, dtype="<f8").reshape(-1)
    kept = {"shape": list(array.shape), "min": float(flat.min()), "max": float(flat.max())}
    if lossy:
        places = [int(i) for i in np.linspace(0, flat.size - 1, SAMPLED)]
        kept["samples"] = {str(i): float(flat[i]) for i in places}
    else:
        kept["sha256"] = hashlib.sha256(flat.tobytes()).hexdigest()
    return kept


def write_goldens(folder):
    # Files that are absent keep their committed entries, so that the others can be compared.
    committed = Path(__file__).resolve().parent / "goldens" / "dicom_pixels.json"
    known = json.loads(committed.read_text())["files"] if committed.exists() else {}
    entries = {} if SHARED.is_dir() else {name: entry for name, entry in known.items() if name.startswith("cbis/")}
    for name, path in files():
        kind, stages, ds = outcome(path)
        if stages is None:
            continue
        lossy = is_lossy(ds)
        entries[name] = {
            "file": hashlib.sha256(path.read_bytes()).hexdigest()[:16],
            "kind": kind,
            "lossy": lossy,
            "stages": {stage: summary(array, lossy) for stage, array in stages.items()},
        }
    text = json.dumps({"about": f"pydicom {pydicom.__version__}; tests/peers/dicom_pixels.py", "files": entries})
    # One line for each file, so that differences are readable.
    text = text.replace('}}}, "', '}}},\n"').replace('"files": {', '"files": {\n') + "\n"
    path = folder / "dicom_pixels.json"
    path.write_text(text)
    print(f"{path.name}: {path.stat().st_size} bytes, {len(entries)} files")


def run(binary, path, *options):
    """pig's answer: (line, bytes behind it)."""
    done = subprocess.run([binary, str(path), *options], capture_output=True, timeout=120, check=False)
    if done.returncode != 0 or b"\n" not in done.stdout:
        return {"kind": "crashed", "reason": done.stderr.decode(errors="replace")[-400:]}, b""
    line, _, rest = done.stdout.partition(b"\n")
    return json.loads(line), rest


def compare(ours, theirs, lossy):
    """A problem, or None. Lossless data must be equal; lossy data must be within one level for 99.9 % of values, two for all."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} instead of {theirs.shape}"
    apart = np.abs(ours - theirs)
    if not lossy:
        return None if np.array_equal(ours, theirs) else f"{np.mean(apart > 0):.2%} differ, by up to {apart.max():g}"
    close = np.mean(apart <= 1 + 1e-9)
    if apart.max() > 2 + 1e-9 or close < 0.999:
        return f"lossy: {1 - close:.4%} beyond one level, by up to {apart.max():g}"
    return None


def arrays(line, rest):
    """The stages of pig's answer."""
    values = np.frombuffer(rest, dtype="<f8")
    shape = (line["frames"], line["rows"], line["columns"])
    if line["kind"] == "colour":
        samples = line["samples"]
        by_frame = values.reshape(shape[0], -1)
        split = by_frame.shape[1] * samples // (samples + 3)
        stored, rgb = by_frame[:, :split], by_frame[:, split:]
        return {"stored": stored.reshape(*shape, *([samples] * (samples > 1))), "rgb": rgb.reshape(*shape, 3)}
    by_frame = values.reshape(shape[0], 3, *shape[1:])
    return dict(zip(("stored", "modality", "windowed"), by_frame.transpose(1, 0, 2, 3)))


def level(ds, stage):
    """One level of a stage of a lossy file: what one stored level becomes after the slope and the window of the file."""
    slope = max(1.0, abs(float(ds.get("RescaleSlope", 1) or 1)))
    if stage == "stored":
        return 1.0
    if stage != "windowed" or "WindowWidth" not in ds:
        return slope
    width = ds.WindowWidth if ds["WindowWidth"].VM == 1 else ds.WindowWidth[0]
    return max(slope, slope * (2**ds.BitsStored - 1) * slope / max(1.0, float(width) - 1))


def compare_file(binary, name, path, table):
    """Compares one file; returns a list of problems."""
    kind, stages, ds = outcome(path)
    line, rest = run(binary, path, "--image")
    ours = line["kind"] if line["kind"] in ("no pixels", "refused", "crashed") else "read"
    theirs = "read" if stages else kind.split(":")[0]
    table[(ours, theirs)].append((name, line.get("variant", ""), line.get("reason", ""), kind))
    if ours == "crashed":
        return [f"{name}: {line['reason']}"]
    if ours != "read" or theirs != "read":
        return []
    found = arrays(line, rest)
    if found.keys() != stages.keys():
        return [f"{name}: stages {sorted(found)} instead of {sorted(stages)}"]
    lossy = is_lossy(ds)
    problems = []
    for stage, expected in stages.items():
        scale = level(ds, stage)
        if stage == "rgb" and lossy:
            # The conversion magnifies one level of chroma by a factor of 1.8; it is exact, as lossless files show.
            continue
        if name in KNOWN and stage == KNOWN[name][0]:
            print(f"{name}: {stage} not compared: {KNOWN[name][1]}")
            continue
        problem = compare(found[stage] / scale, expected / scale, lossy)
        if problem:
            problems.append(f"{name}: {stage}: {problem} ({ds.file_meta.get('TransferSyntaxUID', '')})")
    return problems


def source_image(frames, rows, columns):
    """A small multi-frame image that segmentations refer to."""
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.13.1.3"
    uid = lambda part: pydicom.uid.generate_uid(entropy_srcs=["pig", part])  # noqa: E731
    ds.SOPClassUID, ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPClassUID, uid("instance")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uid("study"), uid("series"), uid("frame")
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "", "synthetic", "", ""
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "", "", "", "", ""
    ds.Modality, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "MG", "", 1, 1
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = rows, columns, frames, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    measures = pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 1
    orientation = pydicom.Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    items = []
    for index in range(frames):
        position = pydicom.Dataset()
        position.ImagePositionPatient = [0, 0, float(index)]
        item = pydicom.Dataset()
        item.PlanePositionSequence = Sequence([position])
        items.append(item)
    ds.PerFrameFunctionalGroupsSequence = Sequence(items)
    ds.PixelData = bytes(frames * rows * columns)
    return ds


def segmentations(folder):
    """Writes segmentations of every kind with highdicom; yields (path, name)."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    rng = np.random.default_rng(4)
    # 35 pixels in each frame: frames of bit-packed data begin inside a byte.
    source = source_image(6, 5, 7)
    drawn = rng.random((6, 5, 7, 2)) < 0.3
    drawn[2] = False
    description = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"segment {number}",
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Mass if hasattr(codes.SCT, "Mass") else codes.SCT.Tissue,
            algorithm_type="MANUAL",
        )
        for number in (1, 2)
    ]
    kinds = {
        "binary": ("BINARY", drawn.astype(np.uint8), None),
        "fractional": ("FRACTIONAL", np.where(drawn, rng.random(drawn.shape), 0.0), None),
        "fractional_rle": ("FRACTIONAL", np.where(drawn, rng.random(drawn.shape), 0.0), str(RLELossless)),
        "labelmap": ("LABELMAP", np.where(drawn[..., 0], 1, np.where(drawn[..., 1], 2, 0)).astype(np.uint8), None),
    }
    for name, (kind, array, syntax) in kinds.items():
        try:
            seg = hd.seg.Segmentation(
                source_images=[source],
                pixel_array=array,
                segmentation_type=kind,
                segment_descriptions=description,
                series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["pig", name, "series"]),
                series_number=2,
                sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["pig", name]),
                instance_number=1,
                manufacturer="pig",
                manufacturer_model_name="pig",
                software_versions="0",
                device_serial_number="0",
                content_label="TEST",
                **({"transfer_syntax_uid": syntax} if syntax else {}),
            )
        except Exception as error:
            print(f"highdicom does not write {name}: {type(error).__name__}: {error}")
            continue
        path = folder / f"{name}.dcm"
        seg.save_as(path)
        yield path, name


def highdicom_masks(path, sources):
    """The union of all segments on each (instance, frame from 0) as highdicom reads it."""
    import highdicom as hd

    seg = hd.seg.segread(path)
    masks = []
    for instance, frame in sources:
        options = {"ignore_spatial_locations": True}
        if seg.segmentation_type.value == "LABELMAP":
            options |= {"combine_segments": True}
        if frame is None:
            got = seg.get_pixels_by_source_instance([instance], assert_missing_frames_are_empty=True, **options)
        else:
            got = seg.get_pixels_by_source_frame(
                instance, [frame + 1], assert_missing_frames_are_empty=True, **options
            )
        got = np.asarray(got)[0]
        inside = got >= 0.5 if seg.segmentation_type.value == "FRACTIONAL" else got > 0
        masks.append(inside.any(axis=-1) if inside.ndim == 3 else inside)
    return masks


def compare_masks(binary, paths):
    problems = []
    for path, name in paths:
        line, rest = run(binary, path)
        if line["kind"] != "masks":
            problems.append(f"{name}: {line}")
            continue
        shape = (len(line["sources"]), line["rows"], line["columns"])
        ours = np.frombuffer(rest, np.uint8).reshape(shape).astype(bool)
        theirs = np.stack(highdicom_masks(path, line["sources"]))
        if not np.array_equal(ours, theirs):
            problems.append(f"{name}: masks differ in {np.sum(ours != theirs)} pixels")
        print(f"masks of {name}: {shape[0]} source frames, {int(theirs.sum())} pixels inside")
    return problems


def print_table(table):
    print(f"\n{'pig':12} {'pydicom':12} files")
    for (ours, theirs), rows in sorted(table.items()):
        print(f"{ours:12} {theirs:12} {len(rows)}")
    print("\nNot read by pig:")
    for (ours, theirs), rows in sorted(table.items()):
        if ours in ("refused", "crashed"):
            for name, variant, reason, kind in rows:
                print(f"  {name}\n    pydicom: {kind}\n    pig: {variant}: {reason}")
    print("\nRead by pig, not by pydicom:")
    for name, _, _, kind in table.get(("read", "refused"), []) + table.get(("read", "no pixels"), []):
        print(f"  {name}: pydicom: {kind}")


def compare_all(binary):
    table = collections.defaultdict(list)
    problems = []
    for name, path in files():
        problems += compare_file(binary, name, path, table)
    test_files = Path(pydicom.__file__).parent / "data" / "test_files"
    data = Path(data_store.__file__).parent / "data"
    with tempfile.TemporaryDirectory() as folder:
        made = list(segmentations(Path(folder)))
        known = [(test_files / "liver_1frame.dcm", "liver_1frame"), (data / "liver.dcm", "liver")]
        problems += compare_masks(binary, made + [pair for pair in known if pair[0].exists()])
    print_table(table)
    print(f"\n{len(problems)} differences")
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    config.settings.reading_validation_mode = config.IGNORE
    if sys.argv[1:2] == ["--compare"]:
        sys.exit(compare_all(sys.argv[2]))
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "goldens"
    folder.mkdir(parents=True, exist_ok=True)
    write_goldens(folder)


if __name__ == "__main__":
    main()
