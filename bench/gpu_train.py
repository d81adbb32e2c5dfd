"""The training of `bench/gpu run`: both networks for the time that is left, and their averaged weights in files of limited size."""

import json
import os
import statistics
import subprocess
import tarfile
import time
from pathlib import Path

import gpu_machine
from workers import ROOT

# Kept from the end for stopping, which writes a checkpoint, and for copying the weights.
MARGIN = 45.0
# Of the time, what model_x gets; the rest is model_y's, which is stopped.
SHARE_OF_MODEL_X = 0.35
# A file that comes back, in bytes; its parts together must stay below 60 MiB.
PART = 15 << 20
# Batches that are tried, as far as memory suffices.
BATCHES = (16, 8, 4)
# Images a second that are assumed for a GPU that was not measured before.
ASSUMED_SPEED = 150.0
# An interrupted training ends with this status.
INTERRUPTED = 130
# What of a run stays behind: sampling needs none of it.
LEFT_BEHIND = ("model.safetensors", "optimizer.safetensors", "data-path.txt", ".lock", ".png", ".html", ".svg")


def plan(seconds, batch, known):
    """model_x's steps: those that fit into its share, by the speed that was measured."""
    speed = known["images_per_s"] if known else ASSUMED_SPEED
    start = known["first_step_s"] if known else 30.0
    return max(50, int((SHARE_OF_MODEL_X * seconds - start) * speed / batch))


def lines_of(run):
    """The lines of metrics.jsonl so far."""
    path = run / "metrics.jsonl"
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def watch(process, run, stop_at, limit, log):
    """Waits until the process ends or `stop_at` comes, and stops it then. Returns its status and the GPU's loads."""
    loads, said = [], 0.0
    while process.poll() is None and time.monotonic() < stop_at:
        time.sleep(1.0)
        if time.monotonic() - said > 5.0:
            said = time.monotonic()
            loads.append(gpu_machine.gpu_memory()[1])
            lines = lines_of(run)
            if lines:
                print("  " + json.dumps(lines[-1])[:200], file=log, flush=True)
    if process.poll() is None:
        # Not SIGINT: a shell's background job ignores that one, and pig leaves an ignored signal ignored.
        process.terminate()
        try:
            process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(), [load for load in loads if load is not None]


def train(bench, data, known):
    """Trains; records what was reached; packs the weights."""
    arguments, folder = bench.arguments, bench.folder
    config = ROOT / "bench" / "gpu.toml"
    for attempt, batch in enumerate(BATCHES):
        left = bench.end - time.monotonic() - MARGIN
        if left < (5.0 if arguments.tiny else 30.0):
            bench.record.add("training", failed=f"{left:.0f} s were left, too few")
            return
        run = folder / f"run-{attempt}"
        steps = 4 if arguments.tiny else plan(left, batch, known)
        sets = [f"train.model_x_steps={steps}", f"train.batch_size={batch}"]
        if arguments.tiny:
            sets += ["data.size=32", "train.precision=f32", "train.log_every=1"]
            sets += [f"{model}.block_out_channels=[32,32]" for model in ("model_x", "model_y")]
            sets += [f"{model}.attention_levels=[1]" for model in ("model_x", "model_y")]
        command = [str(bench.binaries["pig"]), "train", "--config", str(config), "--data", str(data), "--out", str(run)]
        command += ["--device", arguments.device, *(flag for word in sets for flag in ("--set", word))]
        bench.record.add("training begins", batch=batch, model_x_steps=steps, seconds_left=round(left), known=bool(known))
        start, log_path = time.monotonic(), folder / f"train-{attempt}.log"
        with log_path.open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | bench.environment, cwd=folder)
            status, loads = watch(process, run, bench.end - MARGIN, MARGIN - 15.0, log)
        reached = summary(lines_of(run))
        seen = {"status": status, "seconds": round(time.monotonic() - start, 1), "batch": batch, "networks": reached}
        seen["gpu_load_percent"] = statistics.mean(loads) if loads else None
        if status not in (0, INTERRUPTED):
            seen["failed"] = log_path.read_text(errors="replace")[-1500:]
        bench.record.add("training", **seen)
        if reached or time.monotonic() - start > 120.0:
            break
    if (run / "checkpoints").exists():
        pack(bench, run)


def summary(lines):
    """Of each network: its steps, its first and last losses, and its speed without the start."""
    networks = {}
    for line in lines:
        if line.get("loss") is not None:
            networks.setdefault(line["network"], []).append(line)
    found = {}
    for name, own in networks.items():
        speeds = [line["images_per_second"] for line in own if line.get("images_per_second")]
        last = own[-min(10, len(own)) :]
        found[name] = {
            "steps": own[-1]["step"],
            "first_loss": own[0]["loss"],
            "last_losses": statistics.mean(line["loss"] for line in last),
            "images_per_s": statistics.median(speeds[1:] or speeds) if speeds else None,
        }
    return found


def pack(bench, run):
    """Writes what sampling needs of the run to run.tar, in parts: `cat run.tar.part* | tar x` gives it back."""
    archive = bench.folder / "run.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted(run.rglob("*")):
            if path.is_file() and not path.name.endswith(LEFT_BEHIND):
                tar.add(path, Path("run") / path.relative_to(run))
    data, names = archive.read_bytes(), []
    for index, at in enumerate(range(0, len(data), PART)):
        name = f"run.tar.part{index}"
        (bench.arguments.out / name).write_bytes(data[at : at + PART])
        names.append(name)
    bench.record.add("training packed", files=names, bytes=len(data))
