"""pig's exports, loaded by diffusers: `weights_export.py PIG IMPORTS` with the folder that imports.py wrote.

Each U-Net is imported by pig, exported, loaded by `UNet2DModel.from_pretrained`, and run on the inputs that are stored beside it; the
outputs must be those that were stored.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DModel, logging

TOLERANCE = 1e-5
MONAI = ("--set", "unet.norm_num_groups=2", "--set", "unet.attention_head_dim=4")
CASES = (("unet_2d", "unet_2d.npz", ()), ("unet_2d_bin", "unet_2d_bin.npz", ()), ("monai_unet.pth", "monai_unet.npz", MONAI))


def main():
    pig, imports = sys.argv[1], Path(sys.argv[2])
    logging.set_verbosity_error()
    for source, reference, settings in CASES:
        with tempfile.TemporaryDirectory() as work:
            model, exported = Path(work) / "model", Path(work) / "exported"
            subprocess.run([pig, "weights", "import", imports / source, "--out", model, *settings], check=True)
            subprocess.run([pig, "weights", "verify", model, "--reference", imports / reference], check=True)
            subprocess.run([pig, "weights", "export", model, "--out", exported], check=True)
            network = UNet2DModel.from_pretrained(exported).double().eval()
        arrays = np.load(imports / reference)
        x = np.concatenate([arrays["x"], arrays["cond"]], 1) if "cond" in arrays else arrays["x"]
        with torch.no_grad():
            y = network(torch.from_numpy(x).double(), torch.from_numpy(arrays["t"])).sample.numpy()
        difference = np.abs(y - arrays["y"]).max() / np.abs(arrays["y"]).max()
        print(f"{source}: diffusers on pig's export differs by {difference:.2e} of the largest value")
        assert difference < TOLERANCE


if __name__ == "__main__":
    main()
