"""A small diffusers AutoencoderKL: moments, decoded mean and gradients, for crates/nn's autoencoder."""

from diffusers import AutoencoderKL, logging

import golden
from weights import fill, fill_module

CONFIG = {
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": (16, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "layers_per_block": 1,
    "latent_channels": 3,
    "norm_num_groups": 8,
}
SHAPE = (2, 1, 32, 24)
GRADIENTS = (
    "encoder.conv_in.weight",
    "encoder.down_blocks.0.downsamplers.0.conv.bias",
    "encoder.mid_block.attentions.0.to_q.weight",
    "quant_conv.weight",
    "decoder.up_blocks.1.resnets.0.conv_shortcut.weight",
    "decoder.conv_out.weight",
)


def main():
    folder = golden.output_folder()
    logging.set_verbosity_error()
    network = fill_module(AutoencoderKL(**CONFIG)).double().eval()
    print(f"{golden.parameter_count(network)} parameters")
    x = fill("input.x", SHAPE).double()
    posterior = network.encode(x).latent_dist
    decoded = network.decode(posterior.mean).sample
    probe = fill("probe", tuple(decoded.shape)).double()
    # The gradient of the divergence reaches the variance; that of the decoded mean does not.
    kl = posterior.kl().mean()
    loss = (decoded * probe).mean() + 0.01 * kl
    loss.backward()
    parameters = dict(network.named_parameters())
    tensors = {
        "input.x": x,
        "mean": posterior.mean,
        "logvar": posterior.logvar,
        "decoded": decoded,
        "kl": kl.reshape(1),
        "loss": loss.reshape(1),
    } | {f"grad.{name}": parameters[name].grad.flatten() for name in GRADIENTS}
    for name, tensor in tensors.items():
        print(f"  {name} {list(tensor.shape)}: rms {tensor.detach().square().mean().sqrt():.4g}")
    what = f"diffusers AutoencoderKL {CONFIG}, weights by name, float64 arithmetic stored as float32"
    tensors = {name: tensor.detach().float() for name, tensor in tensors.items()}
    golden.save(folder / "autoencoder_diffusers.safetensors", tensors, "autoencoder_diffusers.py", what)


if __name__ == "__main__":
    main()
