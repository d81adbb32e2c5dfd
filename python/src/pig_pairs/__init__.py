"""pig from Python: the binary that the wheel brings, the pairs that it makes, and its commands.

- :func:`binary` is the path of the binary.
- :class:`Pairs` reads a folder that ``pig prepare`` or ``pig sample`` wrote, for NumPy, PIL, PyTorch, MONAI and
  Hugging Face's datasets.
- :func:`sample`, :func:`train`, :func:`segment` and :func:`call` run the binary's commands.
"""

from __future__ import annotations

from importlib import metadata

from ._binary import DISTRIBUTION, binary
from ._commands import call, sample, segment, train
from ._errors import BinaryNotFoundError, MissingPackageError, PairsError, PigError
from ._events import Event, Message, Metrics, Progress, StageEnd
from ._job import Job
from ._pair import Pair
from ._pairs import Pairs, load

__all__ = [
    "BinaryNotFoundError",
    "Event",
    "Job",
    "Message",
    "Metrics",
    "MissingPackageError",
    "Pair",
    "Pairs",
    "PairsError",
    "PigError",
    "Progress",
    "StageEnd",
    "binary",
    "call",
    "load",
    "sample",
    "segment",
    "train",
]

try:
    __version__ = metadata.version(DISTRIBUTION)
except metadata.PackageNotFoundError:
    # The sources are on the path, without an installation.
    __version__ = "unknown"
