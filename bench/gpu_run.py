"""`bench/gpu run`: parity, speed and a training on the machine with the GPU. Each result is written before the next begins.

Nothing that is missing there ends the run: without PyTorch, pig alone is measured, and the results say so. A worker that does not
answer in time is killed, and the next part begins.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
from pathlib import Path

import cases
import gpu_machine
import gpu_train
from gpu_report import Record
from workers import ROOT, Ended, Unsupported, Worker

CARRIED = ROOT / "bench" / "gpu-carried"
STEPS = ("parity", "speed", "training")
# The share of the whole time after which a step begins nothing new; the training ends with the time.
SHARES = {"parity": 0.25, "speed": 0.55}
# Seconds that a single request may take: compiling and tuning are in the first.
LIMITS = {"pig": 200.0, "torch": 60.0, "compile": 100.0}
# How long a worker may take to end by itself.
PATIENCE = 10.0
# Steps before the measured ones, and how many seconds the measured ones fill, with their least and largest number.
WARM, TARGET, LEAST, MOST = 3, 2.0, 5, 100
# PyTorch's modes and their precisions.
MODES = (("eager", "f32"), ("tf32", "f32"), ("channels_last", "bf16"), ("compile", "bf16"))
# What is measured where there is no GPU, to try the script.
TINY = {"sizes": [64, 32], "batches": [1, 2], "parity": {"size": 32, "batch": 2}}
LOG_BYTES = 256 << 10
# The largest file of tunings that is brought back, in bytes.
MOST_TUNINGS = 8 << 20
# Settings of cubecl, on which Burn's GPU devices stand. Kernels are tried until one is near what the GPU can do, and what was found is
# kept in a folder, if the binary was built with burn/persistence: so the processes of this run, and later runs, need not try again.
CUBECL = """[autotune]
level = "{level}"

[compilation]
cache = true

[environment]
path = {{ directory = "{folder}" }}
"""


class Run:
    """One invocation: its time, its workers and its record."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.start = time.monotonic()
        self.end = self.start + 60 * arguments.minutes
        about = {"minutes": arguments.minutes, "device": arguments.device, "steps": arguments.steps, "tiny": arguments.tiny}
        self.record = Record(arguments.out, about)
        self.workers, self.table = {}, cases.read()
        self.settings = self.table["gpu"] | (TINY if arguments.tiny else {})
        self.torch = self.compares = False
        self.environment = {}
        self.binaries = {}

    def until(self, step):
        """Seconds until a step may begin nothing new."""
        share = SHARES.get(step, 1.0)
        # If the training is not asked for, the others have its time.
        if "training" not in self.arguments.steps:
            share = {"parity": 0.4, "speed": 0.95}.get(step, 1.0)
        return self.start + share * (self.end - self.start) - time.monotonic()

    def prepare(self):
        """Unpacks the binaries and looks at the machine."""
        given = {"pig": self.arguments.pig, "engine": self.arguments.worker}
        if not all(given.values()):
            with tarfile.open(CARRIED / "binaries.tar.xz") as tar:
                tar.extractall(self.folder / "binaries", filter="data")
        self.binaries = {name: path.resolve() if path else self.folder / "binaries" / name for name, path in given.items()}
        about, self.environment = gpu_machine.described(CARRIED, self.folder)
        self.torch = about["torch"] is not None and not self.arguments.no_torch
        self.compares = about["numpy"] is not None and about["safetensors"] is not None
        self.torch = self.torch and self.compares
        if not self.torch:
            about["without_torch"] = (
                "pig alone is measured: PyTorch, NumPy or safetensors is not installed, or --no-torch was given"
            )
        about["tunings_carried"] = self.settle_cubecl()
        self.record.add("machine", **about)

    def settle_cubecl(self):
        """Writes cubecl's settings where pig is started. Returns whether tunings were carried here."""
        tunings = self.folder / "tunings"
        tunings.mkdir()
        (self.folder / "cubecl.toml").write_text(CUBECL.format(level=self.arguments.autotune, folder=tunings))
        carried = CARRIED / "tunings.tar.xz"
        if carried.exists():
            with tarfile.open(carried) as tar:
                tar.extractall(tunings, filter="data")
        return carried.exists()

    def keep_tunings(self):
        """Brings the tunings back, so that `bench/gpu pack --tunings` can carry them to the next run."""
        tunings = self.folder / "tunings"
        if not tunings.is_dir() or not any(tunings.iterdir()):
            return
        archive = self.arguments.out / "tunings.tar.xz"
        with tarfile.open(archive, "w:xz", preset=1) as tar:
            for path in sorted(tunings.iterdir()):
                tar.add(path, path.name)
        size = archive.stat().st_size
        if size > MOST_TUNINGS:
            archive.unlink()
        self.record.add("tunings", bytes=size, kept=size <= MOST_TUNINGS)

    def worker(self, name):
        """The running worker of this name; started if there is none. All modes of PyTorch but `compile` share one."""
        if name not in self.workers:
            log = self.folder / f"{name}.log"
            if name == "pig":
                command, own = [str(self.binaries["engine"])], self.environment
            else:
                # PyTorch finds its own CUDA libraries.
                command, own = [sys.executable, str(Path(__file__).with_name("torch_worker.py"))], {}
            own = own | {"BENCH_THREADS": str(os.cpu_count()), "PYTHONDONTWRITEBYTECODE": "1"}
            self.workers[name] = Worker(command, log, own, self.folder)
        return self.workers[name]

    def drop(self, name):
        """Ends a worker, and with it the memory that it holds on the GPU."""
        worker = self.workers.pop(name, None)
        if not worker:
            return
        try:
            worker.process.stdin.close()
            worker.process.wait(timeout=PATIENCE)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            worker.process.kill()
        worker.process.wait()

    def loaded(self, side, case, step):
        """(the worker, the answer to `load`, the limit of a request) of "pig" or a mode of PyTorch."""
        name = "pig" if side == "pig" else "compile" if side == "compile" else "torch"
        limit = min(LIMITS[name], max(10.0, self.until(step)))
        worker = self.worker(name)
        mode = {} if side == "pig" else {"mode": side}
        return worker, worker.ask("load", limit=limit, case=case, **mode), limit

    def case(self, work, size, batch, precision, device):
        """A case of the network that is measured."""
        case = {"name": work, "work": work, "network": self.settings["network"], "batch": batch, "size": [size, size]}
        return cases.filled(self.table, case) | {"precision": precision, "device": device}

    def attempt(self, step, about, work):
        """Runs `work`; an error becomes a result. Returns whether it went well."""
        try:
            work()
            return True
        except Unsupported as why:
            self.record.add(step, **about, failed=str(why))
        except (Ended, Exception) as error:
            last = traceback.format_exc(limit=3) if not isinstance(error, Ended) else str(error)
            self.record.add(step, **about, failed=last[-1500:])
            self.drop("pig" if about.get("side") == "pig" else "compile" if about.get("side") == "compile" else "torch")
        return False

    def outputs(self, side, case):
        """The file of what one step computes."""
        path = self.folder / f"{side}-{case['device'].replace(':', '-')}-{case['precision']}-{case['work']}.safetensors"
        if not path.exists():
            worker, _, limit = self.loaded(side, case, "parity")
            worker.ask("outputs", limit=limit, path=str(path))
        return path

    def compared(self, work, precision, tolerance, found, against, wanted):
        """Compares what `found` computes with what `wanted` computes, each (side, device, precision), and records the differences."""
        from differences import largest_differences

        size, batch = self.settings["parity"]["size"], self.settings["parity"]["batch"]
        files = [self.outputs(side, self.case(work, size, batch, kind, device)) for side, device, kind in (wanted, found)]
        kinds = largest_differences(files[1], files[0])
        worst = max(kinds.values(), key=lambda kind: kind["relative"])
        self.record.add(
            "parity",
            work=work,
            precision=precision,
            side=found[0],
            against=against,
            outputs=kinds["outputs"]["relative"],
            gradients=kinds["gradients"]["relative"] if "gradients" in kinds else None,
            worst=worst["worst"],
            within=all(kind["relative"] <= tolerance for kind in kinds.values()),
        )

    def parity(self):
        """One training step and one step of sampling: the device against pig's CPU and against PyTorch."""
        if not self.compares:
            self.record.add("parity", failed="NumPy or safetensors is not installed, so that nothing was compared")
            return
        device, f32, bf16 = self.arguments.device, self.settings["tolerance"], self.table["tolerance"]["bf16"]
        cpu, eager = ("pig on the CPU", ("pig", "cpu", "f32")), ("PyTorch", ("eager", device, "f32"))
        plan = [
            (work, precision, tolerance, (side, device, precision), *against)
            for precision, tolerance, side, against in (
                ("f32", f32, "pig", cpu),
                ("f32", f32, "pig", eager),
                # How far TF32 alone goes: Burn may choose it, too.
                ("f32", f32, "tf32", eager),
                ("bf16", bf16, "pig", cpu),
                ("bf16", bf16, "pig", eager),
            )
            for work in ("train", "algorithm-2")
            if self.torch or against is cpu
        ]
        for work, precision, tolerance, found, against, wanted in plan:
            if self.until("parity") < 5.0:
                break
            about = {"work": work, "precision": precision, "side": found[0], "against": against}
            arguments = (work, precision, tolerance, found, against, wanted)
            self.attempt("parity", about, lambda arguments=arguments: self.compared(*arguments))

    def measured(self, side, precision, work, size, batch):
        """Times one case on one side."""
        case = self.case(work, size, batch, precision, self.arguments.device)
        worker, loaded, limit = self.loaded(side, case, "speed")
        first = worker.ask("run", limit=limit, count=1)["seconds"][0]
        warm = worker.ask("run", limit=limit, count=WARM)["seconds"]
        count = max(LEAST, min(MOST, round(TARGET / max(warm[-1], 1e-4))))
        if count * warm[-1] > max(self.until("speed"), 1.0):
            raise Unsupported(f"a step takes {warm[-1]:.1f} s, too long for the time that is left")
        seconds = sorted(worker.ask("run", limit=limit + count * warm[-1], count=count)["seconds"])
        memory, _ = gpu_machine.gpu_memory()
        middle = (seconds[(count - 1) // 2] + seconds[count // 2]) / 2
        self.record.add(
            "speed",
            work=work,
            size=size,
            batch=batch,
            side=side,
            precision=precision,
            ms=1e3 * middle,
            least_ms=1e3 * seconds[0],
            most_ms=1e3 * seconds[-1],
            count=count,
            images_per_s=batch / middle,
            first_step_s=first,
            # Of all processes: if PyTorch's worker runs beside pig's, both are in it.
            memory_mib=memory,
            parameters=loaded["parameters"],
            on=loaded.get("device"),
        )

    def speed(self):
        """Training steps and sampling steps at all sizes: pig, PyTorch's modes, and last what torch.compile needs long for."""
        shapes = list(zip(self.settings["sizes"], self.settings["batches"]))
        sides = [("pig", "bf16"), ("pig", "f32"), *(MODES[:-1] if self.torch else ())]
        plan = [(*side, work, *shape) for work in ("train", "algorithm-2") for shape in shapes for side in sides]
        if self.torch:
            plan += [(*MODES[-1], work, *shape) for work in ("train", "algorithm-2") for shape in shapes]
        left_out = []
        for side, precision, work, size, batch in plan:
            about = {"work": work, "size": size, "batch": batch, "side": side, "precision": precision}
            if self.until("speed") < 5.0:
                left_out.append(" ".join(map(str, about.values())))
                continue
            self.attempt("speed", about, lambda: self.measured(side, precision, work, size, batch))
        if left_out:
            self.record.add("speed left out", count=len(left_out), cases=left_out)

    def training(self):
        """Trains pig on the carried pictures for the time that is left."""
        for name in list(self.workers):
            self.drop(name)
        known = self.record.of("speed", side="pig", precision="bf16", work="train")
        known = [line for line in known if "ms" in line]
        gpu_train.train(self, CARRIED / "data", known[0] if known else None)

    def logs(self):
        """The ends of all logs, in one file."""
        with (self.arguments.out / "logs.txt").open("w") as out:
            for path in sorted(self.folder.glob("*.log")):
                out.write(f"== {path.name}\n{path.read_text(errors='replace')[-LOG_BYTES:]}\n")


def arguments_of():
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/gpu run", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="all the time there is; the run ends some seconds before")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--device", default="cuda", help="the device, as pig --device takes it")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("OUT", ROOT / "bench" / "results" / "gpu")),
        help="folder for the results; $OUT if it is set",
    )
    parser.add_argument("--pig", type=Path, help="a pig that is used instead of the carried one")
    parser.add_argument("--worker", type=Path, help="a worker that is used instead of the carried one")
    parser.add_argument(
        "--autotune",
        default="minimal",
        choices=("minimal", "balanced", "extensive", "full"),
        help="how long pig looks for the fastest kernels",
    )
    parser.add_argument("--no-torch", action="store_true", help="measure pig alone")
    parser.add_argument("--tiny", action="store_true", help="small sizes and a small network, to try the script without a GPU")
    return parser.parse_args()


def main():
    arguments = arguments_of()
    with tempfile.TemporaryDirectory() as temporary:
        run = Run(arguments, Path(temporary))
        try:
            run.prepare()
            for step in STEPS:
                if step in arguments.steps:
                    run.attempt(step, {}, getattr(run, step))
        finally:
            for name in list(run.workers):
                run.drop(name)
            run.logs()
        run.attempt("tunings", {}, run.keep_tunings)
        run.record.add("end", seconds=round(time.monotonic() - run.start, 1))
    print((arguments.out / "results.md").read_text())


if __name__ == "__main__":
    main()
