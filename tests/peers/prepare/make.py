"""External references for `pig-prepare`: NIfTI by nibabel, polygons by scikit-image, a DICOM SEG by highdicom.

Writes small files beside this script (or into another FOLDER given as the argument):

- NAME.nii or NAME.nii.gz, and nifti.json with nibabel's array (scaled, as float64), affine and spacing of each
- polygons.json: polygons and the pixels that skimage.draw.polygon fills
- seg/: three single-frame images and a binary SEG with two segments for them, and seg.json with the drawn masks

    pip install nibabel scikit-image highdicom numpy && python tests/peers/prepare/make.py
"""

import json
import pathlib
import sys

import highdicom
import nibabel
import numpy
import pydicom
import skimage.draw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

ROTATION = numpy.array([[0.9, -0.3, 0.1, -12.0], [0.2, 1.9, -0.4, 7.5], [-0.1, 0.5, 3.1, 20.25], [0, 0, 0, 1.0]])


def nifti(folder):
    random = numpy.random.default_rng(4)
    shape = (5, 4, 3)
    cases = {}

    def save(name, data, affine, **header):
        image = nibabel.Nifti1Image(data, affine)
        if header.get("big"):
            image = nibabel.Nifti1Image(data, affine, image.header.as_byteswapped(">"))
        if "slope" in header:
            image.header.set_slope_inter(header["slope"], header["inter"])
        if header.get("qform_only"):
            image.set_sform(None, code=0)
            image.set_qform(affine, code=1)
        if header.get("no_affine"):
            image.set_sform(None, code=0)
            image.set_qform(None, code=0)
            image.header["pixdim"][1:4] = [0.7, 0.8, 2.5]
        path = folder / name
        nibabel.save(image, path)
        read = nibabel.load(path)
        array = read.get_fdata(dtype=numpy.float64)
        cases[name] = {
            "shape": list(array.shape),
            "values": array.ravel(order="F").tolist(),
            "affine": read.affine[:3].tolist(),
            "spacing": [float(zoom) for zoom in read.header.get_zooms()],
        }

    save("int16_scaled.nii", random.integers(-900, 900, shape).astype(numpy.int16), ROTATION, slope=0.5, inter=-100.0)
    save("uint8_packed.nii.gz", random.integers(0, 255, shape).astype(numpy.uint8), ROTATION)
    save("float32_big_endian.nii", random.normal(size=shape).astype(">f4"), ROTATION, big=True)
    # A quaternion can only hold rotations.
    turn = numpy.diag([1.5, 0.75, 4.0, 1.0])
    turn[:3, :3] = numpy.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) @ turn[:3, :3]
    turn[:3, 3] = [3.0, -4.0, 5.0]
    save("float64_qform.nii", random.normal(size=shape), turn, qform_only=True)
    save("uint16_no_affine.nii.gz", random.integers(0, 60000, shape).astype(numpy.uint16), numpy.eye(4), no_affine=True)
    save("int32_two_dimensions.nii", random.integers(-5, 5, (6, 3)).astype(numpy.int32), numpy.eye(4))
    (folder / "nifti.json").write_text(json.dumps({"nibabel": nibabel.__version__, "cases": cases}) + "\n")


def polygons(folder):
    random = numpy.random.default_rng(11)
    cases = []
    for count in [3, 4, 7, 25]:
        # Points off the grid, so that no edge runs through the centre of a pixel.
        points = random.uniform(-4, 44, size=(count, 2)).round(3) + 0.00037
        rows, columns = skimage.draw.polygon(points[:, 1], points[:, 0], shape=(40, 36))
        filled = sorted(int(row) * 36 + int(column) for row, column in zip(rows, columns))
        cases.append({"points": points.tolist(), "filled": filled})
    (folder / "polygons.json").write_text(json.dumps({"skimage": skimage.__version__, "cases": cases}) + "\n")


def image(folder, index, study, series, frame_of_reference):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = pydicom.uid.MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[f"image {index}"])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.FrameOfReferenceUID = frame_of_reference
    dataset.Modality, dataset.PatientID, dataset.PatientName = "MR", "MARKED-ID-77", "MARKEDNAME^ANNA"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.StudyDate, dataset.StudyTime = "19510203", "F", "20110908", ""
    dataset.AccessionNumber, dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "MARKEDACC", "1", 1, index + 1
    dataset.ReferringPhysicianName = "MARKEDDOCTOR"
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = [-10.0, 5.0, 3.0 * index]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.25], 3.0
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 20, 24, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    rows, columns = numpy.mgrid[:20, :24]
    dataset.PixelData = (rows * 100 + columns * 40 + 300 * index).astype("<u2").tobytes()
    dataset.save_as(folder / f"slice{index}.dcm", enforce_file_format=True)
    return dataset


def timeless(dataset):
    """Fixes the values that highdicom takes from the clock or at random, so that the same file can be made again."""
    for element in dataset.iterall():
        if element.VR == "DA" and element.keyword != "PatientBirthDate":
            element.value = "20240101"
        elif element.VR in ("TM", "DT"):
            element.value = "120000" if element.VR == "TM" else "20240101120000"
        elif element.keyword == "DimensionOrganizationUID":
            element.value = generate_uid(entropy_srcs=["dimensions"])


def segmentation(folder):
    folder.mkdir(exist_ok=True)
    study, series, place = (generate_uid(entropy_srcs=[word]) for word in ["study", "series", "place"])
    images = [image(folder, index, study, series, place) for index in range(3)]
    # Segment 1 is drawn on the first and second image, segment 2 on the second; the third image has no segment.
    masks = numpy.zeros((3, 20, 24, 2), dtype=numpy.uint8)
    masks[0, 3:8, 4:12, 0] = 1
    masks[1, 5:9, 6:10, 0] = 1
    masks[1, 14:18, 2:7, 1] = 1

    def description(number, label):
        return highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Neoplasm,
            algorithm_type="MANUAL",
        )

    seg = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=masks,
        segmentation_type="BINARY",
        segment_descriptions=[description(1, "MARKEDLABEL"), description(2, "second")],
        series_instance_uid=generate_uid(entropy_srcs=["seg series"]),
        series_number=2,
        sop_instance_uid=generate_uid(entropy_srcs=["seg"]),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    )
    timeless(seg)
    seg.save_as(folder / "seg.dcm")
    drawn = {"all": masks.max(axis=3), "segment 2": masks[..., 1]}
    text = {name: [numpy.flatnonzero(mask).tolist() for mask in stack] for name, stack in drawn.items()}
    (folder / "seg.json").write_text(json.dumps({"highdicom": highdicom.__version__, "masks": text}) + "\n")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    folder.mkdir(parents=True, exist_ok=True)
    nifti(folder)
    polygons(folder)
    segmentation(folder / "seg")


if __name__ == "__main__":
    main()
