"""Loads pig's exports with diffusers: `weights_export.py PIG IMPORTS`, where IMPORTS is the folder that imports.py wrote.

Each model is imported by pig, exported, loaded by the class that its config.json names, and run on the inputs that are stored
beside it; the outputs must be equal to the stored ones.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch

TOLERANCE = 1e-5
MONAI = ("--set", "unet.norm_num_groups=2", "--set", "unet.attention_head_dim=4")
CASES = (
    ("unet_2d", "unet_2d.npz", ()),
    ("unet_2d_bin", "unet_2d_bin.npz", ()),
    ("unet_class", "unet_class.npz", ()),
    ("unet_no_middle", "unet_no_middle.npz", ()),
    ("monai_unet.pth", "monai_unet.npz", MONAI),
    ("monai_generative_unet.safetensors", "monai_generative_unet.npz", MONAI),
    ("released_unet.safetensors", "released_unet.npz", MONAI[:2]),
    ("vae", "vae.npz", ()),
    ("vae_attention", "vae_attention.npz", ()),
    ("controlnet", "controlnet.npz", ()),
)


def outputs(network, arrays):
    """The outputs of the network for the stored inputs."""
    x, t = torch.from_numpy(arrays["x"]).double(), torch.from_numpy(arrays["t"])
    kind = type(network).__name__
    if kind == "AutoencoderKL":
        return network.decode(network.encode(x).latent_dist.mean).sample
    if kind == "ControlNetModel":
        cond = torch.from_numpy(arrays["cond"]).double()
        return network(x, t, None, controlnet_cond=cond).mid_block_res_sample
    if "cond" in arrays:
        x = torch.cat([x, torch.from_numpy(arrays["cond"]).double()], 1)
    labels = torch.from_numpy(arrays["class"]) if "class" in arrays else None
    told = (x, t, None) if kind == "UNet2DConditionModel" else (x, t)
    return network(*told, class_labels=labels).sample


def main():
    pig, imports = sys.argv[1], Path(sys.argv[2])
    diffusers.logging.set_verbosity_error()
    for source, reference, settings in CASES:
        with tempfile.TemporaryDirectory() as work:
            model, exported = Path(work) / "model", Path(work) / "exported"
            subprocess.run([pig, "weights", "import", imports / source, "--out", model, *settings], check=True)
            subprocess.run([pig, "weights", "verify", model, "--reference", imports / reference], check=True)
            subprocess.run([pig, "weights", "export", model, "--out", exported], check=True)
            name = json.loads((exported / "config.json").read_text())["_class_name"]
            network = getattr(diffusers, name).from_pretrained(exported).double().eval()
        arrays = np.load(imports / reference)
        with torch.no_grad():
            y = outputs(network, arrays).numpy()
        difference = np.abs(y - arrays["y"]).max() / np.abs(arrays["y"]).max()
        print(f"{source}: diffusers' {name} on pig's export differs by {difference:.2e} of the largest value")
        assert difference < TOLERANCE


if __name__ == "__main__":
    main()
