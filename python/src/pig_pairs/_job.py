"""A running command of the binary."""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ._binary import binary
from ._errors import INTERRUPTED, PigError
from ._events import Event, MetricsFile, event_of

#: Seconds between two looks at metrics.jsonl while the binary says nothing.
_POLL = 0.25
#: Seconds that a process gets to end after it was told to stop at once.
_AT_ONCE = 10.0
#: The environment variable with the seconds between two lines of progress, and what a job sets if it is not set.
_INTERVAL = ("PIG_PROGRESS_SECONDS", "1")
#: How many lines of stderr an error keeps.
_KEPT_LINES = 1000
_ERROR = "error: "

_running: weakref.WeakSet[Job] = weakref.WeakSet()


class Job(Iterator[Event]):
    """A running command of the binary: an iterator over its events, with a result at the end.

    The command begins at once. Iterate to see what it does, or call :meth:`result` to wait for its end::

        with pig_pairs.sample("starter", seeds=range(64), out="pairs") as job:
            for event in job:
                print(event)
        print(job.result()["pairs"])

    The iterator raises :class:`PigError` when the command fails. Ctrl-C while it waits, the end of the ``with`` block,
    :meth:`close`, and the end of Python stop the command: it gets a signal, saves its state, and is waited for.
    """

    def __init__(self, words: Sequence[str], run_folder: Path | None = None) -> None:
        """Starts ``pig WORDS --json``; ``run_folder`` is the run whose metrics.jsonl becomes events."""
        self.command: tuple[str, ...] = (str(binary()), *words, "--json")
        self._metrics = None if run_folder is None else MetricsFile(run_folder / "metrics.jsonl")
        self._events: deque[Event] = deque()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=_KEPT_LINES)
        self._stdout: list[str] = []
        self._result: dict[str, Any] | None = None
        self._error: PigError | None = None
        #: The error until the iterator has raised it.
        self._untold: PigError | None = None
        self._settled = False
        self._process = _start(self.command)
        self._threads = [
            threading.Thread(target=_read_lines, args=(self._process.stderr, self._lines), daemon=True),
            threading.Thread(target=_read_all, args=(self._process.stdout, self._stdout), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        _running.add(self)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, -N after the signal N; None while the command runs."""
        return self._process.poll()

    def __iter__(self) -> Job:
        return self

    def __next__(self) -> Event:
        try:
            while not self._events:
                if self._settled:
                    error, self._untold = self._untold, None
                    raise StopIteration if error is None else error
                self._read()
        except KeyboardInterrupt:
            self.close()
            raise
        return self._events.popleft()

    def result(self) -> dict[str, Any]:
        """Waits for the end, and returns the JSON that the command printed. Events that nobody took are dropped.

        Raises:
            PigError: the command failed, or was stopped.
        """
        for _ in self:
            pass
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def close(self) -> None:
        """Stops the command if it runs, and waits for its end. What is finished is kept: a training saves its state
        first, which takes as long as the step that it is in. A second Ctrl-C meanwhile ends the command at once."""
        if not self._settled:
            try:
                if self._process.poll() is None:
                    _ask_to_stop(self._process)
                self._process.wait()
            except KeyboardInterrupt:
                self._end_at_once()
                raise
            finally:
                self._settle()
        self._events.clear()

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # An exception in __init__ leaves no process.
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            warnings.warn(f"{self!r} is stopped, since nobody waits for it", ResourceWarning, stacklevel=2)
            self.close()

    def __repr__(self) -> str:
        code = self.exit_code
        state = f"process {self.pid}" if code is None else f"exit code {code}"
        return f"<Job {' '.join(self.command[1:3])}: {state}>"

    def _read(self) -> None:
        """Waits for the next line or lines, and makes events of them."""
        try:
            line = self._lines.get(timeout=_POLL)
        except queue.Empty:
            pass
        else:
            if line is None:
                self._process.wait()
                self._settle()
                self._untold = self._error
                return
            self._take(line)
        self._add_metrics()

    def _take(self, line: str) -> None:
        self._stderr.append(line)
        event = event_of(line)
        if event is not None:
            self._events.append(event)

    def _add_metrics(self) -> None:
        if self._metrics is not None:
            self._events.extend(self._metrics.new())

    def _settle(self) -> None:
        """Notes how the ended process ended; once."""
        if self._settled or self._process.poll() is None:
            return
        self._settled = True
        _running.discard(self)
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self._take(line)
        self._add_metrics()
        code = self._process.returncode
        stdout, stderr = "".join(self._stdout), "".join(self._stderr)
        try:
            self._result = json.loads(stdout)
        except ValueError:
            pass
        if code != 0:
            self._error = PigError(_message(code, stderr), code, self.command, stderr, self._result)
        elif self._result is None:
            found = stdout.strip()[:200] or "nothing"
            problem = f"{' '.join(self.command)} printed {found!r}; expected JSON"
            self._error = PigError(problem, code, self.command, stderr)

    def _end_at_once(self) -> None:
        """Asks again, which ends the binary without saving; a process that does not listen is killed."""
        if self._process.poll() is None:
            _ask_to_stop(self._process)
            try:
                self._process.wait(timeout=_AT_ONCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Starts the process apart from the terminal's signals: a Ctrl-C reaches it once, from the job, since a second signal
    would end it before its state is saved."""
    windows = sys.platform == "win32"
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={_INTERVAL[0]: _INTERVAL[1], **os.environ},
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        start_new_session=not windows,
    )


def _ask_to_stop(process: subprocess.Popen[str]) -> None:
    try:
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.send_signal(signal.SIGTERM)
    except OSError:
        # It has just ended.
        pass


def _read_lines(pipe: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def _read_all(pipe: IO[str], parts: list[str]) -> None:
    parts.append(pipe.read())


def _message(code: int, stderr: str) -> str:
    """What the binary said about its failure: the last lines from "error: " on."""
    lines = stderr.splitlines()
    begins = [index for index, line in enumerate(lines) if line.startswith(_ERROR)]
    if begins:
        return "\n".join(lines[begins[-1] :]).strip()[len(_ERROR) :]
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"pig was ended by {name}"
    if code == INTERRUPTED:
        return "pig was stopped; what is finished is kept, and the same command goes on"
    last = f"; its last line was {lines[-1]!r}" if lines else ""
    return f"pig ended with exit code {code}{last}"


def _close_all() -> None:
    for job in list(_running):
        job.close()


# Signals to the terminal do not reach the processes, so none may outlive Python.
atexit.register(_close_all)
# A forked child has a copy of the jobs, which are not its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
