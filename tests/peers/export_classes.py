"""Reads exports of masks of several classes with the tools that own the formats, and compares them class by class with the sources.

    cargo run -p pig-export --example exports -- OUT
    python tests/peers/export_classes.py OUT/classes OUT/sources/classes

The first folder holds an export in each format, the second the pairs, whose masks are PNG files with a palette that names the classes.
"""

import io
import json
import pathlib
import sys

import highdicom
import monai.data
import monai.transforms
import nibabel
import numpy as np
import PIL.Image
import webdataset
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from pycocotools.coco import COCO


def labels(source):
    """A label map, and the names of its classes."""
    picture = PIL.Image.open(source)
    assert picture.mode == "P", f"{source}: {picture.mode}"
    return np.asarray(picture), json.loads(picture.info["classes"])


def equal(found, expected, what):
    """Asserts that a label map is the expected one."""
    assert np.array_equal(found, expected), f"{what}: {np.count_nonzero(found != expected)} pixels differ"


def check_nnunet(folder, maps, names):
    verify_dataset_integrity(str(folder), num_processes=1)
    declared = json.loads((folder / "dataset.json").read_text())["labels"]
    assert declared == {"background": 0} | {name: index + 1 for index, name in enumerate(names)}
    for stem, expected in maps.items():
        equal(np.asarray(PIL.Image.open(folder / f"labelsTr/{stem}.png")), expected, stem)


def check_monai(folder, maps, names):
    load = monai.transforms.LoadImaged(keys=["label"], image_only=True)
    seen = 0
    for key in ("training", "validation"):
        for item in monai.data.load_decathlon_datalist(str(folder / "datalist.json"), True, key):
            stem = pathlib.Path(item["label"]).stem
            # MONAI's PNG reader transposes (row, column) to (x, y).
            equal(np.asarray(load(item)["label"]).T, maps[stem], stem)
            seen += 1
    declared = json.loads((folder / "datalist.json").read_text())["labels"]
    assert seen == len(maps) and list(declared.values()) == ["background", *names]


def check_coco(folder, maps, names):
    coco = COCO(str(folder / "annotations.json"))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == names
    for image in coco.loadImgs(coco.getImgIds()):
        found = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            found[coco.annToMask(annotation) > 0] = annotation["category_id"]
        stem = pathlib.Path(image["file_name"]).stem
        equal(found, maps[stem], stem)


def check_nifti(folder, maps, names):
    declared = json.loads((folder / "labels.json").read_text())["labels"]
    assert [declared[str(index)] for index in range(len(names) + 1)] == ["background", *names]
    for stem, expected in maps.items():
        volume = np.asarray(nibabel.load(folder / f"masks/{stem}.nii.gz").dataobj)
        equal(volume.T, expected, stem)


def check_dicom(folder, maps, names):
    for stem, expected in maps.items():
        segmentation = highdicom.seg.segread(folder / f"segmentations/{stem}.dcm")
        numbers = segmentation.segment_numbers
        assert [segmentation.get_segment_description(number).segment_label for number in numbers] == names
        image = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        frames = segmentation.get_pixels_by_source_frame(image, [1])
        for index in range(len(names)):
            equal(frames[0, :, :, index], expected == index + 1, f"{stem}, {names[index]}")


def check_webdataset(folder, maps, names):
    shards = [str(path) for path in sorted(folder.glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert len(samples) == len(maps)
    for sample in samples:
        assert json.loads(sample["json"])["classes"] == names
        found, _ = labels(io.BytesIO(sample["mask.png"]))
        equal(found, maps[sample["__key__"]], sample["__key__"])


def check_png(folder, maps, names):
    for stem, expected in maps.items():
        found, own = labels(folder / f"masks/{stem}.png")
        assert own == names
        equal(found, expected, stem)


def main():
    exports, sources = (pathlib.Path(argument) for argument in sys.argv[1:])
    found = {path.stem: labels(path) for path in sorted((sources / "masks").iterdir())}
    maps = {stem: labels for stem, (labels, _) in found.items()}
    (names,) = {tuple(names) for _, names in found.values()}
    names = list(names)
    for index, name in enumerate(names):
        assert any((labels == index + 1).any() for labels in maps.values()), f"{name} is nowhere"
    for name, check in (
        ("Dataset101_Lesions", check_nnunet),
        ("monai", check_monai),
        ("coco-rle", check_coco),
        ("coco-polygon", check_coco),
        ("nifti", check_nifti),
        ("dicom-seg", check_dicom),
        ("webdataset", check_webdataset),
        ("png", check_png),
    ):
        check(exports / name, maps, names)
        print(f"{exports.name}/{name}: {len(maps)} label maps, {len(names)} classes")


if __name__ == "__main__":
    main()
