"""Goldens of diffusers' UNet2DModel, and a check that in the released layout it equals unet_released.py.

Run `unet_diffusers.py [FOLDER]`. Weights follow from diffusers' own parameter names, except in the
equality check, which copies the values of the released layout by `diffusers_name`.
"""

import torch
from diffusers import UNet2DModel, logging

import golden
from unet_released import MULTIPLIERS, RELEASED_PARAMETERS, WIDTH, diffusers_name, released_unet
from weights import fill, fill_module

EQUALITY_TOLERANCE = 1e-5

# Other settings have the defaults of diffusers: flip_sin_to_cos true, freq_shift 0, norm_eps 1e-5, downsample_padding 1,
# attention in the middle block.
SMALL = {
    "in_channels": 2,
    "out_channels": 1,
    "block_out_channels": (32, 64),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}
RELEASED = {
    "in_channels": 2,
    "out_channels": 1,
    "block_out_channels": tuple(WIDTH * m for m in MULTIPLIERS),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D",) * 5 + ("AttnDownBlock2D",),
    "up_block_types": ("AttnUpBlock2D",) + ("UpBlock2D",) * 5,
    "attention_head_dim": WIDTH * MULTIPLIERS[-1],
    "norm_num_groups": 32,
    "norm_eps": 1e-6,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
}
GRADIENTS = (
    "conv_in.weight",
    "down_blocks.0.resnets.0.norm1.weight",
    "mid_block.attentions.0.to_q.bias",
    "conv_out.weight",
    "time_embedding.linear_1.bias",
)


def check_equality():
    """Compares both networks with the weights of the released layout, in float32 and float64; fails above the tolerance."""
    ours = released_unet()
    theirs = UNet2DModel(**RELEASED).eval()
    wanted = theirs.state_dict()
    renamed = {diffusers_name(name): value for name, value in ours.state_dict().items()}
    # A 1x1 convolution of the released layout is a linear layer in diffusers.
    theirs.load_state_dict({name: value.reshape(wanted[name].shape) for name, value in renamed.items()})
    count = golden.parameter_count(theirs)
    print(f"diffusers' parameter count: {count}, released: {RELEASED_PARAMETERS}")
    assert count == RELEASED_PARAMETERS
    for dtype in (torch.float32, torch.float64):
        x = fill("input.x", (2, 2, 64, 64)).to(dtype)
        t = torch.tensor([3.0, 777.0])
        with torch.no_grad():
            a, b = ours.to(dtype)(x, t), theirs.to(dtype)(x, t).sample
        difference = ((a - b).abs().max() / a.abs().max()).item()
        print(f"transcription against diffusers, {dtype}: {difference:.2e} of the largest output")
        assert difference < EQUALITY_TOLERANCE


def main():
    folder = golden.output_folder()
    logging.set_verbosity_error()
    check_equality()
    cases = (
        ("unet_diffusers_small", SMALL, (2, 2, 32, 32)),
        ("unet_diffusers_released", RELEASED, (2, 2, 64, 64)),
    )
    for name, config, shape in cases:
        network = fill_module(UNet2DModel(**config))
        print(f"{name}: {golden.parameter_count(network)} parameters")
        tensors = golden.evaluate(network, lambda x, t: network(x, t).sample, shape, (3.0, 777.0), GRADIENTS)
        what = f"diffusers UNet2DModel {config}, weights by name, float64 arithmetic stored as float32"
        golden.save(folder / f"{name}.safetensors", tensors, "unet_diffusers.py", what)


if __name__ == "__main__":
    main()
