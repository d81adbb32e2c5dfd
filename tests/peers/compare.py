"""Compares regenerated goldens with the committed ones: `compare.py COMMITTED REGENERATED`. Exits 1 on a difference.

The difference of a tensor is its largest absolute difference divided by the largest absolute committed value. Other files must
be equal: JSON by its values, gzip by its uncompressed content, the rest byte for byte. Scripts beside them are ignored.
"""

import gzip
import json
import sys
from pathlib import Path

from safetensors.torch import load_file

NETWORK_TOLERANCE = 1e-4
SCHEDULER_TOLERANCE = 1e-6


def tolerance(path):
    """Schedulers are computed in float64 throughout; the order of sums in networks may differ between machines."""
    return SCHEDULER_TOLERANCE if path.name.startswith("schedulers_") else NETWORK_TOLERANCE


def difference(committed, regenerated):
    """(largest absolute difference, the same relative to the largest committed value); infinite if shape or type differ."""
    if committed.shape != regenerated.shape or committed.dtype != regenerated.dtype:
        return float("inf"), float("inf")
    absolute = (committed.double() - regenerated.double()).abs().max().item()
    largest = committed.double().abs().max().item()
    if absolute == 0.0:
        return 0.0, 0.0
    return absolute, absolute / largest if largest > 0.0 else float("inf")


def compare_tensors(committed, regenerated):
    """Problems of one safetensors file; prints its worst difference."""
    ours, theirs = load_file(committed), load_file(regenerated)
    if ours.keys() != theirs.keys():
        return [f"{committed.name}: tensors {sorted(ours.keys() ^ theirs.keys())} are in only one of the two files"]
    worst = {name: difference(ours[name], theirs[name]) for name in ours}
    name = max(worst, key=lambda n: worst[n][1])
    absolute, relative = worst[name]
    bound = tolerance(committed)
    print(f"{committed.name}: max abs difference {absolute:.3e}, relative {relative:.3e} ({name}), tolerance {bound:.0e}")
    # Not `>`: a NaN must fail too.
    return [f"{committed.name}: {n} differs by {r:.3e}" for n, (_, r) in worst.items() if not r <= bound]


def equal(ours, theirs):
    """Whether two files without tensors are equal."""
    if ours.suffix == ".json":
        return json.loads(ours.read_text()) == json.loads(theirs.read_text())
    if ours.suffix == ".gz":
        return gzip.decompress(ours.read_bytes()) == gzip.decompress(theirs.read_bytes())
    return ours.read_bytes() == theirs.read_bytes()


def compare_folders(committed, regenerated):
    """Problems of all files below two folders."""
    names = {p.name for folder in (committed, regenerated) for p in folder.iterdir() if p.suffix != ".py"}
    problems = [] if names else [f"{committed}: no goldens"]
    for name in sorted(names):
        ours, theirs = committed / name, regenerated / name
        if not (ours.exists() and theirs.exists()):
            problems.append(f"{name}: only in {committed if ours.exists() else regenerated}")
        elif ours.is_dir():
            problems += compare_folders(ours, theirs)
        elif name.endswith(".safetensors"):
            problems += compare_tensors(ours, theirs)
        elif not equal(ours, theirs):
            problems.append(f"{name}: the files differ")
        else:
            print(f"{name}: equal")
    return problems


def main():
    problems = compare_folders(Path(sys.argv[1]), Path(sys.argv[2]))
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
