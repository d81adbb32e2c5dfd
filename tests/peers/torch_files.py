"""Small files that torch itself writes in every format, and the arrays that they hold.

Run `torch_files.py [FOLDER]`; without FOLDER, the files are written to torch_files/ beside this script.
"""

import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent / "torch_files"


def numbers(*shape):
    """Small numbers that every type holds exactly or truncates in the same way: ..., -1, -0.5, 0, 0.5, 1, ..."""
    count = int(torch.tensor(shape).prod())
    return ((torch.arange(count, dtype=torch.float32) - count // 2) / 2).reshape(shape)


def tensors():
    """Tensors of every type, a transposed one, a slice with an offset, and two that share a storage."""
    shared = numbers(4, 6)
    found = OrderedDict()
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        found[str(dtype).removeprefix("torch.")] = numbers(2, 3).to(dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8):
        found[str(dtype).removeprefix("torch.")] = (2 * numbers(5)).to(dtype)
    found["uint8"] = torch.tensor([0, 1, 255], dtype=torch.uint8)
    found["bool"] = torch.tensor([True, False, True])
    found["transposed"] = shared.t()
    found["slice"] = shared[1:3, 2:5]
    found["permuted"] = numbers(2, 3, 4).permute(2, 0, 1)
    found["number"] = torch.tensor(0.25)
    found["empty"] = torch.zeros(0, 3)
    return found


class Block(torch.nn.Module):
    """A module whose TorchScript archive has attributes of several kinds besides its tensors."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, (1, 3))
        self.norm = torch.nn.BatchNorm2d(3)
        self.sizes = [1, 2, 3]
        self.names = {"a": 1}

    def forward(self, x):
        return self.norm(self.conv(x)) + self.sizes[0]


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    arrays = tensors()
    wanted = {name: value.detach().float().contiguous() for name, value in arrays.items()}
    save_file(wanted, folder / "tensors.safetensors")
    torch.save(arrays, folder / "tensors.pth")
    torch.save(arrays, folder / "tensors_legacy.pth", _use_new_zipfile_serialization=False)

    block = Block().eval()
    # One step, so that the optimiser has tensors, too.
    optimiser = torch.optim.Adam(block.parameters(), lr=2e-4)
    block(torch.ones(1, 2, 2, 4)).sum().backward()
    optimiser.step()
    state = block.state_dict()
    with torch.no_grad():
        for value in state.values():
            if value.is_floating_point():
                value.copy_(numbers(*value.shape).abs())
    save_file({name: value.float() for name, value in state.items()}, folder / "block.safetensors")
    torch.jit.save(torch.jit.script(block), folder / "block_script.pt")
    # The released code's layout: the network in DataParallel, the optimiser, the epoch.
    parallel = OrderedDict((f"module.{name}", value) for name, value in state.items())
    torch.save([parallel, optimiser.state_dict(), 3], folder / "released.pth")
    torch.save({"epoch": 3, "state_dict": state, "optimizer": optimiser.state_dict()}, folder / "checkpoint.pth")
    torch.save({"encoder": state, "decoder": dict(state), "loss": 0.5}, folder / "two_networks.pth")
    torch.save(OrderedDict(block.named_parameters()), folder / "parameters.pth")
    # A file with a whole module names its class, which is code.
    torch.save(torch.nn.Linear(2, 2), folder / "whole_module.pth")
    for path in sorted(folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
