"""The examples, run on phantoms."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Made

import pig_pairs

EXAMPLES = Path(__file__).parent.parent / "examples"


def need(package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed; .ci/peers has it")


def test_the_folder_of_nnunet(made: Made, tmp_path: Path) -> None:
    import nnunet_folder

    words = [
        str(made.data),
        str(made.pairs),
        str(tmp_path / "raw"),
        "--id",
        "7",
        "--splits",
        str(made.run / "splits.json"),
    ]
    out = nnunet_folder.main(words)
    assert out.name == "Dataset007_Lesions"
    description = json.loads((out / "dataset.json").read_text())
    assert description["numTraining"] == len(list((out / "labelsTr").iterdir())) > 0
    assert len(json.loads((out / "splits_final.json").read_text())) >= 1


def test_the_segmenter_in_torch(made: Made, tmp_path: Path) -> None:
    need("torch")
    import torch_segmenter

    pig_pairs.sample("starter", range(24), out=tmp_path / "pairs").result()
    words = [str(made.data), str(tmp_path / "pairs")]
    # Masses of phantoms are bright: a segmenter that learns finds most of them in seconds.
    assert torch_segmenter.main([*words, "--epochs", "20"]) > 0.5
    assert 0 <= torch_segmenter.main([*words, "--epochs", "1", "--without-pairs"]) <= 1


def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    source = Path(pig_pairs.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PIG_BINARY", str(pig_pairs.binary()))
    # Neither settings nor kernels of whoever runs this.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    book = nbformat.read(EXAMPLES / "pairs.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path))
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    text = "".join(output.get("text", "") for output in outputs)
    assert len(pictures) == 2 and "StageEnd(stage='sample'" in text and "1 no-such-run: not a run directory" in text


def test_the_notebook_is_stored_without_outputs() -> None:
    book = json.loads((EXAMPLES / "pairs.ipynb").read_text())
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in book["cells"])
