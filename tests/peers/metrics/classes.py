"""MONAI's Dice by class on random label maps, for crates/metrics.

python classes.py writes classes.json; with --check it compares anew, within 1e-6. Needs MONAI and PyTorch, as in ../requirements.txt.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from monai.metrics import compute_dice
from monai.networks.utils import one_hot

HEIGHT, WIDTH = 9, 11


def case(generator, weights):
    """Two label maps, and the Dice of each class: 1 where neither map has it, 0 where one of them alone has it."""
    labels = len(weights)
    prediction, truth = (generator.choice(labels, size=(HEIGHT, WIDTH), p=weights) for _ in range(2))
    maps = [one_hot(torch.from_numpy(found)[None, None], labels) for found in (prediction, truth)]
    dice = compute_dice(*maps, include_background=False, ignore_empty=False)[0]
    return {
        "classes": labels - 1,
        "height": HEIGHT,
        "width": WIDTH,
        "prediction": prediction.flatten().tolist(),
        "truth": truth.flatten().tolist(),
        "dice": [float(value) for value in dice.double()],
    }


def main():
    path = Path(__file__).resolve().parent / "classes.json"
    generator = numpy.random.default_rng(17)
    weights = [[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.4, 0.3, 0.2, 0.1], [0.97, 0.02, 0.01]]
    cases = [case(generator, shares) for shares in weights for _ in range(4)]
    if sys.argv[1:] == ["--check"]:
        stored = json.loads(path.read_text())
        for one, other in zip(stored, cases, strict=True):
            assert all(one[key] == other[key] for key in one if key != "dice"), "the label maps differ"
            assert numpy.allclose(one["dice"], other["dice"], atol=1e-6), (one["dice"], other["dice"])
        print(f"classes.json: {len(cases)} pairs of label maps as stored")
        return
    path.write_text(json.dumps(cases) + "\n")
    print(f"classes.json: {len(cases)} pairs of label maps")


if __name__ == "__main__":
    main()
