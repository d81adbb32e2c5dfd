"""Reads every export with the tool that owns its format and compares it with the sources, pixel for pixel.

    cargo run -p pig-export --example exports -- OUT [REAL]
    python tests/peers/export_readback.py OUT [REAL]

OUT holds `sources/` and `SET/FORMAT/` as the example writes them; REAL is the folder of real pairs that was passed to the
example. `dciodvfy` (Debian's dicom3tools) checks the DICOM objects if it is installed.
"""

import collections
import csv
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys

import highdicom
import monai.data
import monai.transforms
import nibabel
import numpy as np
import PIL.Image
import pydicom
import webdataset
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

# The messages that dciodvfy (dicom3tools 1.00 of Debian 12) may print, and why each is not an error of pig.
ALLOWED = {
    "the tag of Synthetic Data is newer than this validator (Supplement 228 of 2022)": [
        r"Warning - </\(0008,001c\)> - Unrecognized tag - assuming explicit value representation OK \[CS\]",
        r"Error - </\(0008,001c\)> - Attribute with an even group number is not a recognized standard attribute",
        r"Warning - </\(0008,001c\)> - Attribute is not present in standard DICOM IOD",
    ],
    "a study time would have to be invented; DICOM allows an empty one, only media directories need it": [
        r"Warning - </Study(Date\(0008,0020\)|Time\(0008,0030\))> - Missing attribute or value that would be needed to "
        r"build DICOMDIR",
    ],
    "the side that a picture shows is unknown, so the attribute is present and empty, as type 2C demands": [
        r"Warning - </Laterality\(0020,0060\)> - is only permitted to be empty when actually unknown; should be absent "
        r"\(not empty\) if an unpaired body part, and have a value if a paired body part",
    ],
    "dciodvfy prints the kind of object": [
        r"MultiframeGrayscale(Byte|Word)SCImage",
        r"Segmentation",
    ],
}


class Set:
    """One set of exports, and the files from which it was made."""

    def __init__(self, folder, sources):
        self.folder = folder
        self.sources = {origin: self.index(path) for origin, path in sources.items()}

    @staticmethod
    def index(folder):
        """Image and mask for each id, in both layouts."""
        files = [path for path in sorted(folder.rglob("*.png"))]
        if (folder / "images").is_dir():
            return {path.stem: (path, folder / "masks" / path.name) for path in (folder / "images").iterdir()}
        images = [path for path in files if not path.stem.endswith("_mask")]
        return {path.stem: (path, path.with_name(path.stem + "_mask.png")) for path in images}

    def rows(self, name):
        """The manifest of an export."""
        with open(self.folder / name / "manifest.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows, f"{self.folder / name}: an empty manifest"
        assert len({row["id"].lower() for row in rows}) == len(rows), "ids are not unique"
        return rows

    def truth(self, row):
        """Pixels and mask (0 and 1) of the source of a row, read by PIL."""
        image, mask = self.sources[row["origin"]][row["source_id"]]
        return pixels(image), (pixels(mask) > 0).astype(np.uint8)


def pixels(path):
    """The stored values of a gray PNG."""
    values = np.asarray(PIL.Image.open(path))
    assert values.ndim == 2 or (values[..., :1] == values).all(), f"{path}: colour"
    return values if values.ndim == 2 else values[..., 0]


def equal(found, expected, what):
    """Asserts that shape and values are equal."""
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    assert np.array_equal(found, expected), f"{what}: {np.count_nonzero(found != expected)} values differ"


def check_png(data):
    for row in data.rows("png"):
        image, mask = data.truth(row)
        equal(pixels(data.folder / "png" / row["image"]), image, row["image"])
        equal(pixels(data.folder / "png" / row["mask"]), mask * 255, row["mask"])
        source = PIL.Image.open(data.sources[row["origin"]][row["source_id"]][0])
        assert PIL.Image.open(data.folder / "png" / row["image"]).text == source.text, "text chunks differ"


def check_nnunet(data):
    folder = data.folder / "Dataset101_Lesions"
    verify_dataset_integrity(str(folder), num_processes=2)
    origin = {}
    for row in data.rows(folder.name):
        image, mask = data.truth(row)
        origin[row["id"]] = row
        equal(pixels(folder / f"imagesTr/{row['id']}_0000.png"), image, row["image"])
        equal(pixels(folder / f"labelsTr/{row['id']}.png"), mask, row["mask"])
    splits = json.loads((folder / "splits_final.json").read_text())
    validated = [stem for split in splits for stem in split["val"]]
    assert sorted(validated) == sorted(stem for stem, row in origin.items() if row["origin"] == "real")
    for split in splits:
        assert sorted(split["train"] + split["val"]) == sorted(origin)
        patients = [{origin[stem]["patient"] for stem in split[side] if origin[stem]["origin"] == "real"} for side in split]
        assert patients[0] and patients[1] and not patients[0] & patients[1], "a patient is on both sides of a split"


def check_monai(data):
    file = data.folder / "monai" / "datalist.json"
    origin = {row["id"]: row for row in data.rows("monai")}
    load = monai.transforms.LoadImaged(keys=["image", "label"], image_only=True)
    seen = []
    for key in ["training", "validation"]:
        items = monai.data.load_decathlon_datalist(str(file), is_segmentation=True, data_list_key=key)
        for item in items:
            row = origin[pathlib.Path(item["image"]).stem]
            assert item["origin"] == row["origin"] and (key == "training" or item["origin"] == "real")
            image, mask = data.truth(row)
            loaded = load(item)
            # MONAI's PNG reader transposes (row, column) to (x, y).
            equal(np.asarray(loaded["image"]).T, image.astype(np.float32), item["image"])
            equal(np.asarray(loaded["label"]).T, mask.astype(np.float32), item["label"])
            seen.append(row["id"])
    assert sorted(seen) == sorted(origin)


def check_coco(data, name):
    coco = COCO(str(data.folder / name / "annotations.json"))
    rows = {row["image"]: row for row in data.rows(name)}
    assert len(coco.getImgIds()) == len(rows)
    for image_id, entry in coco.imgs.items():
        row = rows[entry["file_name"]]
        image, mask = data.truth(row)
        equal(pixels(data.folder / name / entry["file_name"]), image, entry["file_name"])
        assert (entry["height"], entry["width"]) == image.shape and entry["origin"] == row["origin"]
        joined = np.zeros(mask.shape, int)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[image_id])):
            # Both are exact: run lengths and polygons must be equal to the mask in every pixel.
            instance = coco.annToMask(annotation)
            joined += instance
            assert annotation["area"] == instance.sum(), "the area differs"
            box = coco_mask.toBbox(coco.annToRLE(annotation)).tolist()
            assert annotation["bbox"] == box, f"box {annotation['bbox']}, pycocotools has {box}"
        equal(joined, mask.astype(int), f"{name} {entry['file_name']}")


def stacks(rows):
    """The rows of each file, frame by frame."""
    files = collections.defaultdict(list)
    for row in rows:
        files[row["image"], row["mask"]].append(row)
    for members in files.values():
        members.sort(key=lambda row: int(row["frame"]))
        assert [int(row["frame"]) for row in members] == list(range(1, len(members) + 1))
    return files


def check_nifti(data):
    for files, members in stacks(data.rows("nifti")).items():
        truth = [data.truth(row) for row in members]
        for place, file in enumerate(files):
            read = nibabel.load(data.folder / "nifti" / file)
            expected = np.stack([pair[place].T for pair in truth], axis=-1)
            found = np.asanyarray(read.dataobj)
            assert found.dtype == expected.dtype, f"{file}: {found.dtype}, expected {expected.dtype}"
            equal(found if members[0]["volume"] and found.ndim == 3 else found[..., None], expected, file)
            x = float(members[0]["pixel_width_mm"] or 1)
            y = float(members[0]["pixel_height_mm"] or 1)
            step = int(members[1]["slice"]) - int(members[0]["slice"]) if len(members) > 1 else 1
            z = float(members[0]["slice_spacing_mm"] or 1) * step if found.ndim == 3 else 1
            for affine in [read.affine, read.get_qform(), read.get_sform()]:
                assert np.allclose(affine, np.diag([-x, -y, z, 1]), atol=1e-6), f"{file}: affine {affine}"
            assert nibabel.aff2axcodes(read.affine) == ("L", "P", "S")
            text = read.header["descrip"].item().decode()
            assert ("spacing unknown" in text) == (not members[0]["pixel_width_mm"]), text
            assert f"synthetic={members[0]['synthetic']}" in text, text
            assert read.header.get_xyzt_units()[0] == "mm"


def check_dicom(data, name, kind, messages):
    """`kind` is the Segmentation Type; with `messages`, dciodvfy's are counted there."""
    for (image_file, mask_file), members in stacks(data.rows(name)).items():
        truth = [data.truth(row) for row in members]
        image_path, mask_path = (data.folder / name / file for file in (image_file, mask_file))
        image = pydicom.dcmread(image_path)
        expected = np.stack([pair[0] for pair in truth])
        found = image.pixel_array
        equal(found if len(members) > 1 else found[None], expected, image_file)
        assert found.dtype == expected.dtype
        synthetic = "YES" if members[0]["synthetic"] == "yes" else "NO"
        segmentation = highdicom.seg.segread(mask_path)
        assert segmentation.segmentation_type.value == kind
        for read in [image, segmentation]:
            assert read[0x0008, 0x001C].value == synthetic
            assert read.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert image.StudyInstanceUID == segmentation.StudyInstanceUID and image.PatientID == segmentation.PatientID
        kinds = {np.uint8: "1.2.840.10008.5.1.4.1.1.7.2", np.uint16: "1.2.840.10008.5.1.4.1.1.7.3"}
        assert image.SOPClassUID == kinds[expected.dtype.type]
        if members[0]["pixel_width_mm"]:
            spacing = [float(members[0]["pixel_height_mm"]), float(members[0]["pixel_width_mm"])]
            assert list(image.PixelSpacing) == spacing
        else:
            assert "PixelSpacing" not in image
        masks = np.stack([pair[1] for pair in truth])
        frames = segmentation.get_pixels_by_source_frame(
            source_sop_instance_uid=image.SOPInstanceUID,
            source_frame_numbers=list(range(1, len(members) + 1)),
        )
        equal(frames[..., 0], masks, mask_file)
        raw = pydicom.dcmread(mask_path).pixel_array
        equal(raw if len(members) > 1 else raw[None], masks, mask_file)
        if messages is not None:
            for path in [image_path, mask_path]:
                said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
                for line in (said.stdout + said.stderr).splitlines():
                    messages[line] += 1


def check_messages(messages):
    """Asserts that dciodvfy printed only allowed messages."""
    patterns = [pattern for patterns in ALLOWED.values() for pattern in patterns]
    others = [line for line in messages if not any(re.fullmatch(pattern, line) for pattern in patterns)]
    assert not others, "dciodvfy also says: " + "; ".join(others)
    for line, count in sorted(messages.items()):
        print(f"  {count:6} times, allowed: {line}")


def check_webdataset(data):
    rows = {row["id"]: row for row in data.rows("webdataset")}
    shards = [str(path) for path in sorted((data.folder / "webdataset").glob("*.tar"))]
    seen = []
    for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("pil"):
        row, about = rows[sample["__key__"]], sample["json"]
        image, mask = data.truth(row)
        raw = np.asarray(sample["image.png"].convert("L") if image.dtype == np.uint8 else image)
        equal(raw, image, row["image"])
        equal(np.asarray(sample["mask.png"].convert("L")), mask * 255, row["mask"])
        assert about["origin"] == row["origin"] and about["synthetic"] == (row["synthetic"] == "yes")
        seen.append(sample["__key__"])
    assert sorted(seen) == sorted(rows)
    # That decoder loses 16-bit values; the bytes in the shard are complete.
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        image, _ = data.truth(rows[sample["__key__"]])
        equal(pixels(io.BytesIO(sample["image.png"])), image, sample["__key__"])


def main():
    out = pathlib.Path(sys.argv[1])
    sources = out / "sources"
    sets = [
        Set(out / "merged", {"generated": sources / "generated", "real": sources / "real"}),
        Set(out / "volume", {"real": sources / "volume"}),
    ]
    if len(sys.argv) > 2:
        sets.append(Set(out / "given", {"real": pathlib.Path(sys.argv[2])}))
    messages = collections.Counter() if shutil.which("dciodvfy") else None
    if messages is None:
        print("skipped: dciodvfy is not installed (Debian's dicom3tools)")
    for data in sets:
        checks = {
            "png": lambda: check_png(data),
            "nnU-Net (verify_dataset_integrity)": lambda: check_nnunet(data),
            "MONAI (load_decathlon_datalist)": lambda: check_monai(data),
            "COCO run lengths (pycocotools)": lambda: check_coco(data, "coco-rle"),
            "COCO polygons (pycocotools)": lambda: check_coco(data, "coco-polygon"),
            "NIfTI (nibabel)": lambda: check_nifti(data),
            "DICOM and SEG (pydicom, highdicom)": lambda: check_dicom(data, "dicom-seg", "BINARY", messages),
            # Debian's dciodvfy is older than label maps (Supplement 243 of 2024).
            "DICOM and SEG as label map (pydicom, highdicom)": lambda: check_dicom(data, "dicom-labelmap", "LABELMAP", None),
            "WebDataset (webdataset)": lambda: check_webdataset(data),
        }
        for name, check in checks.items():
            check()
            print(f"{data.folder.name}: {name}: equal", flush=True)
    if messages is not None:
        check_messages(messages)
    assert (out / "merged" / "nifti" / "manifest.csv").exists()


if __name__ == "__main__":
    main()
