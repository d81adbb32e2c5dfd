"""The Python of docs/PYTHON.md and README.md, run as it stands there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Made

ROOT = Path(__file__).parent.parent.parent


def blocks(path: Path) -> list[str]:
    return [part.split("```")[0] for part in path.read_text(encoding="utf-8").split("```python\n")[1:]]


@pytest.fixture
def folder(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made.pairs, tmp_path / "PAIRS")
    shutil.copytree(made.data, tmp_path / "DATA")
    shutil.copy(ROOT / "configs" / "smoke.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_about_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, _, commands = blocks(ROOT / "docs" / "PYTHON.md")
    exec(f"{pairs}\n{commands}", {})
    output = capsys.readouterr().out
    assert output.startswith("Progress(") and output.endswith("\n32\n")
    assert (folder / "MONAI" / "datalist.json").exists() and len(list((folder / "MASKS" / "masks").iterdir())) == 16


def test_what_the_page_says_about_monai(folder: Path) -> None:
    pytest.importorskip("monai", reason="monai is not installed; .ci/peers has it")
    pairs, monai, _ = blocks(ROOT / "docs" / "PYTHON.md")
    names: dict[str, object] = {}
    exec(f"{pairs}\n{monai}", names)
    assert len(names["data"]) == 4  # type: ignore[arg-type]


def test_the_readme_of_the_package(folder: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed; .ci/peers has it")
    (code,) = blocks(ROOT / "python" / "README.md")
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["data"]) == 4  # type: ignore[arg-type]
