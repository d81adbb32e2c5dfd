"""Keyword arguments as flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pig_pairs._options import flags, seed_words


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"given_mask": Path("a b")}, ["--given-mask=a b"]),
        ({"steps": 25, "steps_scale": 0.01}, ["--steps=25", "--steps-scale=0.01"]),
        ({"dry_run": True, "quiet": False, "config": None}, ["--dry-run"]),
        ({"add": ["A", Path("B")]}, ["--add=A", "--add=B"]),
        ({"out": "-x"}, ["--out=-x"]),
        ({"count": np.int64(3)}, ["--count=3"]),
        (
            {"set": {"data.space": "haar", "data.size": [64, 64], "sample.clip_sample": True, "sample.eta": 1e-05}},
            [
                "--set=data.space=haar",
                "--set=data.size=[64, 64]",
                "--set=sample.clip_sample=true",
                "--set=sample.eta=1e-05",
            ],
        ),
        ({"set": ["train.steps=3"]}, ["--set=train.steps=3"]),
    ],
)
def test_options_are_flags(options: dict[str, Any], expected: list[str]) -> None:
    assert flags(options) == expected


@pytest.mark.parametrize(
    "options", [{"json": True}, {"out": b"x"}, {"out": object()}, {"set": {"a": None}}, {"add": [True]}]
)
def test_what_is_no_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        flags(options)


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (range(64), "0-63"),
        ([5], "5"),
        ([7, 5, 5, 9, 10, 11], "5,7,9-11"),
        (np.arange(2, 4), "2-3"),
        ("0-2047", "0-2047"),
        (iter([1, 0]), "0-1"),
    ],
)
def test_seeds_are_ranges(seeds: Any, expected: str) -> None:
    assert seed_words(seeds) == expected


@pytest.mark.parametrize(("seeds", "error"), [(8, TypeError), ([1.5], TypeError), ([], ValueError), ([-1], ValueError)])
def test_what_are_no_seeds_is_refused(seeds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="seeds"):
        seed_words(seeds)
