"""One image with its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from . import _pictures
from ._errors import PairsError
from ._pictures import Labels, Pixels
from ._table import Value


@dataclass(frozen=True)
class Pair:
    """An image with its mask. Files are read when they are asked for, and not kept."""

    #: The stem of the files.
    id: str
    #: The image's file.
    image_path: Path
    #: The mask's file; None if the folder has images alone.
    mask_path: Path | None
    #: The row of the manifest, with numbers as numbers.
    row: Mapping[str, Value] = field(hash=False)
    #: How many slices of a volume the picture shows below each other; 1 for a picture.
    stacked: int = 1

    @property
    def slice(self) -> int | None:
        """The number of this slice in its volume, counted from 0; None if the manifest does not say it."""
        return _whole(self.row.get("slice"))

    @property
    def slices(self) -> int | None:
        """How many slices the volume has; None if the manifest does not say it."""
        return _whole(self.row.get("slices"))

    @property
    def patient(self) -> str | None:
        """The patient's pseudonym; None if the manifest has no such column."""
        value = self.row.get("patient")
        return value if isinstance(value, str) and value else None

    @property
    def seed(self) -> int | None:
        """The seed of a generated pair; None for a real one."""
        return _whole(self.row.get("seed"))

    @property
    def image(self) -> Image.Image:
        """The image with PIL, as it is stored; Pillow keeps 8 of 16 bits of colour. A volume is one picture."""
        return _pictures.open_picture(self.image_path)

    @property
    def mask(self) -> Image.Image:
        """The labels with PIL: 0 for background, 1 for lesion, or i + 1 for the class i. ``pair.mask.point(lambda label: 255 * label)`` shows them."""
        return Image.fromarray(_pictures.read_labels(self._mask_path()))

    def pixels(self) -> Pixels:
        """The image's values of 8 or 16 bits, as they are stored: [height, width], with 3 channels behind for colour, and
        with the slices before for a volume."""
        pixels: Pixels = self._parted(_pictures.read_pixels(self.image_path), self.image_path)
        return pixels

    def labels(self) -> Labels:
        """The mask: 0 for background, 1 for lesion (or i + 1 for the class i), of shape [height, width], with the slices before for a volume.

        Raises:
            PairsError: the folder has no masks, the file is damaged, or it has another size than the image.
        """
        path = self._mask_path()
        labels = _pictures.read_labels(path)
        with Image.open(self.image_path) as image:
            expected = image.size[::-1]
        if labels.shape != expected:
            raise PairsError(
                f"{path}: the mask has {_size(labels.shape)} pixels; expected {_size(expected)} as its image has"
            )
        parted: Labels = self._parted(labels, path)
        return parted

    def scaled(self) -> npt.NDArray[np.float32]:
        """The image from 0 to 1, channels first: [channels, height, width], or [channels, slices, height, width]."""
        pixels = self.pixels()
        values = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
        spatial = 2 if self.stacked == 1 else 3
        return np.ascontiguousarray(np.moveaxis(values, -1, 0) if values.ndim > spatial else values[np.newaxis])

    def _mask_path(self) -> Path:
        if self.mask_path is None:
            raise PairsError(
                f"{self.image_path}: found no mask, since it was made by a method that makes images alone; expected a "
                "mask; pig segment predict makes some"
            )
        return self.mask_path

    def _parted(self, values: Any, path: Path) -> Any:
        """A picture of slices below each other as a volume."""
        if self.stacked == 1:
            return values
        height = values.shape[0]
        if height % self.stacked:
            raise PairsError(f"{path}: the height is {height}; expected a multiple of slices={self.stacked}")
        return values.reshape(self.stacked, height // self.stacked, *values.shape[1:])


def _whole(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(side) for side in shape)
