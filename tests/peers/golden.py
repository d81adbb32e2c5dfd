"""Functions that the network scripts share: an evaluation with gradients, and the format of golden files."""

import sys
from importlib import metadata
from pathlib import Path

import torch
from safetensors.torch import save_file

from weights import fill

GOLDENS = Path(__file__).resolve().parent / "goldens"


def output_folder():
    """The folder given on the command line, otherwise the committed one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDENS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def about(script, what):
    """The metadata of a golden: the script that made it, and the versions of packages."""
    versions = f"torch {torch.__version__.split('+')[0]}, diffusers {metadata.version('diffusers')}"
    return {"about": f"{what}; {versions}; tests/peers/{script}"}


def save(path, tensors, script, what):
    """Writes contiguous tensors with the `about` line and prints the file's size."""
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path, metadata=about(script, what))
    print(f"{path.name}: {path.stat().st_size} bytes, {len(tensors)} tensors")


def evaluate(module, forward, shape, t, gradient_names):
    """Runs `forward(x, t)` in float64 on x filled from "input.x" and returns what a golden stores, float32.

    The weights and the input are float32 values, but the arithmetic is float64, so that the rounding
    of the golden itself is far below the tolerance for a float32 implementation. If `gradient_names`
    has names, the result also holds loss = mean(output * probe), with probe filled from "probe", and
    the gradients of the loss by these parameters (flattened, row-major) and by x (NCHW).
    """
    module = module.double().eval()
    x = fill("input.x", shape).double().requires_grad_(bool(gradient_names))
    steps = torch.tensor(t, dtype=torch.float32)
    output = forward(x, steps)
    tensors = {"input.x": x, "t": steps, "output": output}
    if gradient_names:
        loss = (output * fill("probe", tuple(output.shape)).double()).mean()
        loss.backward()
        parameters = dict(module.named_parameters())
        tensors["loss"] = loss.reshape(1)
        tensors["grad.input.x"] = x.grad
        for name in gradient_names:
            tensors[f"grad.{name}"] = parameters[name].grad.flatten()
    for name, tensor in tensors.items():
        print(f"  {name} {list(tensor.shape)}: rms {tensor.detach().double().square().mean().sqrt():.4g}")
    return {name: tensor.detach().float() for name, tensor in tensors.items()}


def parameter_count(module):
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters())
