"""Makes a raw data set of nnU-Net v2 from real and generated pairs.

    python nnunet_folder.py REAL PAIRS nnUNet_raw --id 101 --share 0.5

REAL is a folder of `pig prepare`, PAIRS one of `pig sample`. `pig export` writes the folder; only real patients validate. If the
generator was trained on the same patients, give the split of its run with `--splits RUN/splits.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import pig_pairs


def main(words: Sequence[str] | None = None) -> Path:
    """Writes the data set, reads it back, and returns its folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="real pairs")
    parser.add_argument("pairs", type=Path, help="generated pairs")
    parser.add_argument("raw", type=Path, help="the folder that nnU-Net knows as nnUNet_raw")
    parser.add_argument("--id", type=int, default=101, help="the number of the data set")
    parser.add_argument("--name", default="Lesions")
    parser.add_argument(
        "--share", type=float, help="the share of the pairs that are generated; all are taken if not given"
    )
    parser.add_argument("--splits", type=Path, help="splits.json of the generator's run")
    asked = parser.parse_args(words)

    out: Path = asked.raw / f"Dataset{asked.id:03d}_{asked.name}"
    asked.raw.mkdir(parents=True, exist_ok=True)
    options = {"format": "nnunet", "real": asked.real, "share": asked.share, "splits": asked.splits, "out": out}
    result = pig_pairs.call("export", asked.pairs, **options).result()
    print(f"{out}: {result['real']} real and {result['generated']} generated pairs")

    description = json.loads((out / "dataset.json").read_text())
    labels = set(description["labels"].values())
    for path in sorted((out / "labelsTr").iterdir()):
        found = set(np.unique(np.asarray(Image.open(path))).tolist())
        if not found <= labels:
            raise SystemExit(f"{path}: found the labels {found}; expected those of dataset.json, {labels}")
    print(
        f"labels: {description['labels']}; next: nnUNetv2_plan_and_preprocess -d {asked.id} --verify_dataset_integrity"
    )
    return out


if __name__ == "__main__":
    main()
