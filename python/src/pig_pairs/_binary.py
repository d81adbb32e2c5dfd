"""Where the binary is."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ._errors import BinaryNotFoundError

#: The environment variable that names another binary.
VARIABLE = "PIG_BINARY"
#: The name of this package's distribution.
DISTRIBUTION = "pig-pairs"

_NAME = "pig.exe" if sys.platform == "win32" else "pig"


def binary() -> Path:
    """The path of the binary `pig`: the one that the environment variable PIG_BINARY names, else the one that was
    installed with this package.

    A `pig` elsewhere on the PATH is never used, since it may be another version or another program.

    Raises:
        BinaryNotFoundError: there is none; the message lists the places.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named)
        if not _is_program(path):
            raise BinaryNotFoundError(
                f"{VARIABLE} is {named}, which is not a program; expected the path of the binary pig"
            )
        return path.absolute()
    places = list(dict.fromkeys(_places()))
    for place in places:
        if _is_program(place):
            return place
    listed = ", ".join(str(place) for place in places)
    raise BinaryNotFoundError(
        f"the binary pig is in none of {listed}; install the wheel of {DISTRIBUTION}, "
        f"or set {VARIABLE} to the path of the binary"
    )


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _places() -> Iterator[Path]:
    """Where an installer may have put the binary."""
    try:
        files = metadata.distribution(DISTRIBUTION).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == _NAME:
            yield Path(os.path.normpath(str(file.locate())))
    yield Path(sysconfig.get_path("scripts")) / _NAME
    # `pip install --target` leaves it there, and the list of files as it was.
    yield Path(__file__).resolve().parent.parent / "bin" / _NAME
    user = "nt_user" if sys.platform == "win32" else "posix_user"
    if user in sysconfig.get_scheme_names():
        yield Path(sysconfig.get_path("scripts", scheme=user)) / _NAME
