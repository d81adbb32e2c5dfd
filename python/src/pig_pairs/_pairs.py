"""Pairs of images and masks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, overload

import numpy as np

from . import _pictures
from ._errors import MissingPackageError, PairsError
from ._folder import Entry, Folder, read_folder
from ._pair import Pair
from ._table import Value

if TYPE_CHECKING:
    import datasets
    from torch.utils.data import Dataset

#: The class of masks that name none: class i has the label i + 1, and the background 0.
CLASS_NAMES = ("lesion",)


class Pairs(Sequence[Pair]):
    """The pairs of a folder that ``pig prepare`` or ``pig sample`` wrote; also those of ``pig demo``, of ``pig export
    --format png``, and of any folder with ``images/`` and ``masks/`` of the same stems.

    Only the manifest is read at once. ``pairs[5]`` is a :class:`Pair`, ``pairs[:100]`` are again pairs.

    Raises:
        PairsError: the folder is something else, a file is missing, or the manifest is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str], *, slices: int = 1) -> None:
        """Opens ``folder``. ``slices`` is the run's ``data.slices`` if its pictures are volumes, whose slices are shown
        below each other."""
        if slices < 1:
            raise PairsError(f"slices={slices}; expected 1 or more")
        self._open(Path(folder), read_folder(Path(folder)), slices)

    def _open(self, root: Path, folder: Folder, stacked: int) -> None:
        #: The folder.
        self.folder = root
        #: The columns of the manifest; none if there is no manifest.
        self.columns = folder.columns
        self._entries = folder.entries
        self._stacked = stacked

    def _part(self, entries: Sequence[Entry]) -> Pairs:
        part = Pairs.__new__(Pairs)
        part._open(self.folder, Folder(self.columns, tuple(entries)), self._stacked)
        return part

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Pair: ...

    @overload
    def __getitem__(self, index: slice) -> Pairs: ...

    def __getitem__(self, index: int | slice) -> Pair | Pairs:
        if isinstance(index, slice):
            return self._part(self._entries[index])
        return Pair(*self._entries[index], stacked=self._stacked)

    def __repr__(self) -> str:
        return f"<Pairs {self.folder}: {len(self)}>"

    def where(self, keep: Callable[[Pair], bool]) -> Pairs:
        """The pairs that ``keep`` takes: ``pairs.where(lambda pair: pair.patient == "p0001")``."""
        return self._part([entry for entry, pair in zip(self._entries, self) if keep(pair)])

    @property
    def rows(self) -> list[Mapping[str, Value]]:
        """The rows of the manifest."""
        return [entry.row for entry in self._entries]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; class i has the label i + 1 in masks. The first mask names them, if there are several."""
        first = next((entry.mask for entry in self._entries if entry.mask is not None), None)
        return (first is not None and _pictures.class_names(first)) or CLASS_NAMES

    @property
    def has_masks(self) -> bool:
        """Whether all pairs have masks; false for the images of a method that makes images alone."""
        return all(entry.mask is not None for entry in self._entries)

    def torch(self, transform: Callable[..., Any] | None = None, *, tv_tensors: bool = False) -> Dataset[Any]:
        """A ``torch.utils.data.Dataset`` of ``(image, mask)``.

        The image is float32 from 0 to 1 of shape [channels, height, width]; the mask is int64 of shape [height, width], the
        class of each pixel, as ``CrossEntropyLoss`` takes it. Volumes have their slices before the height.

        Args:
            transform: gets both and returns both: ``transform(image, mask)``. One call, so that chance treats them alike.
            tv_tensors: give it ``torchvision.tv_tensors``, so that transforms of ``torchvision.transforms.v2`` know the mask.

        Raises:
            MissingPackageError: PyTorch is not installed.
            PairsError: there are no masks.
        """
        self._need_masks("torch()")
        try:
            from ._torch import TorchPairs
        except ModuleNotFoundError as error:
            raise MissingPackageError("Pairs.torch()", "torch") from error
        return TorchPairs(self, transform, tv_tensors)

    def monai(self) -> list[dict[str, Any]]:
        """MONAI's list of dicts: "image" and "label" (paths), "id", "patient" if it is known, and "slices".

        :func:`pig_pairs.load` is the first transform: it reads both files, which MONAI's ``LoadImaged`` does without turning
        a mask's 255 into the label 1. "label" is absent if there are no masks.
        """
        return [_item(pair) for pair in self]

    def hf(self) -> datasets.Dataset:
        """A ``datasets.Dataset`` of Hugging Face with the manifest's columns, "image" and "mask" (both ``datasets.Image``).

        Images are read from their files when they are asked for. Masks are read now and kept in memory as small PNG files, in
        which 1 is lesion. "mask" is absent if there are no masks.

        Raises:
            MissingPackageError: the package datasets is not installed.
        """
        try:
            from ._hf import dataset
        except ModuleNotFoundError as error:
            raise MissingPackageError("Pairs.hf()", "datasets") from error
        return dataset(self, self.columns, self.has_masks)

    def _need_masks(self, caller: str) -> None:
        if not self.has_masks:
            raise PairsError(f"{self.folder}: found images without masks; expected masks, which {caller} needs")


def load(item: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the files of an item of :meth:`Pairs.monai`: "image" becomes float32 from 0 to 1, channels first, and "label" uint8
    with one channel, 0 for background and 1 for lesion (or i + 1 for the class i). The first transform of a ``monai.transforms.Compose``."""
    label = item.get("label")
    pair = Pair(
        str(item["id"]), Path(item["image"]), None if label is None else Path(label), {}, stacked=item.get("slices", 1)
    )
    loaded = {**item, "image": pair.scaled()}
    if label is not None:
        loaded["label"] = pair.labels()[np.newaxis]
    return loaded


def _item(pair: Pair) -> dict[str, Any]:
    item: dict[str, Any] = {"id": pair.id, "image": str(pair.image_path), "slices": pair.stacked}
    if pair.mask_path is not None:
        item["label"] = str(pair.mask_path)
    if pair.patient is not None:
        item["patient"] = pair.patient
    return item
