"""The exceptions of this package."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

#: The exit code of a command that was asked to stop, and saved its state first.
INTERRUPTED = 130
#: The codes of a process that a request to stop ended before it listened.
_ENDED_EARLY = (-signal.SIGINT, -signal.SIGTERM)


class PigError(RuntimeError):
    """A call of the binary that did not end well.

    ``str(error)`` is what the binary said. ``exit_code`` is 1 for an error that the caller can correct, 2 for a
    fault of pig, 130 for a command that was stopped after it saved its state, and -N for a process that the signal
    N ended. ``result`` is the JSON that the command printed in spite of it, if it did.
    """

    def __init__(
        self,
        message: str,
        exit_code: int,
        command: Sequence[str] = (),
        stderr: str = "",
        result: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.command: tuple[str, ...] = tuple(command)
        self.stderr = stderr
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.exit_code, self.command, self.stderr, self.result)

    @property
    def interrupted(self) -> bool:
        """Whether the command was asked to stop; what is finished is kept, and the same command goes on."""
        return self.exit_code == INTERRUPTED or self.exit_code in _ENDED_EARLY


class BinaryNotFoundError(FileNotFoundError):
    """There is no binary `pig`."""


class PairsError(ValueError):
    """A folder of pairs, or a file in it, that cannot be read as such: names the file, what was found and expected."""


class MissingPackageError(ImportError):
    """An optional package that is not installed: names the command that installs it."""

    def __init__(self, caller: str, package: str) -> None:
        super().__init__(f"{caller} needs the package {package}, which is not installed; run: pip install {package}")
