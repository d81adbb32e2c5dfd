"""What a running command says: its lines on stderr, and the lines of a training's metrics.jsonl."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Union


@dataclass(frozen=True)
class Progress:
    """A stage has done some of its steps. The binary says so once a second (PIG_PROGRESS_SECONDS in the environment is
    another time), and when the stage is complete."""

    #: Name of the stage, such as "model_x" or "sample".
    stage: str
    #: Steps done.
    done: int
    #: Steps of the stage.
    total: int
    #: What the binary says beside it, such as the loss; may be empty.
    message: str = ""
    #: The estimated time to the end of the stage.
    seconds_left: float | None = None

    @property
    def fraction(self) -> float:
        """The share of the steps that are done, from 0 to 1."""
        return self.done / self.total if self.total else 1.0


@dataclass(frozen=True)
class StageEnd:
    """A stage is over, at its end or because the command was stopped."""

    #: Name of the stage.
    stage: str
    #: How long it took.
    seconds: float


@dataclass(frozen=True)
class Metrics:
    """A line of a training's metrics.jsonl; what was not measured at this step is None."""

    #: The network.
    network: str
    #: Optimiser steps done.
    step: int
    #: Mean training loss since the previous line.
    loss: float | None = None
    #: Learning rate of the step.
    learning_rate: float | None = None
    #: Norm of the gradient before clipping.
    gradient_norm: float | None = None
    #: Training images per second since the previous line.
    images_per_second: float | None = None
    #: Validation loss: "mean", and "quarters" of the timesteps from the least to the most noise.
    validation: Mapping[str, Any] | None = None
    #: How well an autoencoder reconstructs held-out images: "images", "psnr", "l1".
    reconstruction: Mapping[str, Any] | None = None
    #: Mean Dice of a segmenter on held-out groups.
    dice: float | None = None
    #: Whatever else the line holds.
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """Any other line: a note, or a warning."""

    #: The line, without "warning: ".
    text: str
    #: Whether the line is a warning.
    warning: bool = False


#: What the iterator of a job yields.
Event = Union[Progress, StageEnd, Metrics, Message]

_DURATION = r"(?:(?P<hours>\d+) h )?(?:(?P<minutes>\d+) min ?)?(?:(?P<seconds>\d+) s)?"
_PROGRESS = re.compile(r"(?P<stage>\S.*?) (?P<done>\d+)/(?P<total>\d+)  (?P<message>.*?)  " + _DURATION + " left")
_END = re.compile(r"(?P<stage>[^:]+): (?=\d)" + _DURATION)
_WARNING = "warning: "


def event_of(line: str) -> Event | None:
    """The event of a line on stderr; None for an empty one."""
    text = line.rstrip()
    if not text:
        return None
    found = _PROGRESS.fullmatch(text)
    if found:
        counts = int(found["done"]), int(found["total"])
        return Progress(found["stage"], *counts, message=found["message"], seconds_left=_seconds(found))
    found = _END.fullmatch(text)
    if found:
        return StageEnd(found["stage"], _seconds(found))
    if text.startswith(_WARNING):
        return Message(text[len(_WARNING) :], warning=True)
    return Message(text)


def _seconds(found: re.Match[str]) -> float:
    units = {"hours": 3600, "minutes": 60, "seconds": 1}
    return float(sum(int(found[unit] or 0) * seconds for unit, seconds in units.items()))


class MetricsFile:
    """Follows the metrics.jsonl of a run while it grows. Lines that were there before are left out: a training that is
    continued writes the file anew, without the lines behind its checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[bytes] = set()
        self._place: tuple[int, int] = (0, 0)
        for _ in self.new():
            pass

    def new(self) -> Iterator[Metrics]:
        """The lines that were added since the last call."""
        for line in self._lines():
            if line not in self._seen:
                self._seen.add(line)
                metrics = metrics_of(line)
                if metrics is not None:
                    yield metrics

    def _lines(self) -> list[bytes]:
        """The whole lines behind the place up to which the file was read; all of them if it is another file now."""
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                identity, offset = self._place
                if status.st_ino != identity or status.st_size < offset:
                    offset = 0
                file.seek(offset)
                text = file.read()
        except OSError:
            # The run is not there yet.
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._place = (status.st_ino, offset + len(whole))
        return whole.splitlines()


def metrics_of(line: bytes) -> Metrics | None:
    """A line of metrics.jsonl; None for one that is not JSON, or lacks network or step."""
    try:
        values: dict[str, Any] = json.loads(line)
        known = {entry.name for entry in fields(Metrics)} - {"other"}
        return Metrics(
            **{name: value for name, value in values.items() if name in known},
            other={name: value for name, value in values.items() if name not in known},
        )
    except (ValueError, TypeError, AttributeError):
        return None
