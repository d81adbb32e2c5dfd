"""Small synthetic files for the tests of crates/dicom, written by encoders of other projects: `dicom_fixtures.py [FOLDER]`.

JPEG-LS by CharLS (pyjpegls), JPEG 2000 by OpenJPEG (pylibjpeg-openjpeg), JPEG by libjpeg-turbo (Pillow); the image follows from
a formula that the Rust test repeats (`value` below). Also DICOM SEG objects by highdicom, with the masks that highdicom reads
from them.
"""

import json
import shutil
import sys
from pathlib import Path

import jpeg_ls
import numpy as np
from openjpeg.utils import encode_array
from PIL import Image

import dicom_pixels

ROWS, COLUMNS = 36, 40
DATA = Path(__file__).resolve().parents[2] / "crates" / "dicom" / "tests" / "data"


def value(bits, samples):
    """A picture with flat parts (runs) and steep ones: [rows, columns(, samples)]."""
    y, x, c = np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), np.arange(samples), indexing="ij")
    flat = (x // 9 + y // 5) % 2 == 0
    array = np.where(flat, 2**bits // 3 + c, x * x * 3 + y * 5 + x * y * 7 + c * 29) % 2**bits
    return array.astype(np.uint8 if bits <= 8 else np.uint16).squeeze()


def write_jpeg_ls(folder):
    cases = [(bits, 1, 0, 0) for bits in (2, 5, 7, 8, 10, 12, 16)]
    cases += [(8, 1, 2, 0), (8, 1, 9, 0), (12, 1, 3, 0), (16, 1, 40, 0)]
    cases += [(8, 3, near, mode) for mode in (0, 1, 2) for near in (0, 3)]
    for bits, samples, near, mode in cases:
        array = value(bits, samples)
        if samples == 3 and mode == 0:
            array = np.ascontiguousarray(array.transpose(2, 0, 1))
        data = jpeg_ls.encode_buffer(array.tobytes(), ROWS, COLUMNS, samples, bits, near, mode)
        (folder / f"b{bits}_s{samples}_n{near}_i{mode}.jls").write_bytes(data)


def write_jpeg_2000(folder):
    for bits, signed in ((8, False), (12, False), (16, False), (8, True), (12, True), (16, True)):
        array = value(bits, 1)
        if signed:
            array = (array.astype(np.int32) - 2 ** (bits - 1)).astype(np.int8 if bits <= 8 else np.int16)
        data = encode_array(array, bits_stored=bits, photometric_interpretation=2, use_mct=False, codec_format=0)
        (folder / f"b{bits}_{'signed' if signed else 'unsigned'}.j2k").write_bytes(data)
    data = encode_array(value(8, 3), bits_stored=8, photometric_interpretation=1, use_mct=True, codec_format=0)
    (folder / "b8_rgb.j2k").write_bytes(data)


def write_jpeg(folder):
    """Baseline JPEG at the highest quality, with full and with halved chroma (gray as RGB, so that no chroma is lost)."""
    gray = value(8, 1)
    Image.fromarray(gray).save(folder / "b8_s1_gray.jpg", quality=100, restart_marker_rows=2)
    colour = Image.fromarray(np.repeat(gray[..., np.newaxis], 3, axis=2))
    colour.save(folder / "b8_s3_444.jpg", quality=100, subsampling=0)
    colour.save(folder / "b8_s3_420.jpg", quality=100, subsampling=2)


def write_segmentations(folder):
    masks = {}
    for path, name in dicom_pixels.segmentations(folder):
        sources = sources_of(path)
        found = dicom_pixels.highdicom_masks(path, sources)
        masks[name] = [
            {"sop_instance": instance, "frame": frame, "mask": "".join(str(int(v)) for v in mask.reshape(-1))}
            for (instance, frame), mask in zip(sources, found)
        ]
    (folder / "masks.json").write_text(json.dumps(masks, indent=0) + "\n")


def sources_of(path):
    """(instance, frame from 0) of every source frame, sorted."""
    import pydicom

    found = set()
    for item in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence:
        for derivation in item.DerivationImageSequence:
            for image in derivation.SourceImageSequence:
                found.add((str(image.ReferencedSOPInstanceUID), int(image.ReferencedFrameNumber) - 1))
    return sorted(found)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_jpeg_ls(folder)
    write_jpeg_2000(folder)
    write_jpeg(folder)
    write_segmentations(folder)
    print(sum(p.stat().st_size for p in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
