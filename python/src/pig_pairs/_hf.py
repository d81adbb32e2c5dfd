"""Pairs for Hugging Face's datasets; the only module that imports it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from datasets import Dataset, Features, Image, Value

from . import _table
from ._pair import Pair

_TYPES = {int: "uint64", float: "float64", bool: "bool", str: "string"}


def dataset(pairs: Sequence[Pair], manifest: Sequence[str], has_masks: bool) -> Any:
    """The data set of pairs with these columns of the manifest; see :meth:`pig_pairs.Pairs.hf`."""
    names = [name for name in manifest if name not in ("id", "image", "mask")]
    columns: dict[str, Any] = {"id": [pair.id for pair in pairs], "image": [str(pair.image_path) for pair in pairs]}
    features: dict[str, Any] = {"id": Value("string"), "image": Image()}
    if has_masks:
        columns["mask"] = [{"bytes": _label_file(pair), "path": None} for pair in pairs]
        features["mask"] = Image()
    for name in names:
        columns[name] = [pair.row.get(name) for pair in pairs]
        features[name] = Value(_TYPES[_table.kind_of(name)])
    return Dataset.from_dict(columns, features=Features(features))


def _label_file(pair: Pair) -> bytes:
    """The labels as a PNG file."""
    file = io.BytesIO()
    pair.mask.save(file, "PNG")
    return file.getvalue()
