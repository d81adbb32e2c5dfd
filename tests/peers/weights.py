"""Values that follow from a tensor's name alone, so that no weights are committed.

Element i (row-major in PyTorch's own layout) of the tensor called `name` is

    h     = FNV-1a 64 of the name in UTF-8
    u_i   = splitmix64(h + i)
    r_i   = (u_i >> 11) * 2^-53                 in [0, 1), float64
    value = (2 r_i - 1) * scale + shift         float64, then rounded to float32

All integers are modulo 2^64. README.md states the rule for implementations in other languages.
"""

import math

import numpy as np
import torch

FNV_OFFSET_BASIS = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
MASK_64 = 0xFFFFFFFFFFFFFFFF


def fnv1a_64(text):
    """The 64-bit FNV-1a hash of a string's UTF-8 bytes."""
    value = FNV_OFFSET_BASIS
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * FNV_PRIME) & MASK_64
    return value


def splitmix64(z):
    """One splitmix64 output per element of a uint64 array."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def scale_and_shift(name, shape):
    """(scale, shift) of a parameter: variance 1 / fan_in for weights, near 1 for norms, small for biases."""
    if len(shape) >= 2:
        return math.sqrt(3.0 / math.prod(shape[1:])), 0.0
    if name.endswith(".weight"):
        return 0.2, 1.0
    return 0.1, 0.0


def fill(name, shape, scale=1.0, shift=0.0):
    """The float32 tensor with this name and shape; inputs and noise have scale 1 and shift 0."""
    counter = np.uint64(fnv1a_64(name)) + np.arange(math.prod(shape), dtype=np.uint64)
    uniform = (splitmix64(counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    values = ((2.0 * uniform - 1.0) * scale + shift).astype(np.float32)
    return torch.from_numpy(values).reshape(shape)


def fill_module(module):
    """Fills every parameter of a module from its state-dict name, in place; returns the module."""
    with torch.no_grad():
        for name, parameter in module.state_dict().items():
            shape = tuple(parameter.shape)
            parameter.copy_(fill(name, shape, *scale_and_shift(name, shape)))
    return module


if __name__ == "__main__":
    # Values to check other implementations of the rule: the hash, the first raw output and the first elements.
    for example in ("input.x", "conv_in.weight"):
        first = splitmix64(np.array([fnv1a_64(example)], dtype=np.uint64))[0]
        values = [f"{v:.9g}" for v in fill(example, (3,)).tolist()]
        print(f"{example}: fnv1a_64 {fnv1a_64(example):#018x}, splitmix64 {int(first):#018x}, scale 1: {values}")
