"""Pairs for PyTorch; the only module that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
import torch
from torch.utils.data import Dataset

from ._errors import MissingPackageError
from ._pair import Pair



class TorchPairs(Dataset):
    """Pairs as a data set of ``(image, mask)``; see :meth:`pig_pairs.Pairs.torch`."""

    def __init__(self, pairs: Sequence[Pair], transform: Callable[..., Any] | None, tv_tensors: bool) -> None:
        self.pairs = pairs
        self.transform = transform
        self.tv_tensors = tv_tensors
        if tv_tensors:
            try:
                import torchvision  # noqa: F401
            except ModuleNotFoundError as error:
                raise MissingPackageError("Pairs.torch(tv_tensors=True)", "torchvision") from error

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pair = self.pairs[index]
        image = torch.from_numpy(pair.scaled())
        mask = torch.from_numpy(pair.labels().astype(np.int64))
        if self.tv_tensors:
            from torchvision.tv_tensors import Image, Mask

            image, mask = Image(image), Mask(mask)
        if self.transform is None:
            return image, mask
        image, mask = self.transform(image, mask)
        return image, mask
