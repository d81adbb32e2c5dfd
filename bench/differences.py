"""Differences between the outputs of two workers."""

import numpy as np
from safetensors.numpy import load_file

# A gradient whose exact value is 0 (of a bias before a norm, for example) consists of rounding errors only. Differences are
# therefore relative to the largest value of the tensor, but at least to this share of the largest of all gradients.
SMALLEST_GRADIENT = 0.1


def largest_differences(found_path, wanted_path):
    """{"outputs" or "gradients": {absolute, relative, worst}}; `worst` names the tensor with the largest relative difference."""
    found, wanted = load_file(found_path), load_file(wanted_path)
    if found.keys() != wanted.keys():
        raise SystemExit(f"{found_path} and {wanted_path} hold different tensors: {sorted(found.keys() ^ wanted.keys())[:6]}")
    gradients = {name for name in wanted if name.startswith("grad.")}
    groups = {"outputs": wanted.keys() - gradients, "gradients": gradients}
    return {kind: largest(found, wanted, names) for kind, names in groups.items() if names}


def largest(found, wanted, names):
    """The largest differences over tensors of one kind."""
    scales = {name: float(np.abs(wanted[name]).max()) for name in names}
    floor = SMALLEST_GRADIENT * max(scales.values())
    result = {"absolute": 0.0, "relative": 0.0, "worst": ""}
    for name in sorted(names):
        absolute = float(np.abs(found[name].astype(np.float64) - wanted[name].astype(np.float64)).max())
        relative = absolute / max(scales[name], floor)
        result["absolute"] = max(result["absolute"], absolute)
        # A NaN is the worst difference of all and is kept.
        if not relative <= result["relative"]:
            result["relative"], result["worst"] = relative, name
            if np.isnan(relative):
                break
    return result
