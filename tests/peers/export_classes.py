"""Reads exports of masks of several classes with the tools that own the formats, and compares them class by class with the sources.

    cargo run -p pig-export --example exports -- OUT
    python tests/peers/export_classes.py OUT/classes OUT/sources/classes
    python tests/peers/export_classes.py OUT/regions OUT/sources/regions

The first folder holds an export in each format, the second the pairs, whose masks are PNG files with a palette that names the classes:
by the text `classes` if they exclude each other, by `regions` if they may overlap, so that an index is a set of classes.
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
import pydicom
import webdataset
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from pycocotools.coco import COCO


def labels(source):
    """The masks of a file by the names of their classes, and whether they may overlap."""
    picture = PIL.Image.open(source)
    assert picture.mode == "P", f"{source}: {picture.mode}"
    overlap = "regions" in picture.info
    names = json.loads(picture.info["regions" if overlap else "classes"])
    indices = np.asarray(picture)
    of = (lambda k: indices >> k & 1 == 1) if overlap else (lambda k: indices == k + 1)
    return {name: of(k) for k, name in enumerate(names)}, overlap


def equal(found, expected, what):
    """Asserts that the masks of all classes are the expected ones."""
    assert list(found) == list(expected), f"{what}: {list(found)}"
    for name, mask in expected.items():
        assert np.array_equal(found[name], mask), f"{what}, {name}: {np.count_nonzero(found[name] != mask)} pixels differ"


def of_numbers(numbers, described, names):
    """The masks of a map of numbers, by the numbers of each class."""
    return {name: np.isin(numbers, described[name]) for name in names}


def check_nnunet(folder, maps, names, overlap):
    verify_dataset_integrity(str(folder), num_processes=1)
    declared = json.loads((folder / "dataset.json").read_text())
    order = declared.get("regions_class_order")
    assert (order is not None) == overlap
    manager = LabelManager(declared["labels"], order)
    assert manager.has_regions == overlap and sorted(declared["labels"]) == sorted(["background", *names])
    for stem, expected in maps.items():
        numbers = np.asarray(PIL.Image.open(folder / f"labelsTr/{stem}.png"))
        equal(of_numbers(numbers, declared["labels"], names), expected, stem)
        if overlap:
            # What nnU-Net makes of a perfect prediction of its regions.
            regions = [name for name in declared["labels"] if name != "background"]
            perfect = np.stack([expected[name] for name in regions]).astype(np.float32)[:, None]
            again = manager.convert_probabilities_to_segmentation(perfect)
            equal(of_numbers(np.asarray(again)[0], declared["labels"], names), expected, f"{stem}, from regions")


def check_monai(folder, maps, names, overlap):
    load = monai.transforms.LoadImaged(keys=["label"], image_only=True)
    declared = json.loads((folder / "datalist.json").read_text())
    described = declared["regions"] if overlap else {name: [int(key)] for key, name in declared["labels"].items()}
    seen = 0
    for key in ("training", "validation"):
        for item in monai.data.load_decathlon_datalist(str(folder / "datalist.json"), True, key):
            stem = pathlib.Path(item["label"]).stem
            # MONAI's PNG reader transposes (row, column) to (x, y).
            equal(of_numbers(np.asarray(load(item)["label"]).T, described, names), maps[stem], stem)
            seen += 1
    assert seen == len(maps) and declared["labels"]["0"] == "background"


def check_coco(folder, maps, names, _overlap):
    coco = COCO(str(folder / "annotations.json"))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == names
    for image in coco.loadImgs(coco.getImgIds()):
        found = {name: np.zeros((image["height"], image["width"]), bool) for name in names}
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            found[names[annotation["category_id"] - 1]] |= coco.annToMask(annotation) > 0
        stem = pathlib.Path(image["file_name"]).stem
        equal(found, maps[stem], stem)


def check_nifti(folder, maps, names, overlap):
    declared = json.loads((folder / "labels.json").read_text())
    described = declared["regions"] if overlap else {name: [int(key)] for key, name in declared["labels"].items()}
    for stem, expected in maps.items():
        volume = np.asarray(nibabel.load(folder / f"masks/{stem}.nii.gz").dataobj)
        equal(of_numbers(volume.T, described, names), expected, stem)


def check_dicom(folder, maps, names, overlap, labelmap=False):
    for stem, expected in maps.items():
        segmentation = highdicom.seg.segread(folder / f"segmentations/{stem}.dcm")
        assert segmentation.segmentation_type.value == ("LABELMAP" if labelmap else "BINARY")
        descriptions = [segmentation.get_segment_description(number) for number in segmentation.segment_numbers]
        assert [description.segment_label for description in descriptions] == names
        codes = [description.segmented_property_type.value for description in descriptions]
        assert codes == (["52988006", "4147007", "52988006"] if overlap else ["52988006"] * len(names)), codes
        assert segmentation.SegmentsOverlap == ("YES" if overlap else "NO")
        image = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        frames = segmentation.get_pixels_by_source_frame(image, [1])
        equal({name: frames[0, :, :, index] > 0 for index, name in enumerate(names)}, expected, stem)


def check_dicom_labelmap(folder, maps, names, overlap):
    assert not overlap
    check_dicom(folder, maps, names, overlap, labelmap=True)
    for stem, expected in maps.items():
        # The pixels as pydicom gives them, and the segments as highdicom makes a label map of them.
        stored = pydicom.dcmread(folder / f"segmentations/{stem}.dcm")
        assert stored.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
        described = {segment.SegmentNumber: segment.SegmentLabel for segment in stored.SegmentSequence}
        assert described == {0: "Background", **{number: name for number, name in enumerate(names, 1)}}
        numbers = stored.pixel_array
        assert numbers.dtype == np.uint8 and stored.PixelPaddingValue == 0
        equal({name: numbers == number for number, name in enumerate(names, 1)}, expected, stem)
        segmentation = highdicom.seg.segread(folder / f"segmentations/{stem}.dcm")
        image = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        joined = segmentation.get_pixels_by_source_frame(image, [1], combine_segments=True)
        assert np.array_equal(joined[0], numbers), stem


def check_webdataset(folder, maps, names, overlap):
    shards = [str(path) for path in sorted(folder.glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert len(samples) == len(maps)
    for sample in samples:
        about = json.loads(sample["json"])
        assert about["classes"] == names and about.get("classes_overlap", False) == overlap
        equal(labels(io.BytesIO(sample["mask.png"]))[0], maps[sample["__key__"]], sample["__key__"])


def check_png(folder, maps, _names, overlap):
    for stem, expected in maps.items():
        found, own = labels(folder / f"masks/{stem}.png")
        assert own == overlap
        equal(found, expected, stem)


def main():
    exports, sources = (pathlib.Path(argument) for argument in sys.argv[1:])
    found = {path.stem: labels(path) for path in sorted((sources / "masks").iterdir())}
    maps = {stem: masks for stem, (masks, _) in found.items()}
    ((names, overlap),) = {(tuple(masks), overlap) for masks, overlap in found.values()}
    names = list(names)
    for name in names:
        assert any(masks[name].any() for masks in maps.values()), f"{name} is nowhere"
    checks = [
        ("Dataset101_Lesions", check_nnunet),
        ("monai", check_monai),
        ("coco-rle", check_coco),
        ("coco-polygon", check_coco),
        ("nifti", check_nifti),
        ("dicom-seg", check_dicom),
        ("webdataset", check_webdataset),
        ("png", check_png),
    ]
    if not overlap:
        checks.append(("dicom-labelmap", check_dicom_labelmap))
    for name, check in checks:
        check(exports / name, maps, names, overlap)
        print(f"{exports.name}/{name}: {len(maps)} masks, {len(names)} classes{' that may overlap' if overlap else ''}")


if __name__ == "__main__":
    main()
