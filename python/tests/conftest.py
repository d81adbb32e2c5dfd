"""What the tests share: phantoms, a small run on them, and its pairs, made once by the binary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pig_pairs

#: Networks that are trained in a second.
SMALL: dict[str, Any] = {
    "data.size": 32,
    "model_x.block_out_channels": [16, 32],
    "model_x.norm_num_groups": 8,
    "model_x.layers_per_block": 1,
    "model_x.attention_levels": [1],
    "model_y.block_out_channels": [16, 32],
    "model_y.norm_num_groups": 8,
    "model_y.layers_per_block": 1,
    "model_y.attention_levels": [1],
    "train.steps": 8,
    "train.model_x_steps": 8,
    "train.batch_size": 4,
    "train.warmup_steps": 2,
    "train.log_every": 1,
    "train.validate_every": 4,
    "train.validation_samples": 4,
    "train.preview_every": 0,
    "train.checkpoint_every": 4,
    "sample.num_inference_steps": 4,
}


class Made(NamedTuple):
    """Folders that the binary made."""

    #: 16 phantom slices of 8 patients, 256 x 256.
    data: Path
    #: A run of `pig` on them.
    run: Path
    #: Its first four pairs, 32 x 32.
    pairs: Path


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIG_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made") / "demo"
    pig_pairs.call("demo", out=folder, patients=8, count=4, set=SMALL).result()
    return Made(folder / "data", folder / "run", folder / "pairs")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Skipped tests are counted as those of cargo are: a line `TEST<tab>REASON` in the file that PIG_SKIPPED_LOG names."""
    log = os.environ.get("PIG_SKIPPED_LOG")
    if report.skipped and log and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).replace("Skipped: ", "").replace("\n", " ")
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\t{reason}\n")
