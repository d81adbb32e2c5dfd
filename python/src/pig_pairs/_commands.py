"""Calls of the binary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from ._job import Job
from ._options import Seeds, flags, seed_words

#: A path, as text or as an object.
AnyPath = Union[str, "os.PathLike[str]"]


def sample(run: AnyPath | None = None, seeds: Seeds | None = None, *, out: AnyPath, **options: Any) -> Job:
    """Makes pairs with a run: ``pig sample``.

    Args:
        run: the run's folder, or "starter" for the starter model.
        seeds: the samples to make, such as ``range(64)``, ``[5, 7]`` or ``"0-63"``. ``count=64`` makes the first 64.
        out: the folder to write; finished samples in it are skipped.
        **options: flags of ``pig sample``, with ``_`` for ``-``: ``given_mask="MASKS"``, ``steps=25``,
            ``set={"sample.eta": 0.5}``, ``device="cpu"``, ``progress_strips=True``.

    The result holds "pairs", "made", "skipped", "empty_masks", "agreement" and "quality".
    """
    words = None if seeds is None else seed_words(seeds)
    return Job(["sample", *flags({"run": run, "seeds": words, "out": out, **options})])


def train(data: AnyPath | None = None, out: AnyPath | None = None, **options: Any) -> Job:
    """Trains on a folder of pairs: ``pig train``. Lines of the run's metrics.jsonl become :class:`Metrics`.

    Args:
        data: the folder of images and masks.
        out: the run to create.
        **options: flags of ``pig train``: ``config="FILE"``, ``set={"train.steps": 1000}``, ``dry_run=True``, or
            ``resume="RUN"`` in place of data and out.

    The result holds "run" and "finished"; with ``dry_run=True`` it is the plan.
    """
    return Job(["train", *flags({"data": data, "out": out, **options})], _run_folder(out, options))


def segment(action: str, **options: Any) -> Job:
    """Trains a segmenter, predicts masks, or measures predicted masks: ``pig segment ACTION``.

    Args:
        action: "train", "predict" or "evaluate".
        **options: flags of the command: ``data="DIR"``, ``add=["PAIRS"]``, ``out="RUN"`` to train, ``run="RUN"``,
            ``data="DIR"``, ``out="MASKS"`` to predict, ``pred="MASKS"``, ``truth="DIR"`` to evaluate.
    """
    run_folder = _run_folder(options.get("out"), options) if action == "train" else None
    return Job(["segment", action, *flags(options)], run_folder)


def call(*words: AnyPath, **options: Any) -> Job:
    """Calls any other command: ``call("export", "PAIRS", format="nnunet", out="DIR")`` is
    ``pig export PAIRS --format=nnunet --out=DIR``."""
    return Job([*(os.fspath(word) for word in words), *flags(options)])


def _run_folder(out: AnyPath | None, options: Mapping[str, Any]) -> Path | None:
    folder = options.get("resume") or out
    return None if folder is None or options.get("dry_run") else Path(folder)
