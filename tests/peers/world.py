"""Checks the position of prepared pairs in the patient against nibabel and pydicom.

    cargo build --workspace --bin pig
    python tests/peers/world.py OUT target/debug/pig

In the sources, the value of a pixel is a linear function of its position in the patient (millimetres, RAS+). After
`pig prepare` (crop, resize, pad, mirror) and `pig export --format nifti`, the value of every voxel must be the same function
of the position that nibabel reads from the affine of the export. The positions in the sources come from nibabel (an oblique
NIfTI volume) and, by the formula of PS3.3 C.7.6.2.1.1, from plane positions and orientations (a tomosynthesis object whose
frames are in the direction opposite to the normal, one whose frames are unevenly spaced, and single images).
"""

import pathlib
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

GRADIENT = np.array([9.0, -7.0, 11.0])
# Allowed difference of values: half a level of rounding in the source, and the error of resampling. An error of half a
# prepared pixel in the position changes the value by more than one level.
TOLERANCE = 0.75


def value(world):
    """The pixel value of all sources at a position; the last axis of `world` is x, y, z."""
    return 2000.0 + world @ GRADIENT


def places(affine, shape):
    """The position of every voxel."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return grid @ affine[:3, :3].T + affine[:3, 3]


def rotation(a, b, c):
    def turn(angle, i, j):
        matrix = np.eye(3)
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
        return matrix

    return turn(a, 0, 1) @ turn(b, 1, 2) @ turn(c, 0, 2)


def lesion(shape):
    mask = np.zeros(shape, np.uint8)
    mask[10:20, 8:15, 1:-1] = 1
    return mask


def breast(shape):
    """True for tissue; the rest is air."""
    tissue = np.zeros(shape, bool)
    tissue[:-8, 3:-3] = True
    return tissue


def nifti_source(folder):
    affine = np.eye(4)
    affine[:3, :3] = rotation(0.3, -0.2, 0.15) @ np.diag([-0.6, 0.9, 2.5])
    affine[:3, 3] = [11.0, -13.0, -9.0]
    shape = (40, 30, 26)
    volume = np.round(value(places(affine, shape))).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, affine), folder / "v.nii.gz")
    nibabel.save(nibabel.Nifti1Image(lesion(shape), affine), folder / "v_mask.nii.gz")


def dicom_source(folder, distances, laterality, frames=True):
    """`distances`: positions of the frames along the normal, in mm."""
    columns, rows = 44, 36
    turned = rotation(-0.25, 0.1, 0.2)
    across, down, normal = turned[:, 0], turned[:, 1], turned[:, 2]
    spacing = [0.5, 0.4]
    positions = [np.array([-8.0, 7.0, 3.0]) + normal * distance for distance in distances]
    grid_rows, grid_columns = np.mgrid[:rows, :columns]
    pictures = []
    for position in positions:
        lps = position + grid_columns[..., None] * spacing[1] * across + grid_rows[..., None] * spacing[0] * down
        picture = np.round(value(lps * [-1, -1, 1])).astype(np.uint16)
        pictures.append(np.where(breast((columns, rows)).T, picture, 0))
    mask = lesion((columns, rows, len(distances) if frames else 3))
    if frames:
        write_dicom(folder / "t.dcm", pictures, positions, [*across, *down], spacing, laterality)
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), folder / "t_mask.nii")
    else:
        for index, (picture, position) in enumerate(zip(pictures, positions)):
            name = f"s{index}"
            write_dicom(folder / f"{name}.dcm", [picture], [position], [*across, *down], spacing, laterality)
            nibabel.save(nibabel.Nifti1Image(mask[:, :, 1:2], np.eye(4)), folder / f"{name}_mask.nii")


def write_dicom(path, pictures, positions, orientation, spacing, laterality):
    many = len(pictures) > 1
    numbers = lambda values: [f"{value:.9f}"[:16] for value in values]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.13.1.3" if many else "1.2.840.10008.5.1.4.1.1.1.2"
    dataset.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[str(path)])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = "MG"
    dataset.Rows, dataset.Columns = pictures[0].shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = np.stack(pictures).astype("<u2").tobytes()
    if many:
        dataset.NumberOfFrames = len(pictures)
        measures, plane, anatomy, shared = Dataset(), Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = numbers(spacing), 1.0
        plane.ImageOrientationPatient = numbers(orientation)
        anatomy.FrameLaterality = laterality
        shared.PixelMeasuresSequence = [measures]
        shared.PlaneOrientationSequence = [plane]
        shared.FrameAnatomySequence = [anatomy]
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = []
        for position in positions:
            item, frame = Dataset(), Dataset()
            item.ImagePositionPatient = numbers(position)
            frame.PlanePositionSequence = [item]
            dataset.PerFrameFunctionalGroupsSequence.append(frame)
    else:
        dataset.ImageLaterality = laterality
        dataset.PixelSpacing = numbers(spacing)
        dataset.ImagePositionPatient = numbers(positions[0])
        dataset.ImageOrientationPatient = numbers(orientation)
    dataset.save_as(path, enforce_file_format=True)


def run(pig, *arguments):
    result = subprocess.run([pig, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"


def prepared(pig, root, axis):
    window = ["window='given'", "window_center=2047.5", "window_width=4095"]
    settings = [*window, "bit_depth=16", "size=[70, 64]", "empty_share=1", "laterality='left'", f"slice_axis={axis}"]
    sets = [word for setting in settings for word in ("--set", f"prepare.{setting}")]
    run(pig, "prepare", root / "source", root / f"prepared{axis}", *sets)
    run(pig, "export", root / f"prepared{axis}", "--format", "nifti", "--out", root / f"nifti{axis}")
    return root / f"nifti{axis}"


def check(name, folder, files, volumes):
    images = sorted((folder / "images").iterdir())
    assert len(images) == files, f"{name}: {len(images)} files, expected {files}"
    worst = 0.0
    for path in images:
        image = nibabel.load(path)
        assert (len(image.shape) == 3) == volumes, f"{name}: {image.shape}"
        shape = image.shape if volumes else (*image.shape, 1)
        seen = image.get_fdata().reshape(shape) * 4095 / 65535
        mask = nibabel.load(folder / "masks" / path.name)
        assert np.array_equal(mask.affine, image.affine)
        # Voxels with only tissue in their neighbourhood: away from padding and air.
        inner = seen > 500
        for axis in (0, 1):
            for shift in range(-6, 7):
                inner &= np.roll(seen, shift, axis) > 500
        inner[:6], inner[-6:], inner[:, :6], inner[:, -6:] = False, False, False, False
        assert inner.sum() > 500 * shape[2], f"{name}: {inner.sum()} voxels to compare"
        apart = np.abs(seen - value(places(image.affine, shape)))[inner].max()
        worst = max(worst, apart)
    print(f"{name}: {len(images)} file(s), values differ by at most {worst:.2f} of 4095 from those of their position")
    assert worst < TOLERANCE, name


def main():
    out, pig = pathlib.Path(sys.argv[1]), sys.argv[2]
    even = [5.0 - 1.2 * index for index in range(6)]
    sources = {
        "nifti": nifti_source,
        "tomosynthesis-left": lambda folder: dicom_source(folder, even, "L"),
        "tomosynthesis-mirrored": lambda folder: dicom_source(folder, even, "R"),
        "tomosynthesis-uneven": lambda folder: dicom_source(folder, [0.0, 1.0, 2.5, 3.0], "R"),
        "single-images": lambda folder: dicom_source(folder, [0.0, 2.0], "R", frames=False),
    }
    for name, make in sources.items():
        root = out / name
        shutil.rmtree(root, ignore_errors=True)
        (root / "source").mkdir(parents=True)
        make(root / "source")
        if name == "nifti":
            for axis in (2, 1, 0):
                check(f"{name} along axis {axis}", prepared(pig, root, axis), 1, True)
        elif name in ("tomosynthesis-left", "tomosynthesis-mirrored"):
            check(name, prepared(pig, root, 2), 1, True)
        else:
            check(name, prepared(pig, root, 2), 4 if name == "tomosynthesis-uneven" else 2, False)


if __name__ == "__main__":
    main()
