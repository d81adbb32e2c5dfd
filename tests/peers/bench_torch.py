"""Times of PyTorch on the released layout, as the measure for the Rust engine; prints JSON.

`bench_torch.py [--threads 2] [--repeats 5] [--cases NAME ...]`: medians in milliseconds of an Algorithm 2 step
(two network evaluations and two DDIM updates) and of a training step (forward, squared error, backward, Adam),
eager, with channels-last memory, and channels-last under bfloat16 autocast.
"""

import argparse
import contextlib
import json
import platform
import statistics
import time

import torch
from torch.nn import functional as F

from unet_released import released_unet
from weights import fill

CASES = {
    "algorithm2_b8_64": ("step", 8, 64),
    "algorithm2_b1_256": ("step", 1, 256),
    "train_b8_64": ("train", 8, 64),
}
MODES = ("eager", "channels_last", "channels_last_bf16")
ALPHA_BAR_T, ALPHA_BAR_PREVIOUS = 0.5, 0.6


def ddim_update(x_t, eps):
    """(x_{t-1}, x_0-hat) with sigma = 0 at one fixed pair of alpha_bars: their values do not change the time."""
    x_0 = (x_t - (1 - ALPHA_BAR_T) ** 0.5 * eps) / ALPHA_BAR_T**0.5
    return ALPHA_BAR_PREVIOUS**0.5 * x_0 + (1 - ALPHA_BAR_PREVIOUS) ** 0.5 * eps, x_0


def prepared(mode, name, shape):
    """An input of that name in the mode's memory format."""
    tensor = fill(name, shape)
    return tensor if mode == "eager" else tensor.to(memory_format=torch.channels_last)


def prepared_network(mode):
    """The released layout in the mode's memory format."""
    network = released_unet()
    return network if mode == "eager" else network.to(memory_format=torch.channels_last)


def autocast(mode):
    """The mode's arithmetic."""
    bf16 = mode.endswith("bf16")
    return torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext()


def sampling_step(mode, batch, size):
    """A function that runs one step of Algorithm 2."""
    model_x, model_y = prepared_network(mode).eval(), prepared_network(mode).eval()
    x_t, y_t = (prepared(mode, name, (batch, 1, size, size)) for name in ("x_T", "y_T"))
    t = torch.full((batch,), 500.0)

    def step():
        with torch.inference_mode(), autocast(mode):
            eps_x = model_x(torch.cat([x_t, y_t], dim=1), t)
            _, x_0 = ddim_update(x_t, eps_x.float())
            eps_y = model_y(torch.cat([y_t, x_0], dim=1), t)
            ddim_update(y_t, eps_y.float())

    return step


def training_step(mode, batch, size):
    """A function that runs one training step of one network."""
    network = prepared_network(mode).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4)
    x = prepared(mode, "input.x", (batch, 2, size, size))
    target = prepared(mode, "target", (batch, 1, size, size))
    t = torch.full((batch,), 500.0)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast(mode):
            output = network(x, t)
        F.mse_loss(output.float(), target).backward()
        optimizer.step()

    return step


def median_ms(step, repeats):
    """Median time of `repeats` calls after one that warms up, in milliseconds."""
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    milliseconds = {}
    for case in arguments.cases:
        kind, batch, size = CASES[case]
        make = sampling_step if kind == "step" else training_step
        milliseconds[case] = {
            mode: round(median_ms(make(mode, batch, size), arguments.repeats), 1) for mode in MODES
        }
    report = {
        "torch": torch.__version__,
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "median_ms": milliseconds,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
