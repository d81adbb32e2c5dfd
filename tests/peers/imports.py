"""Small models of other frameworks, with inputs and outputs: `imports.py [FOLDER]`; without FOLDER, writes to imports/ beside
this script.

Models have one level of 4 channels and one of 8 (those of volumes 2 and 4), and 16-bit weights that follow from their names
(weights.py), so that the files are small. Outputs are computed in float64 from these weights (MAISI's autoencoder: float32) and
stored as float32.
"""

import importlib
import importlib.metadata
import sys
import types
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel, UNet2DModel, logging
from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi
from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi
from monai.networks.nets import AutoencoderKL as MonaiAutoencoderKL
from monai.networks.nets import ControlNet as MonaiControlNet
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler
from safetensors.torch import save_file

from unet_released import ReleasedUNet
from weights import fill, fill_module

FOLDER = Path(__file__).resolve().parent / "imports"
SIZE = 8
#: Depth, height and width of latents: all different, so that no two axes can be exchanged.
VOLUME = (4, 6, 2)
TIMESTEPS = 40


def filled(module):
    """The module in half precision, filled by name."""
    return fill_module(module).half()


def reference(path, forward, channels, condition=0, classes=0):
    """Stores x, t and y of `forward(x, t, class)`, and cond and class if there are any."""
    x = fill("input.x", (2, channels + condition, SIZE, SIZE)).double()
    t = torch.tensor([3, 777])
    labels = torch.tensor([classes - 1, 0]) if classes else None
    with torch.no_grad():
        y = forward(x, t, labels)
    arrays = {"x": x[:, :channels].float().numpy(), "t": t.numpy(), "y": y.float().numpy()}
    if condition:
        arrays["cond"] = x[:, channels:].float().numpy()
    if classes:
        arrays["class"] = labels.numpy()
    np.savez_compressed(path, **arrays)


def unet_2d(folder):
    """UNet2DModel as safetensors with attention, and as .bin without attention in the middle and with other settings."""
    common = {"sample_size": SIZE, "in_channels": 2, "out_channels": 1, "block_out_channels": (4, 8), "norm_num_groups": 2}
    attending = UNet2DModel(
        **common,
        layers_per_block=1,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    filled(attending).save_pretrained(folder / "unet_2d")
    network = attending.double().eval()
    reference(folder / "unet_2d.npz", lambda x, t, _: network(x, t).sample, 1, condition=1)
    plain = UNet2DModel(
        **common,
        layers_per_block=1,
        add_attention=False,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    filled(plain).save_pretrained(folder / "unet_2d_bin", safe_serialization=False)
    plain = plain.double().eval()
    reference(folder / "unet_2d_bin.npz", lambda x, t, _: plain(x, t).sample, 2)


def unet_2d_condition(folder):
    """UNet2DConditionModel without text: by class with one block in the middle, and without a middle."""
    common = {
        "sample_size": SIZE,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": (4, 8),
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "attention_head_dim": 4,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }
    by_class = UNet2DConditionModel(**common, mid_block_type="UNetMidBlock2D", num_class_embeds=3)
    filled(by_class).save_pretrained(folder / "unet_class")
    by_class = by_class.double().eval()
    reference(folder / "unet_class.npz", lambda x, t, c: by_class(x, t, None, class_labels=c).sample, 1, classes=3)
    bare = UNet2DConditionModel(**common, mid_block_type=None)
    filled(bare).save_pretrained(folder / "unet_no_middle")
    bare = bare.double().eval()
    reference(folder / "unet_no_middle.npz", lambda x, t, _: bare(x, t, None).sample, 1)


def monai_unet(folder):
    """The state dictionary of MONAI's DiffusionModelUNet."""
    network = DiffusionModelUNet(
        2, 2, 1, num_res_blocks=1, channels=(4, 8), attention_levels=(False, True), norm_num_groups=2, num_head_channels=4
    )
    torch.save(filled(network).state_dict(), folder / "monai_unet.pth")
    network = network.double().eval()
    reference(folder / "monai_unet.npz", lambda x, t, _: network(x, t), 1, condition=1)


def generative(name):
    """A file of networks of MONAI Generative. Its packages import what MONAI no longer has, so they are left out."""
    root = importlib.metadata.distribution("monai-generative").locate_file("")
    for package in ("generative", "generative.networks", "generative.networks.nets"):
        module = types.ModuleType(package)
        module.__path__ = [str(root.joinpath(*package.split(".")))]
        sys.modules[package] = module
    return importlib.import_module(f"generative.networks.nets.{name}")


def monai_generative(folder):
    """MONAI Generative's U-Net, autoencoder and ControlNet, whose files hold a projection of attention that is never applied."""
    common = {"norm_num_groups": 2, "attention_levels": (False, True)}
    unet = generative("diffusion_model_unet").DiffusionModelUNet(
        2, 2, 1, num_res_blocks=1, num_channels=(4, 8), num_head_channels=4, **common
    )
    save_file(filled(unet).state_dict(), folder / "monai_generative_unet.safetensors")
    unet = unet.double().eval()
    reference(folder / "monai_generative_unet.npz", lambda x, t, _: unet(x, t), 1, condition=1)
    autoencoder = generative("autoencoderkl").AutoencoderKL(
        2, 1, 1, num_res_blocks=(1, 1), num_channels=(4, 8), latent_channels=3, **common
    )
    decoded(folder, "monai_generative_vae", autoencoder)
    control = generative("controlnet").ControlNet(
        2,
        1,
        num_res_blocks=1,
        num_channels=(4, 8),
        num_head_channels=4,
        conditioning_embedding_num_channels=(4, 6),
        **common,
    )
    save_file(filled(control).state_dict(), folder / "monai_generative_controlnet.safetensors")
    control = control.double().eval()
    control_reference(folder / "monai_generative_controlnet.npz", lambda x, t, c: control(x, t, c)[1])


def decoded(folder, name, network):
    """Writes one of MONAI's autoencoders, with x, and y, the image decoded from the mean of the latents."""
    save_file(filled(network).state_dict(), folder / f"{name}.safetensors")
    network = network.double().eval()
    reference(folder / f"{name}.npz", lambda x, t, _: network.decode(network.encode(x)[0]), 1)


def released(folder):
    """The released code's U-Net with attention in both levels, of which its decoder has the lower alone."""
    network = ReleasedUNet(width=4, multipliers=(1, 2), layers=1, groups=2, attention=(0, 1))
    save_file(filled(network).state_dict(), folder / "released_unet.safetensors")
    network = network.double().eval()
    reference(folder / "released_unet.npz", lambda x, t, _: network(x, t), 1, condition=1)


def autoencoders(folder):
    """diffusers' and MONAI's autoencoders: x, and y, the image decoded from the mean of the latents."""
    common = {"in_channels": 1, "out_channels": 1, "latent_channels": 3, "norm_num_groups": 2}
    for name, down, up in [
        ("vae", ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2),
        ("vae_attention", ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"), ("AttnUpDecoderBlock2D", "UpDecoderBlock2D")),
    ]:
        ours = AutoencoderKL(
            **common,
            block_out_channels=(4, 8),
            layers_per_block=1,
            down_block_types=down,
            up_block_types=up,
            scaling_factor=0.5,
        )
        filled(ours).save_pretrained(folder / name)
        ours = ours.double().eval()
        reference(folder / f"{name}.npz", lambda x, t, _: ours.decode(ours.encode(x).latent_dist.mean).sample, 1)
    monai = {**common, "channels": (4, 8)}
    decoded(
        folder, "monai_vae", MonaiAutoencoderKL(2, **monai, num_res_blocks=(1, 1), attention_levels=(False, False))
    )
    # The middle is told from levels with attention by what stands around it: with and without it, one and two blocks in a level.
    decoded(
        folder, "monai_vae_attention", MonaiAutoencoderKL(2, **monai, num_res_blocks=(1, 1), attention_levels=(True, True))
    )
    bare = {"with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False}
    decoded(
        folder,
        "monai_vae_no_middle",
        MonaiAutoencoderKL(2, **monai, num_res_blocks=(2, 2), attention_levels=(False, True), **bare),
    )


def control_reference(path, forward):
    """Stores x, t, a condition of twice the size, and y, what is added to the middle."""
    x, cond = fill("input.x", (2, 1, SIZE, SIZE)).double(), fill("input.cond", (2, 1, 2 * SIZE, 2 * SIZE)).double()
    t = torch.tensor([3, 777])
    with torch.no_grad():
        y = forward(x, t, cond)
    arrays = {"x": x, "t": t, "cond": cond, "y": y}
    np.savez_compressed(path, **{k: (v.float() if v.is_floating_point() else v).numpy() for k, v in arrays.items()})


def control_networks(folder):
    """diffusers' and MONAI's ControlNets."""
    ours = ControlNetModel(
        in_channels=1,
        conditioning_channels=1,
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=2,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        conditioning_embedding_out_channels=(4, 6),
    )
    filled(ours).save_pretrained(folder / "controlnet")
    ours = ours.double().eval()
    control_reference(
        folder / "controlnet.npz", lambda x, t, c: ours(x, t, None, controlnet_cond=c).mid_block_res_sample
    )
    base = UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=1,
        out_channels=1,
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=2,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        mid_block_type="UNetMidBlock2D",
    )
    filled(base).save_pretrained(folder / "unet_controlled")
    base = base.double().eval()

    def controlled(x, t, c):
        down, middle = ours(x, t, None, controlnet_cond=c, return_dict=False)
        told = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return base(x, t, None, **told).sample

    control_reference(folder / "unet_controlled.npz", controlled)
    monai = MonaiControlNet(
        2,
        1,
        num_res_blocks=(1, 1),
        channels=(4, 8),
        attention_levels=(False, True),
        norm_num_groups=2,
        num_head_channels=4,
        conditioning_embedding_in_channels=1,
        conditioning_embedding_num_channels=(4, 6),
    )
    save_file(filled(monai).state_dict(), folder / "monai_controlnet.safetensors")
    monai = monai.double().eval()
    control_reference(folder / "monai_controlnet.npz", lambda x, t, c: monai(x, t, c)[1])


def floats(arrays):
    """Arrays in the stored types: integers unchanged, others as float32."""
    return {k: (v.float() if v.is_floating_point() else v).numpy() for k, v in arrays.items()}


def maisi(folder):
    """MAISI's networks of volumes, each on its own, and a complete sampling of a volume for a mask."""
    common = {"spatial_dims": 3, "num_channels": (2, 4), "num_res_blocks": 1, "norm_num_groups": 2}
    attending = {"attention_levels": (False, True), "num_head_channels": (0, 2)}
    regions = {f"include_{name}_input": True for name in ("top_region_index", "bottom_region_index", "spacing")}
    unet = DiffusionModelUNetMaisi(in_channels=2, out_channels=2, num_class_embeds=3, **regions, **common, **attending)
    control = ControlNetMaisi(
        in_channels=2,
        num_class_embeds=None,
        conditioning_embedding_in_channels=3,
        conditioning_embedding_num_channels=(2, 4),
        use_checkpointing=False,
        **common,
        **attending,
    )
    autoencoder = AutoencoderKlMaisi(
        in_channels=1,
        out_channels=1,
        latent_channels=2,
        attention_levels=(False, False),
        with_encoder_nonlocal_attn=False,
        with_decoder_nonlocal_attn=False,
        num_splits=1,
        dim_split=0,
        norm_float16=False,
        use_checkpointing=False,
        **{**common, "num_res_blocks": (1, 1)},
    )
    networks = {"unet": unet, "controlnet": control, "vae": autoencoder}
    for name, network in networks.items():
        save_file(filled(network).state_dict(), folder / f"maisi_{name}.safetensors")
    unet, control = unet.double().eval(), control.double().eval()
    # MAISI's normalisation always computes in float32.
    autoencoder = autoencoder.float().eval()
    large = tuple(2 * side for side in VOLUME)
    x, cond = fill("input.x", (2, 2, *VOLUME)).double(), fill("input.cond", (2, 3, *large)).double()
    t, label = torch.tensor([3, 33]), torch.tensor([2, 0])
    told = {
        "top_region_index": fill("input.top", (2, 4)).double(),
        "bottom_region_index": fill("input.bottom", (2, 4)).double(),
        "spacing": fill("input.spacing", (2, 3)).double(),
    }

    def predict(x, t, label, told, cond):
        down, middle = control(x, t, controlnet_cond=cond)
        return unet(
            x,
            t,
            class_labels=label,
            down_block_additional_residuals=tuple(down),
            mid_block_additional_residual=middle,
            **{f"{name}_tensor": value for name, value in told.items()},
        )

    with torch.no_grad():
        y = predict(x, t, label, told, cond)
        np.savez_compressed(
            folder / "maisi_unet.npz", **floats({"x": x, "t": t, "cond": cond, "class": label, "y": y, **told})
        )
        pictures = fill("input.volume", (2, 1, *large))
        again = autoencoder.decode(autoencoder.encode(pictures)[0])
        np.savez_compressed(folder / "maisi_vae.npz", **floats({"x": pictures, "y": again}))

        labels = (torch.arange(np.prod(large)) % 7).reshape(large)
        bits = torch.stack([(labels >> bit) & 1 for bit in range(3)])[None].double()
        one = {name: value[:1] for name, value in told.items()}
        scheduler = DDIMScheduler(num_train_timesteps=TIMESTEPS, schedule="linear_beta", clip_sample=False)
        # All timesteps: with fewer, a step of MONAI's scheduler does not end at the next timestep of its list.
        scheduler.set_timesteps(TIMESTEPS)
        start = fill("input.noise", (1, 2, *VOLUME)).double()
        latent = start
        for step in scheduler.timesteps:
            output = predict(latent, step[None], label[:1], one, bits)
            latent, _ = scheduler.step(output, step, latent)
        volume = autoencoder.decode((latent / 0.5).float())
    np.savez_compressed(
        folder / "maisi_sample.npz",
        **floats({"mask": labels.int(), "y_T": start[0], "class": label[:1], **{k: v[0] for k, v in one.items()}}),
    )
    np.savez_compressed(folder / "maisi_sampled.npz", volume=volume[0].numpy())


def monai_volumes(folder):
    """MONAI's own U-Net of volumes, which gets a mask as an input channel."""
    network = DiffusionModelUNet(
        3, 2, 1, num_res_blocks=1, channels=(2, 4), attention_levels=(False, True), norm_num_groups=2, num_head_channels=2
    )
    save_file(filled(network).state_dict(), folder / "monai_unet_3d.safetensors")
    network = network.double().eval()
    x, t = fill("input.x", (2, 2, *VOLUME)).double(), torch.tensor([3, 777])
    with torch.no_grad():
        y = network(x, t)
    np.savez_compressed(folder / "monai_unet_3d.npz", **floats({"x": x[:, :1], "cond": x[:, 1:], "t": t, "y": y}))


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity_error()
    unet_2d(folder)
    unet_2d_condition(folder)
    monai_unet(folder)
    monai_generative(folder)
    released(folder)
    autoencoders(folder)
    control_networks(folder)
    maisi(folder)
    monai_volumes(folder)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            print(f"{path.relative_to(folder)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
