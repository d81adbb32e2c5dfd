"""Runs pig and PyTorch alternately on the cases of cases.toml; started by `bench/run`.

For every case and precision: the outputs and gradients of pig and of each PyTorch mode are compared with PyTorch's eager f32,
the modes run in turn to find the fastest, and then pig and the fastest mode alternate for some rounds.
"""

import argparse
import contextlib
import json
import math
import platform
import sys
from datetime import datetime
from pathlib import Path

import cases as table
import report
from differences import largest_differences
from workers import ROOT, Unsupported, Usage, Workers, build

MODES = ("eager", "channels_last", "compile")
# Steps before memory and time are measured: they cover compilation, caches and the memory of the optimiser.
WARM_STEPS = 2
# How often each PyTorch mode runs in the warm-up.
WARM_TURNS = 2


def say(text):
    """Prints progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def repeats(seconds, target):
    """How many steps of `seconds` each fill `target` seconds: 1 to 20."""
    return max(1, min(20, math.ceil(target / seconds)))


def prepare(worker, case, outputs, target, **load):
    """Loads a case and warms up; writes the outputs; returns parameters, times and memory."""
    loaded = worker.ask("load", case=case, **load)
    after_load = worker.memory()
    first = worker.ask("run", count=WARM_STEPS)["seconds"]
    worker.reset_peak()
    count = max(2, repeats(first[-1], target))
    seconds = worker.ask("run", count=count)["seconds"]
    seen = {key: loaded[key] for key in ("parameters", "threads")} | {
        "flops": loaded.get("flops"),
        "first_step_s": first[0],
        "warm_up_s": seconds,
    }
    memory = worker.memory()
    if after_load and memory:
        seen |= {"loaded_mib": after_load[0], "peak_mib": memory[1], "step_mib": memory[1] - after_load[0]}
    worker.ask("outputs", path=str(outputs))
    return seen


class Run:
    """One invocation: its settings and its workers."""

    def __init__(self, arguments, workers, tolerance):
        self.arguments, self.workers, self.tolerance = arguments, workers, tolerance

    def reference(self, case):
        """Outputs of PyTorch's eager f32, with which all others are compared."""
        path = self.workers.folder / "reference.safetensors"
        with self.workers.torch("eager") as worker:
            worker.ask("load", case=case | {"precision": "f32"}, mode="eager")
            worker.ask("outputs", path=str(path))
        return path

    def torch_modes(self, case, reference, stack):
        """({mode: measurements}, the fastest mode, its worker); the other workers have ended."""
        modes, workers = {}, {}
        for mode in self.arguments.modes:
            worker = stack.enter_context(self.workers.torch(mode))
            path = self.workers.folder / f"torch-{mode}.safetensors"
            try:
                modes[mode] = prepare(worker, case, path, self.arguments.seconds, mode=mode)
            except Unsupported as why:
                modes[mode] = {"unsupported": str(why)}
                worker.close()
                continue
            modes[mode]["differences"] = largest_differences(path, reference)
            workers[mode] = worker
        if not workers:
            sys.exit(f"no mode of PyTorch ran: {modes}")
        for _ in range(WARM_TURNS):
            for mode, worker in workers.items():
                seconds = modes[mode]["warm_up_s"]
                seconds += worker.ask("run", count=repeats(seconds[-1], self.arguments.seconds))["seconds"]
        # The smallest time is the one that other programs on the machine disturb least.
        best = min(workers, key=lambda mode: min(modes[mode]["warm_up_s"]))
        for mode, seen in modes.items():
            say(f"  PyTorch {mode}: {report.seen_text(seen)}")
            if mode in workers and mode != best:
                workers[mode].close()
        return modes, best, workers[best]

    def alternate(self, pig, torch, result):
        """The rounds: pig and PyTorch run in turn, and which of them is first changes in every round."""
        target, rounds = self.arguments.seconds, []
        smallest = {"pig": min(result["pig"]["warm_up_s"]), "torch": min(result["torch"][result["best_mode"]]["warm_up_s"])}
        for index in range(self.arguments.rounds):
            usage = Usage(pig, torch)
            peak, seconds = pig.ask("peak"), {}
            for name, worker in (("pig", pig), ("torch", torch))[:: 1 if index % 2 == 0 else -1]:
                seconds[name] = worker.ask("run", count=repeats(smallest[name], target))["seconds"]
            rounds.append({"peak": peak, "seconds": seconds} | usage.since())
        return rounds

    def case(self, case, precision):
        """All figures of a case at one precision."""
        say(f"{case['name']}, {precision}")
        case = case | {"precision": precision}
        result = {"case": case["name"], "precision": precision, "bar": case["bar"].get(precision)}
        result["memory_bar"] = case.get("memory_bar", {}).get(precision)
        reference = self.reference(case)
        with contextlib.ExitStack() as stack:
            result["torch"], result["best_mode"], torch = self.torch_modes(case, reference, stack)
            pig = stack.enter_context(self.workers.pig())
            path = self.workers.folder / "pig.safetensors"
            try:
                result["pig"] = prepare(pig, case, path, self.arguments.seconds)
            except Unsupported as why:
                say(f"  pig: {why}")
                return result | {"pig": {"unsupported": str(why)}}
            result["pig"]["differences"] = largest_differences(path, reference)
            say(f"  pig: {report.seen_text(result['pig'])}")
            self.check(result)
            for path in self.workers.folder.glob("*.safetensors"):
                path.unlink()
            result["rounds"] = self.alternate(pig, torch, result)
        return result | report.summary(result)

    def check(self, result):
        """Stops the run if pig does not compute the same as PyTorch; that case is then not timed."""
        sides = {"pig": result["pig"]}
        # The differences of PyTorch's own bf16 are shown beside those of pig, but not judged.
        if result["precision"] == "f32":
            sides |= {f"PyTorch {mode}": seen for mode, seen in result["torch"].items() if "differences" in seen}
        limit = self.tolerance[result["precision"]]
        for name, seen in sides.items():
            if seen["parameters"] != result["torch"][result["best_mode"]]["parameters"]:
                sys.exit(f"{result['case']}: {name} has {seen['parameters']} parameters, PyTorch has another number")
            for kind, difference in seen["differences"].items():
                if not difference["relative"] <= limit:
                    sys.exit(
                        f"{result['case']}, {result['precision']}: {name}'s {kind} differ from PyTorch's eager f32 by "
                        f"{difference['relative']:.1e} of the largest value (worst: {difference['worst']}), expected at "
                        f"most {limit:.0e}; the files are in {self.workers.folder}"
                    )


def machine():
    """The processor on which the figures were measured."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return model


def arguments_of(names):
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Times pig and PyTorch alternately on the same work.")
    parser.add_argument("--threads", type=int, default=2, help="threads on each side")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each side runs in a round")
    parser.add_argument("--profile", default="release", help="cargo profile; dev optimises the kernels too")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name contains TEXT")
    parser.add_argument("--precision", nargs="+", choices=("f32", "bf16"), default=["f32", "bf16"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="modes of PyTorch")
    parser.add_argument("--executable", help="an already built worker; nothing is built then")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results", help="folder for the results and logs")
    arguments = parser.parse_args()
    if not any(arguments.cases in name for name in names):
        parser.error(f"no case contains {arguments.cases!r}; the cases are: " + "; ".join(names))
    return arguments


def main():
    cases, tolerance = table.of_engine()
    arguments = arguments_of([case["name"] for case in cases])
    arguments.out.mkdir(parents=True, exist_ok=True)
    executable = arguments.executable or build(arguments.profile, "bench", "engine")
    run = Run(arguments, Workers(executable, arguments.threads, arguments.out), tolerance)
    start = datetime.now()
    results = [
        run.case(case, precision)
        for case in cases
        if arguments.cases in case["name"]
        for precision in arguments.precision
    ]
    about = {
        "started": start.isoformat(timespec="seconds"),
        "machine": machine(),
        "torch": report.version("torch"),
        "diffusers": report.version("diffusers"),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "profile": "not known (--executable)" if arguments.executable else arguments.profile,
    }
    text = report.markdown(about, results)
    (arguments.out / "engine.json").write_text(json.dumps(about | {"results": results}, indent=2) + "\n")
    (arguments.out / "engine.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
