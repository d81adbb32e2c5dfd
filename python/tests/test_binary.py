"""Which binary is called."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import pig_pairs


def test_the_binary_says_its_version() -> None:
    output = subprocess.run([pig_pairs.binary(), "--version"], capture_output=True, text=True, check=True)
    assert output.stdout.startswith("pig ")


def test_the_module_is_the_binary() -> None:
    source = Path(pig_pairs.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-m", "pig_pairs", "doctor", "--nonsense"]
    output = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert output.returncode == 1
    assert "unexpected argument '--nonsense'" in output.stderr


def test_a_variable_that_names_no_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in [tmp_path / "nothing", tmp_path, Path(__file__)]:
        monkeypatch.setenv("PIG_BINARY", str(path))
        with pytest.raises(pig_pairs.BinaryNotFoundError, match="PIG_BINARY is .*, which is not a program"):
            pig_pairs.binary()


def test_a_missing_binary_is_an_error_that_lists_the_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.delenv("PIG_BINARY", raising=False)
    monkeypatch.setattr(metadata, "distribution", nothing)
    monkeypatch.setattr(sysconfig, "get_path", lambda *arguments, **scheme: str(tmp_path))
    monkeypatch.setattr("pig_pairs._binary.__file__", str(tmp_path / "pig_pairs" / "_binary.py"))
    # A program of this name on the PATH is another program.
    decoy = tmp_path / "decoy" / "pig"
    decoy.parent.mkdir()
    decoy.write_text("#!/bin/sh\n")
    decoy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{decoy.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(pig_pairs.BinaryNotFoundError) as caught:
        pig_pairs.binary()
    assert str(tmp_path / "pig") in str(caught.value) and "install the wheel of pig-pairs" in str(caught.value)
    with pytest.raises(FileNotFoundError):
        pig_pairs.sample("starter", count=1, out=tmp_path / "out")


def test_the_installed_binary_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        files = metadata.distribution("pig-pairs").files or []
    except metadata.PackageNotFoundError:
        pytest.skip("the wheel is not installed; .ci/wheel installs it")
    assert any(file.stem == "pig" and file.parent.name in ("bin", "Scripts") for file in files)
    monkeypatch.delenv("PIG_BINARY", raising=False)
    # Beside the interpreter, or beside the package.
    package = Path(pig_pairs.__file__).resolve().parent.parent
    assert pig_pairs.binary().parent in (Path(sysconfig.get_path("scripts")), package / "bin")
