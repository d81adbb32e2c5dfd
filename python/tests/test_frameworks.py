"""Pairs for PyTorch, MONAI and Hugging Face's datasets; each is skipped where its package is missing."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from conftest import Made

import pig_pairs
from pig_pairs import MissingPackageError, Pairs


def need(package: str) -> Any:
    return pytest.importorskip(package, reason=f"{package} is not installed; .ci/peers has it")


def test_torch(made: Made) -> None:
    torch = need("torch")
    pairs = Pairs(made.pairs)
    data = pairs.torch()
    assert isinstance(data, torch.utils.data.Dataset) and len(data) == 4
    image, mask = data[1]
    assert image.shape == (1, 32, 32) and image.dtype == torch.float32 and 0 <= image.min() <= image.max() <= 1
    assert mask.shape == (32, 32) and mask.dtype == torch.int64
    assert np.array_equal(mask.numpy(), pairs[1].labels()) and np.array_equal(image.numpy(), pairs[1].scaled())
    assert len(list(data)) == 4


def test_a_transform_of_torch_gets_both(made: Made) -> None:
    torch = need("torch")

    def mirrored(image: Any, mask: Any) -> tuple[Any, Any]:
        return image.flip(-1), mask.flip(-1)

    plain, data = Pairs(made.pairs).torch(), Pairs(made.pairs).torch(mirrored)
    for (image, mask), (other, others) in zip(plain, data):
        assert torch.equal(image, other.flip(-1)) and torch.equal(mask, others.flip(-1))


def test_workers_of_torch_load_pairs(made: Made) -> None:
    """Processes that are spawned get the data set as a pickle."""
    torch = need("torch")
    data = torch.utils.data.ConcatDataset([Pairs(made.pairs).torch(), Pairs(made.pairs)[:2].torch()])
    loader = torch.utils.data.DataLoader(data, batch_size=3, num_workers=1, multiprocessing_context="spawn")
    images = torch.cat([images for images, _ in loader])
    assert images.shape == (6, 1, 32, 32) and torch.equal(images[4], images[0])


def test_transforms_of_torchvision_know_the_mask(made: Made) -> None:
    torch = need("torch")
    need("torchvision")
    from torchvision.transforms import v2

    transform = v2.Compose([v2.RandomHorizontalFlip(p=1), v2.Resize((16, 16))])
    plain = Pairs(made.pairs)[0]
    image, mask = Pairs(made.pairs).torch(transform, tv_tensors=True)[0]
    assert image.shape == (1, 16, 16) and mask.shape == (16, 16) and set(mask.unique().tolist()) <= {0, 1}
    image, mask = Pairs(made.pairs).torch(v2.RandomHorizontalFlip(p=1), tv_tensors=True)[0]
    assert torch.equal(torch.as_tensor(mask), torch.from_numpy(plain.labels().astype(np.int64)).flip(-1))
    assert np.array_equal(image.numpy()[..., ::-1], plain.scaled())


def test_the_list_for_monai(made: Made) -> None:
    """It is a plain list of dicts, which needs no MONAI."""
    items = Pairs(made.data).monai()
    assert items[0] == {
        "id": "p0000_cc",
        "image": str(made.data / "images/p0000_cc.png"),
        "label": str(made.data / "masks/p0000_cc.png"),
        "patient": "p0000",
        "slices": 1,
    }
    loaded = pig_pairs.load(items[0])
    pair = Pairs(made.data)[0]
    assert np.array_equal(loaded["image"], pair.scaled()) and np.array_equal(loaded["label"][0], pair.labels())
    assert loaded["patient"] == "p0000" and items[0]["image"] == str(made.data / "images/p0000_cc.png")


def test_monai(made: Made) -> None:
    need("monai")
    from monai.data import DataLoader, Dataset
    from monai.transforms import Compose, Flipd, Resized

    keys = ["image", "label"]
    steps = [pig_pairs.load, Flipd(keys, spatial_axis=1), Resized(keys, (16, 16), mode=("area", "nearest"))]
    pairs = Pairs(made.pairs)
    for batch in DataLoader(Dataset(pairs.monai(), Compose(steps)), batch_size=4):
        assert batch["image"].shape == batch["label"].shape == (4, 1, 16, 16)
        assert set(batch["label"].unique().tolist()) == {0, 1}
        assert batch["id"] == [pair.id for pair in pairs]


def test_hugging_face(made: Made) -> None:
    datasets = need("datasets")
    pairs = Pairs(made.pairs)
    data = pairs.hf()
    assert isinstance(data, datasets.Dataset) and len(data) == 4
    assert isinstance(data.features["image"], datasets.Image) and isinstance(data.features["mask"], datasets.Image)
    assert data["seed"][:] == [0, 1, 2, 3] and data.features["empty_mask"].dtype == "bool"
    for row, pair in zip(data, pairs):
        assert np.array_equal(np.asarray(row["image"]), pair.pixels())
        assert np.array_equal(np.asarray(row["mask"]), pair.labels())
        assert row["id"] == pair.id and row["mask_pixels"] == pair.labels().sum()
    assert Pairs(made.data).hf()["patient"][:2] == ["p0000", "p0000"]


@pytest.mark.parametrize(("method", "package"), [("torch", "torch"), ("hf", "datasets")])
def test_a_missing_package_is_named(method: str, package: str, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == package or name in ("pig_pairs._torch", "pig_pairs._hf"):
            monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def absent(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, globals, locals, fromlist or (), level)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        MissingPackageError, match=rf"{method}\(\) needs the package {package}.*: pip install {package}"
    ):
        getattr(Pairs(made.pairs), method)()


def test_heavy_packages_are_imported_when_asked_for() -> None:
    import subprocess

    code = "import sys, pig_pairs; print({'torch', 'monai', 'datasets', 'torchvision'} & set(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert output.stdout == "set()\n"
