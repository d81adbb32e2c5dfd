"""Picture files as arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from ._errors import PairsError

#: An image as it is stored: values of 8 or 16 bits, of shape [height, width] or [height, width, 3].
Pixels = Union["npt.NDArray[np.uint8]", "npt.NDArray[np.uint16]"]
#: A label mask: 0 for background, i for the class i, of shape [height, width].
Labels = npt.NDArray[np.uint8]

#: The text of a PNG with a palette that names its classes.
_CLASSES = "classes"

#: Values of a wrong mask that an error lists.
_LISTED = 8


def open_picture(path: Path) -> Image.Image:
    """The picture, decoded as a whole.

    Raises:
        PairsError: the file is missing, cut off, or no picture.
    """
    try:
        with open(path, "rb") as file:
            picture = Image.open(file)
            picture.load()
    except FileNotFoundError as error:
        raise PairsError(f"{path}: there is no such file; expected a picture") from error
    # Pillow reports damage with errors of many kinds.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PairsError(f"{path}: cannot be read as a picture: {error}; expected a whole PNG file") from error
    return picture


def read_pixels(path: Path) -> Pixels:
    """The pixels of an image, gray or colour, as they are stored.

    Raises:
        PairsError: as :func:`open_picture`, or when the picture has another kind of pixels, such as transparent ones.
    """
    picture = open_picture(path)
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), dtype=np.uint8)
    if picture.mode.startswith("I"):
        return _sixteen_bits(path, picture)
    if picture.mode == "P":
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    if picture.mode == "RGB":
        return _sixteen_bit_colour(path) if _bit_depth(path) == 16 else np.asarray(picture, dtype=np.uint8)
    raise PairsError(f"{path}: the pixels are {picture.mode}; expected gray or RGB, as pig prepare writes them")


def read_labels(path: Path) -> Labels:
    """The labels of a mask: 0 for background, 1 for lesion; of several classes, i for the class i - 1 of :func:`class_names`.

    A mask that names its classes, as pig writes it, has their labels as the indices of its palette. Any other mask has two values, of which the greater is lesion; one that has a single value is empty if this is 0, and all
    lesion if it is 1 or the greatest that the file can hold.

    Raises:
        PairsError: as :func:`open_picture`, or when the picture is not gray or has other values.
    """
    picture = open_picture(path)
    names = _class_names(path, picture)
    if names:
        labels = np.asarray(picture, dtype=np.uint8)
        if labels.size and int(labels.max()) > len(names):
            raise PairsError(f"{path}: the mask has the label {labels.max()}; expected at most {len(names)}, as its names say")
        return labels
    if picture.mode in ("1", "L"):
        values, full = np.asarray(picture.convert("L")), 255
    elif picture.mode.startswith("I"):
        values, full = _sixteen_bits(path, picture), 65535
    else:
        raise PairsError(f"{path}: the pixels of the mask are {picture.mode}; expected gray; use pig prepare first")
    found = [int(value) for value in np.unique(values)]
    if len(found) == 1 and found[0] in (0, 1, full):
        return np.full(values.shape, 1 if found[0] else 0, dtype=np.uint8)
    if len(found) != 2:
        listed = ", ".join(map(str, found[:_LISTED])) + (", ..." if len(found) > _LISTED else "")
        raise PairsError(
            f"{path}: the mask has the values {listed}; expected 0 and one other; use pig prepare, which is told by "
            "prepare.mask_values or prepare.mask_threshold what is lesion"
        )
    return np.asarray(values == found[1], dtype=np.uint8)


def class_names(path: Path) -> tuple[str, ...]:
    """The names of the classes that a mask tells apart: the label i + 1 has the name i. Empty if it names none.

    Raises:
        PairsError: as :func:`open_picture`, or when the names cannot be read.
    """
    return _class_names(path, open_picture(path))


def _class_names(path: Path, picture: Image.Image) -> tuple[str, ...]:
    text = picture.info.get(_CLASSES)
    if picture.mode != "P" or text is None:
        return ()
    try:
        names = json.loads(str(text))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PairsError(f"{path}: the text {_CLASSES!r} is {text!r}; expected a JSON list of the names of classes")
    return tuple(names)


def _sixteen_bits(path: Path, picture: Image.Image) -> npt.NDArray[np.uint16]:
    # Older versions of Pillow hold such pixels in 32 bits.
    values: npt.NDArray[Any] = np.asarray(picture)
    if values.size and (values.min() < 0 or values.max() > 65535):
        found = f"{values.min()} to {values.max()}"
        raise PairsError(f"{path}: the pixels have values from {found}; expected 0 to 65535")
    return values.astype(np.uint16)


def _bit_depth(path: Path) -> int:
    """The bits of a PNG's samples, which Pillow does not tell; 8 for other files."""
    with open(path, "rb") as file:
        head = file.read(25)
    return head[24] if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 25 else 8


def _sixteen_bit_colour(path: Path) -> npt.NDArray[np.uint16]:
    """Colour of 16 bits. Pillow has no such pixels and keeps the upper bytes. So the file is decoded twice: once as it is,
    and once as if the bytes were the other way round, so that the lower ones are kept."""
    upper, lower = (_bytes_of_colour(path, order).astype(np.uint16) for order in ("RGB;16B", "RGB;16L"))
    return np.asarray(upper << 8 | lower, dtype=np.uint16)


def _bytes_of_colour(path: Path, order: str) -> npt.NDArray[np.uint8]:
    with PngImagePlugin.PngImageFile(path) as picture:
        # Tiles were plain tuples before Pillow 11.1.
        tiles: Any = picture.tile
        picture.tile = [
            tile._replace(args=order) if hasattr(tile, "_replace") else (*tile[:3], order) for tile in tiles
        ]
        return np.array(picture, dtype=np.uint8)
