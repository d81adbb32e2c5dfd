"""A plain PyTorch U-Net with the layout of the PIG authors' released checkpoints, and its goldens.

Written from the facts in the project's design notes (state-dict names, widths, paddings, embedding, parameter
count); the architecture is that of the classic DDPM U-Net (Ho et al. 2020). Run `unet_released.py [FOLDER]`.
"""

import math
import re

import torch
from torch import nn
from torch.nn import functional as F

import golden
from weights import fill_module

WIDTH = 32
MULTIPLIERS = (1, 1, 2, 2, 4, 4)
LAYERS = 2
GROUPS = 32
NORM_EPS = 1e-6
RELEASED_PARAMETERS = 7_125_409
GRADIENTS = (
    "conv_in.weight",
    "down.0.block.0.norm1.weight",
    "mid.attn_1.q.bias",
    "conv_out.weight",
    "temb.dense.0.bias",
)

# The names of diffusers' UNet2DModel for those of this layout.
RENAMES = (
    (r"^temb\.dense\.0\.", "time_embedding.linear_1."),
    (r"^temb\.dense\.1\.", "time_embedding.linear_2."),
    (r"^norm_out\.", "conv_norm_out."),
    (r"^mid\.block_1\.", "mid_block.resnets.0."),
    (r"^mid\.block_2\.", "mid_block.resnets.1."),
    (r"^mid\.attn_1\.", "mid_block.attentions.0."),
    (r"^down\.(\d+)\.block\.", r"down_blocks.\1.resnets."),
    (r"^down\.(\d+)\.attn\.", r"down_blocks.\1.attentions."),
    (r"^down\.(\d+)\.downsample\.", r"down_blocks.\1.downsamplers.0."),
    (r"^up\.(\d+)\.block\.", r"up_blocks.\1.resnets."),
    (r"^up\.(\d+)\.attn\.", r"up_blocks.\1.attentions."),
    (r"^up\.(\d+)\.upsample\.", r"up_blocks.\1.upsamplers.0."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.temb_proj\.", ".time_emb_proj."),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.\d+)\.([qkv])\.", r"\1.to_\2."),
    (r"(attentions\.\d+)\.proj_out\.", r"\1.to_out.0."),
)


def norm(channels, groups):
    """The GroupNorm that this network uses everywhere."""
    return nn.GroupNorm(groups, channels, eps=NORM_EPS)


def timestep_embedding(t, channels):
    """Sines, then cosines, of the 0-based t at frequencies exp(-k ln 10000 / (half - 1)): [B] -> [B, channels]."""
    half = channels // 2
    k = torch.arange(half, dtype=t.dtype, device=t.device)
    angles = t[:, None] * torch.exp(-math.log(10000.0) * k / (half - 1))[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """norm, SiLU, conv; plus the projected time; norm, SiLU, conv; plus the input (1x1 conv if the width changes)."""

    def __init__(self, in_channels, out_channels, time_channels, groups):
        super().__init__()
        self.norm1 = norm(in_channels, groups)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.temb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = norm(out_channels, groups)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x, temb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        shortcut = self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x
        return shortcut + h


class Attention(nn.Module):
    """Single-head self-attention over the H*W positions, with a residual."""

    def __init__(self, channels, groups):
        super().__init__()
        self.norm = norm(channels, groups)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        normed = self.norm(x)
        q, k, v = (conv(normed).flatten(2) for conv in (self.q, self.k, self.v))
        weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(x.shape[1]), dim=2)
        return x + self.proj_out((v @ weights.transpose(1, 2)).view_as(x))


class Downsample(nn.Module):
    """Pads one column right and one row below, then a 3x3 convolution with stride 2."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The blocks of one resolution; `attn` is empty if the level has no attention."""

    def __init__(self, blocks, attention):
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.attn = nn.ModuleList(attention)

    def run_block(self, index, h, temb):
        h = self.block[index](h, temb)
        return self.attn[index](h) if len(self.attn) else h


class ReleasedUNet(nn.Module):
    """[B, 2, H, W] noisy and guide, 0-based t [B] -> [B, 1, H, W]; H and W divisible by 32.

    `attention` lists the levels with attention, the lowest if it is not given. The decoder of the released code has attention in the
    lowest level alone, since it doubles the size (a tuple) by repeating it and finds it in no setting above that level.
    """

    def __init__(
        self, in_channels=2, out_channels=1, width=WIDTH, multipliers=MULTIPLIERS, layers=LAYERS, groups=GROUPS, attention=None
    ):
        super().__init__()
        self.width, self.layers = width, layers
        widths = [width * m for m in multipliers]
        time_channels = 4 * width
        self.temb = nn.Module()
        self.temb.dense = nn.ModuleList([nn.Linear(width, time_channels), nn.Linear(time_channels, time_channels)])
        self.conv_in = nn.Conv2d(in_channels, width, 3, padding=1)

        last = len(widths) - 1
        attention = [last] if attention is None else attention
        skips = [width]
        channels = width
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            inputs = [channels] + [width] * (layers - 1)
            blocks = [ResidualBlock(c, width, time_channels, groups) for c in inputs]
            stage = Level(blocks, [Attention(width, groups) for _ in blocks] if level in attention else [])
            channels = width
            skips += [width] * layers
            if level != last:
                stage.downsample = Downsample(width)
                skips.append(width)
            self.down.append(stage)

        self.mid = nn.Module()
        self.mid.block_1 = ResidualBlock(channels, channels, time_channels, groups)
        self.mid.attn_1 = Attention(channels, groups)
        self.mid.block_2 = ResidualBlock(channels, channels, time_channels, groups)

        stages = []
        for level in range(last, -1, -1):
            width = widths[level]
            blocks = []
            for _ in range(layers + 1):
                blocks.append(ResidualBlock(channels + skips.pop(), width, time_channels, groups))
                channels = width
            attends = level == last and last in attention
            stage = Level(blocks, [Attention(width, groups) for _ in blocks] if attends else [])
            if level != 0:
                stage.upsample = Upsample(width)
            stages.insert(0, stage)
        self.up = nn.ModuleList(stages)

        self.norm_out = norm(channels, groups)
        self.conv_out = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, x, t):
        temb = timestep_embedding(t.to(x.dtype), self.width)
        temb = self.temb.dense[1](F.silu(self.temb.dense[0](temb)))

        h = self.conv_in(x)
        skips = [h]
        for stage in self.down:
            for index in range(self.layers):
                h = stage.run_block(index, h, temb)
                skips.append(h)
            if hasattr(stage, "downsample"):
                h = stage.downsample(h)
                skips.append(h)

        h = self.mid.block_1(h, temb)
        h = self.mid.attn_1(h)
        h = self.mid.block_2(h, temb)

        for stage in reversed(self.up):
            for index in range(self.layers + 1):
                h = stage.run_block(index, torch.cat([h, skips.pop()], dim=1), temb)
            if hasattr(stage, "upsample"):
                h = stage.upsample(h)
        return self.conv_out(F.silu(self.norm_out(h)))


def diffusers_name(name):
    """UNet2DModel's name for a tensor of the released layout; it counts up blocks from the deepest level."""
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    deepest = len(MULTIPLIERS) - 1
    return re.sub(r"^up_blocks\.(\d+)\.", lambda m: f"up_blocks.{deepest - int(m.group(1))}.", name)


def released_unet():
    """The network with its name-derived weights; fails if the layout is not the released one."""
    network = ReleasedUNet()
    count = golden.parameter_count(network)
    assert count == RELEASED_PARAMETERS, f"{count} parameters, the released checkpoint has {RELEASED_PARAMETERS}"
    return fill_module(network)


def main():
    folder = golden.output_folder()
    network = released_unet()
    cases = (
        ("unet_released_64", (2, 2, 64, 64), (3.0, 777.0), GRADIENTS),
        ("unet_released_96x32", (1, 2, 96, 32), (500.0,), ()),
    )
    for name, shape, t, gradients in cases:
        tensors = golden.evaluate(network, network, shape, t, gradients)
        what = "plain PyTorch U-Net of the released layout, weights by name, float64 arithmetic stored as float32"
        golden.save(folder / f"{name}.safetensors", tensors, "unet_released.py", what)


if __name__ == "__main__":
    main()
