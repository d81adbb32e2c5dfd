"""External reference for image resizing: Pillow's BILINEAR filter (antialiased when reducing) on 32-bit float images.

Writes resize.json beside this script. Inputs follow from the formula `value` below, which the test
crates/data/tests/resample.rs repeats, so only outputs are stored.

    pip install pillow numpy && python make.py
"""

import json
import pathlib

import numpy
import PIL
from PIL import Image


def value(row, column):
    """A whole number from 0 to 250 without a visible pattern."""
    return (row * row * 31 + column * column * 17 + row * column * 7 + 11 * column) % 251


# (height, width) before and after: reductions, enlargements, both at once, and sizes that do not divide.
CASES = [((13, 17), (5, 7)), ((7, 5), (16, 9)), ((24, 32), (8, 8)), ((9, 31), (12, 6)), ((64, 50), (3, 2)), ((6, 6), (6, 3))]


def main():
    cases = []
    for (height, width), (new_height, new_width) in CASES:
        pixels = numpy.array([[value(r, c) for c in range(width)] for r in range(height)], dtype=numpy.float32)
        image = Image.fromarray(pixels, mode="F")
        resized = numpy.asarray(image.resize((new_width, new_height), Image.Resampling.BILINEAR))
        cases.append({"from": [height, width], "to": [new_height, new_width], "bilinear": resized.ravel().tolist()})
    target = pathlib.Path(__file__).with_name("resize.json")
    target.write_text(json.dumps({"pillow": PIL.__version__, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
