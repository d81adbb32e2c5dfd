"""PyTorch's side of `bench/run` and `bench/gpu`: cases, modes and precisions one after the other, driven by JSON lines on stdin.

The requests and answers are those of crates/train/benches/engine.rs; in addition, `load` takes a `mode`: "eager", "tf32" (eager, with
TF32 products on a GPU), "channels_last", or "compile" (channels_last through torch.compile with inductor). bf16 means autocast. On a
GPU, the last two allow TF32 for what stays in f32.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "peers"))
from unet_released import ReleasedUNet, diffusers_name  # noqa: E402
from weights import fill, scale_and_shift  # noqa: E402


def diffusers_unet(unet):
    """diffusers' network for pig's configuration keys."""
    # Imported here, since bench/gpu runs where diffusers may be absent.
    from diffusers import UNet2DModel

    widths, attends = unet["block_out_channels"], unet["attention_levels"]
    levels = range(len(widths))
    return UNet2DModel(
        in_channels=2,
        out_channels=1,
        block_out_channels=tuple(widths),
        layers_per_block=unet["layers_per_block"],
        down_block_types=tuple("AttnDownBlock2D" if level in attends else "DownBlock2D" for level in levels),
        up_block_types=tuple("AttnUpBlock2D" if level in attends else "UpBlock2D" for level in reversed(levels)),
        attention_head_dim=unet["attention_head_dim"],
        norm_num_groups=unet["norm_num_groups"],
        norm_eps=unet["norm_eps"],
        downsample_padding=unet["downsample_padding"],
        flip_sin_to_cos=unet["flip_sin_to_cos"],
        freq_shift=unet["freq_shift"],
    )


def alpha_bar(t):
    """alpha_bar_t of the paper's schedule, t counted from 1."""
    betas = torch.linspace(1e-4, 0.02, 1024, dtype=torch.float64)
    return torch.prod(1 - betas[:t]).item()


class Job:
    """A loaded case; subclasses define `step()` and `outputs()`."""

    def __init__(self, case, mode):
        self.case, self.mode = case, mode
        self.is_plain = mode in ("eager", "tf32")
        self.device = torch.device("cpu" if case.get("device", "cpu") == "cpu" else "cuda")
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode != "eager"
            torch.backends.cudnn.benchmark = True
        self.networks = {}

    def network(self, prefix=""):
        """The case's network in the mode's memory format, callable as (x, t) -> output."""
        diffusers = self.case["peer"] == "diffusers"
        network = (diffusers_unet(self.case["unet"]) if diffusers else ReleasedUNet()).to(self.device)
        if not self.is_plain:
            network = network.to(memory_format=torch.channels_last)
        self.networks[prefix] = network
        called = torch.compile(network) if self.mode == "compile" else network
        return (lambda x, t: called(x, t, return_dict=False)[0]) if diffusers else called

    def parameters_of(self, prefix):
        """(pig's name, parameter) of a network."""
        for name, parameter in self.networks[prefix].named_parameters():
            yield (name if self.case["peer"] == "diffusers" else diffusers_name(name)), parameter

    def fill_weights(self):
        """Gives all networks their initial weights."""
        with torch.no_grad():
            for prefix in self.networks:
                for name, parameter in self.parameters_of(prefix):
                    shape = tuple(parameter.shape)
                    parameter.copy_(fill(prefix + name, shape, *scale_and_shift(name, shape)))

    def images(self, name, channels):
        """The input with this name, in the mode's memory format."""
        images = fill(name, (self.case["batch"], channels, *self.case["size"])).to(self.device)
        return images if self.is_plain else images.to(memory_format=torch.channels_last)

    def times(self):
        """The network time of each sample."""
        return torch.tensor(self.case["times"], device=self.device)

    def arithmetic(self):
        """The autocast context of the precision."""
        bf16 = self.case["precision"] == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if bf16 else contextlib.nullcontext()


class Forward(Job):
    """One forward pass."""

    def __init__(self, case, mode):
        super().__init__(case, mode)
        self.call = self.network()
        self.x, self.t = self.images("input.x", 2), self.times()

    def step(self):
        with torch.inference_mode(), self.arithmetic():
            return self.call(self.x, self.t)

    def outputs(self):
        return {"output": self.step()}


class Train(Job):
    """Forward, squared error, backward, Adam."""

    def __init__(self, case, mode):
        super().__init__(case, mode)
        self.call = self.network()
        self.networks[""].train()
        self.x, self.target = self.images("input.x", 2), self.images("target", 1)
        self.t = self.times()
        rate = case["learning_rate"]
        # The fastest of Adam's three implementations.
        self.optimizer = torch.optim.Adam(self.networks[""].parameters(), lr=rate, fused=True)

    def gradients(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.arithmetic():
            output = self.call(self.x, self.t)
        loss = F.mse_loss(output.float(), self.target)
        loss.backward()
        return output, loss

    def step(self):
        self.gradients()
        self.optimizer.step()

    def outputs(self):
        output, loss = self.gradients()
        gradients = {f"grad.{name}": parameter.grad.flatten() for name, parameter in self.parameters_of("")}
        return {"output": output, "loss": loss.reshape(1), **gradients}


class Algorithm2(Job):
    """One step of Algorithm 2 from timestep t to the clean images: both networks and the arithmetic."""

    def __init__(self, case, mode):
        super().__init__(case, mode)
        self.model_x, self.model_y = self.network("model_x."), self.network("model_y.")
        for network in self.networks.values():
            network.eval()
        self.x_t, self.y_t = self.images("x_T", 1), self.images("y_T", 1)
        self.alpha_bar = alpha_bar(case["t"])
        self.t = torch.full((case["batch"],), case["t"] - 1.0, device=self.device)

    def ddim(self, noisy, eps):
        """(result at alpha_bar = 1, x_0-hat), sigma = 0."""
        x_0 = (noisy - (1 - self.alpha_bar) ** 0.5 * eps) / self.alpha_bar**0.5
        end = 1.0
        return end**0.5 * x_0 + (1 - end) ** 0.5 * eps, x_0

    def step(self):
        with torch.inference_mode(), self.arithmetic():
            eps_x = self.model_x(torch.cat([self.x_t, self.y_t], dim=1), self.t).float()
            x_end, x_0 = self.ddim(self.x_t, eps_x)
            eps_y = self.model_y(torch.cat([self.y_t, x_0], dim=1), self.t).float()
            return x_end, self.ddim(self.y_t, eps_y)[0]

    def outputs(self):
        return dict(zip(("x_0", "y_0"), self.step()))


KINDS = {"forward": Forward, "train": Train, "algorithm-2": Algorithm2}


def timed(job):
    """Seconds of one step, until the device has finished it."""
    start = time.perf_counter()
    job.step()
    if job.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Worker:
    """Answers requests."""

    def __init__(self):
        self.job = None

    def load(self, case, mode):
        # The memory of the previous case is free before this one takes its own.
        self.job = None
        self.job = KINDS[case["work"]](case, mode)
        self.job.fill_weights()
        networks = self.job.networks.values()
        count = sum(parameter.numel() for network in networks for parameter in network.parameters())
        device = self.job.device.type
        name = torch.cuda.get_device_name() if device == "cuda" else device
        return {"parameters": count, "threads": torch.get_num_threads(), "device": name}

    def run(self, count):
        return {"seconds": [timed(self.job) for _ in range(count)]}

    def outputs(self, path):
        self.job.fill_weights()
        tensors = self.job.outputs()
        save_file({name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}, path)
        return {}

    def answer(self, request):
        try:
            return getattr(self, request.pop("do"))(**request)
        except Exception as error:  # the errors of inductor have no common type
            if self.job is None or self.job.mode != "compile":
                raise
            lines = str(error).strip().splitlines() or [""]
            return {"unsupported": f"{type(error).__name__}: {lines[0]}"}


def main():
    torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
    # The protocol keeps the real stdout; what libraries print is sent to stderr.
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=protocol, flush=True)


if __name__ == "__main__":
    main()
