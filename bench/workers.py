"""The processes that compute: builds and starts them, sends requests, and measures their memory."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Unsupported(Exception):
    """A worker cannot do what was requested; the text says why."""


class Ended(SystemExit):
    """A worker ended before it answered. If nothing catches it, the program ends with its text."""


class Worker:
    """A process that answers each line of JSON with one line of JSON."""

    def __init__(self, command, log, environment, folder=None):
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | environment,
                cwd=folder,
            )

    def ask(self, do, limit=None, **arguments):
        """Sends a request and returns the answer. After `limit` seconds without an answer, the worker is killed."""
        late = threading.Event()
        timer = threading.Timer(limit, lambda: (late.set(), self.process.kill())) if limit else None
        try:
            if timer:
                timer.start()
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            if timer:
                timer.cancel()
        if not line:
            code = self.process.wait()
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            how = f"was killed after {limit:.0f} s without an answer" if late.is_set() else f"ended with status {code}"
            raise Ended(f"a worker {how}, during the request {do!r}; the end of {self.log}:\n{tail}")
        answer = json.loads(line)
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        return answer

    def memory(self):
        """(resident now, largest resident since the last reset) in MiB; None if there is no /proc."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return tuple(int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))

    def reset_peak(self):
        """Resets the largest resident size, if the system allows it."""
        try:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except OSError:
            pass

    def processor_seconds(self):
        """Processor time used so far; None if there is no /proc."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        """Ends the process; calling it again does no harm."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def busy_seconds():
    """Processor time that the machine has spent, including time that the host of a virtual machine withheld; None without /proc."""
    try:
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    except OSError:
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Usage:
    """Processor time that other programs have used since this object was made."""

    def __init__(self, *workers):
        self.workers, self.start = workers, time.monotonic()
        self.others_at_start = self.others()

    def others(self):
        """Processor seconds of everything except the workers."""
        busy, own = busy_seconds(), [worker.processor_seconds() for worker in self.workers]
        return None if busy is None or None in own else busy - sum(own)

    def since(self):
        """{wall seconds, cores that others kept busy}."""
        wall, others = time.monotonic() - self.start, self.others()
        cores = None if others is None else max(0.0, (others - self.others_at_start) / wall)
        return {"wall_s": wall, "other_cores": cores}


def build(profile, kind, name):
    """Compiles a Rust target of the workspace (`kind` "bench" or "bin") and returns its executable."""
    verb = ["bench", "--no-run"] if kind == "bench" else ["build"]
    command = ["cargo", *verb, "--workspace", f"--{kind}", name, "--profile", profile, "--message-format", "json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command[:-2])}` failed")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    sys.exit(f"cargo reports no executable for {name}")


class Workers:
    """Starts the workers of one run."""

    def __init__(self, executable, threads, folder):
        self.executable, self.threads, self.folder = executable, threads, folder

    def pig(self):
        """A process of crates/train/benches/engine.rs."""
        return Worker([self.executable], self.folder / "pig.log", {"RAYON_NUM_THREADS": str(self.threads)})

    def torch(self, mode):
        """A process of torch_worker.py; the mode is given when a case is loaded."""
        script = Path(__file__).resolve().parent / "torch_worker.py"
        threads = {"BENCH_THREADS": str(self.threads), "PYTHONDONTWRITEBYTECODE": "1"}
        return Worker([sys.executable, str(script)], self.folder / f"torch-{mode}.log", threads)
