"""Trains a small segmenter in PyTorch on real and generated pairs, and measures it on patients that it did not see.

    python torch_segmenter.py REAL PAIRS --epochs 20

REAL is a folder of `pig prepare`, PAIRS one of `pig sample`. With `--without-pairs` it trains on the real pairs alone, in as
many steps, so that the two can be compared. The network is a plain U-Net; take your own in its place.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import ConcatDataset, DataLoader, RandomSampler

import pig_pairs


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions with norms."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Three levels; logits of the background and of every class."""

    def __init__(self, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.down = nn.ModuleList([block(channels, width), block(width, 2 * width), block(2 * width, 4 * width)])
        self.up = nn.ModuleList([block(6 * width, 2 * width), block(3 * width, width)])
        self.head = nn.Conv2d(width, 1 + classes, 1)

    def forward(self, x: Any) -> Any:
        skips: list[Any] = []
        for level, layers in enumerate(self.down):
            x = layers(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for layers in self.up:
            skip = skips.pop()
            x = layers(torch.cat([functional.interpolate(x, size=skip.shape[-2:]), skip], dim=1))
        return self.head(x)


class Prepare:
    """The transform of image and mask: one size for all, and for training a flip by chance, of both alike."""

    def __init__(self, size: int, flip: bool) -> None:
        self.size, self.flip = size, flip

    def __call__(self, image: Any, mask: Any) -> tuple[Any, Any]:
        size = (self.size, self.size)
        image = functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
        mask = functional.interpolate(mask[None, None].float(), size, mode="nearest-exact")[0, 0].long()
        if self.flip and torch.rand(()) < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        return image, mask


def split(pairs: pig_pairs.Pairs, share: float) -> tuple[pig_pairs.Pairs, pig_pairs.Pairs]:
    """Training and held-out pairs: of the patients in the order of their names, the last ones are held out."""
    patients = sorted({pair.patient or pair.id for pair in pairs})
    held_out = set(patients[-max(1, round(share * len(patients))) :])
    return (
        pairs.where(lambda pair: (pair.patient or pair.id) not in held_out),
        pairs.where(lambda pair: (pair.patient or pair.id) in held_out),
    )


def dice(network: nn.Module, data: Any) -> float:
    """Mean Dice of the lesion, over images that have one."""
    network.eval()
    values = []
    with torch.no_grad():
        for image, mask in data:
            found = network(image[None]).argmax(1)[0] == 1
            true = mask == 1
            if true.any():
                values.append(2 * (found & true).sum() / (found.sum() + true.sum()))
    return float(torch.stack(values).mean())


def main(words: Sequence[str] | None = None) -> float:
    """Trains and measures; returns the mean Dice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="real pairs")
    parser.add_argument("pairs", type=Path, help="generated pairs")
    parser.add_argument("--without-pairs", action="store_true", help="train on the real pairs alone")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, help="height and width of all pictures")
    parser.add_argument("--batch", type=int, default=8)
    asked = parser.parse_args(words)

    torch.manual_seed(0)
    training, held_out = split(pig_pairs.Pairs(asked.real), share=0.25)
    generated = pig_pairs.Pairs(asked.pairs)
    augmented = Prepare(asked.size, flip=True)
    real = training.torch(augmented)
    data = real if asked.without_pairs else ConcatDataset([real, generated.torch(augmented)])
    # Equal steps with and without generated pairs.
    drawn = asked.epochs * (len(training) + len(generated))
    loader = DataLoader(data, batch_size=asked.batch, sampler=RandomSampler(data, replacement=True, num_samples=drawn))

    channels = training[0].scaled().shape[0]
    network = UNet(channels, len(training.class_names))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    print(
        f"{len(training)} real and {0 if asked.without_pairs else len(generated)} generated pairs, {len(loader)} steps"
    )
    for step, (images, masks) in enumerate(loader, start=1):
        network.train()
        loss = functional.cross_entropy(network(images), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 20 == 0 or step == len(loader):
            print(f"step {step}: loss {loss.item():.4f}")
    mean = dice(network, held_out.torch(Prepare(asked.size, flip=False)))
    print(f"mean Dice on {len(held_out)} held-out pairs: {mean:.3f}")
    return mean


if __name__ == "__main__":
    main()
