"""`bench/gpu pack`: gathers what `bench/gpu run` needs on a machine without a network.

The folder has the shape of the repository, as far as it is needed: bench/ and tests/peers/ with the scripts, bench/gpu-carried/ with
the binaries, the pictures and, if asked for, NVIDIA's run-time compiler and headers.
"""

import argparse
import csv
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from PIL import Image
from workers import ROOT

SCRIPTS = (
    "bench/gpu",
    "bench/gpu_run.py",
    "bench/gpu_machine.py",
    "bench/gpu_train.py",
    "bench/gpu_report.py",
    "bench/gpu.toml",
    "bench/cases.py",
    "bench/cases.toml",
    "bench/differences.py",
    "bench/torch_worker.py",
    "bench/workers.py",
    "tests/peers/golden.py",
    "tests/peers/unet_released.py",
    "tests/peers/weights.py",
)
# Parts of NVIDIA's wheels that kernels are compiled with.
WHEEL_PARTS = ("/lib/libnvrtc", "/include/")
JPEG_QUALITY = 90
MIB = 1 << 20


def built():
    """Compiles pig and the worker with the feature cuda, in a target folder of its own; returns their paths. burn/persistence keeps on
    the disk which kernels are fastest; without it, every process tries them again."""
    target = os.environ.get("CARGO_TARGET_DIR", str(Path.home() / ".cache" / "pig-target")) + "-gpu"
    found = {}
    for package, kind, name, features in (
        ("pig", "--bin", "pig", "cuda,burn/persistence"),
        ("pig-train", "--bench", "engine", "pig-device/cuda,pig-device/autotune,burn/persistence"),
    ):
        command = ["cargo", "build", "--locked", "--release", "-p", package, kind, name, "--features", features]
        environment = os.environ | {"CARGO_TARGET_DIR": target}
        done = subprocess.run(
            [*command, "--message-format", "json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
        )
        if done.returncode != 0:
            sys.exit(f"bench/gpu pack: `{' '.join(command)}` failed")
        messages = map(json.loads, done.stdout.splitlines())
        found |= {one["target"]["name"]: Path(one["executable"]) for one in messages if one.get("executable")}
    return found["pig"], found["engine"]


def pack_binaries(binaries, archive):
    """Writes binaries without symbols to an archive. The dictionary is so large that the second is coded as differences to the first."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 128 * MIB}]
    with lzma.open(archive, "wb", filters=filters) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, path in binaries.items():
            stripped = archive.with_name(f"{name}.stripped")
            if shutil.which("strip"):
                subprocess.run(["strip", "-o", str(stripped), str(path)], check=True)
            else:
                shutil.copy(path, stripped)
            tar.add(stripped, name)
            print(f"{name}: {path.stat().st_size / MIB:.1f} MiB, {stripped.stat().st_size / MIB:.1f} without symbols")
            stripped.unlink()


def pack_pictures(source, target, size, most):
    """Writes pictures and masks at size x size, and the manifest's columns that name and group them. Returns their number."""
    for name in ("images", "masks"):
        (target / name).mkdir(parents=True)
    with (source / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = rows[:: max(1, len(rows) // most)][:most]
    for row in rows:
        image = Image.open(source / row["image"]).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
        mask = Image.open(source / row["mask"]).convert("L").resize((size, size), Image.Resampling.BOX)
        row["image"], row["mask"] = f"images/{row['id']}.jpg", f"masks/{row['id']}.png"
        image.save(target / row["image"], quality=JPEG_QUALITY)
        mask.point(lambda value: 255 * (value >= 128)).save(target / row["mask"], optimize=True)
    with (target / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "image", "mask", "near_duplicate_group"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def pack_compiler(folder, archive):
    """Writes lib/ and include/ of the wheels in `folder` to an archive. Returns the names of the wheels."""
    wheels = sorted(folder.glob("*.whl"))
    if not any("nvrtc" in wheel.name for wheel in wheels):
        sys.exit(f"bench/gpu pack: no wheel of nvidia-cuda-nvrtc in {folder}; see bench/README.md")
    with lzma.open(archive, "wb", preset=6) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as files:
                for info in files.infolist():
                    part = next((part for part in WHEEL_PARTS if part in info.filename), None)
                    if part is None or info.is_dir() or info.filename.endswith((".py", ".alt.so.12", ".alt.so.13")):
                        continue
                    data = files.read(info)
                    member = tarfile.TarInfo(info.filename[info.filename.index(part) + 1 :])
                    member.size, member.mode = len(data), 0o755
                    tar.addfile(member, io.BytesIO(data))
    return [wheel.name for wheel in wheels]


def main():
    parser = argparse.ArgumentParser(prog="bench/gpu pack", description=__doc__.splitlines()[0])
    parser.add_argument("--pig", type=Path, help="a pig with the feature cuda; both binaries are built if one is not given")
    parser.add_argument("--worker", type=Path, help="the worker: the bench target engine of pig-train, with the feature cuda")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data" / "kvasir", help="pictures with masks and a manifest.csv"
    )
    parser.add_argument("--images", type=int, default=10_000, help="take at most so many pictures")
    parser.add_argument("--size", type=int, default=256, help="the side of the pictures")
    parser.add_argument(
        "--compiler", type=Path, help="a folder with NVIDIA's wheels, if that machine has no NVRTC or no headers"
    )
    parser.add_argument("--tunings", type=Path, help="tunings.tar.xz, which an earlier run on such a machine brought back")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results" / "gpu-pack", help="the folder to write; it is replaced"
    )
    parser.add_argument("--limit", type=float, default=60.0, help="the largest size of the folder in MiB")
    arguments = parser.parse_args()
    if not (arguments.data / "manifest.csv").is_file():
        parser.error(f"there is no {arguments.data}/manifest.csv; --data names a folder that has one")
    pig, worker = (arguments.pig, arguments.worker) if arguments.pig and arguments.worker else built()
    out = arguments.out
    shutil.rmtree(out, ignore_errors=True)
    carried = out / "bench" / "gpu-carried"
    carried.mkdir(parents=True)
    for name in SCRIPTS:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, out / name)
    pack_binaries({"pig": pig, "engine": worker}, carried / "binaries.tar.xz")
    count = pack_pictures(arguments.data, carried / "data", arguments.size, arguments.images)
    about = {"pictures": count, "size": arguments.size, "compiler": []}
    if arguments.compiler:
        about["compiler"] = pack_compiler(arguments.compiler, carried / "cuda.tar.xz")
    if arguments.tunings:
        shutil.copy(arguments.tunings, carried / "tunings.tar.xz")
    (carried / "about.json").write_text(json.dumps(about) + "\n")
    sizes = {path: path.stat().st_size / MIB for path in out.rglob("*") if path.is_file()}
    parts = {
        name: sum(size for path, size in sizes.items() if path.is_relative_to(carried / name))
        for name in ("binaries.tar.xz", "data", "cuda.tar.xz")
    }
    total = sum(sizes.values())
    print(", ".join(f"{name} {size:.1f} MiB" for name, size in parts.items()) + f"; {count} pictures; {total:.1f} MiB in {out}")
    if total > arguments.limit:
        sys.exit(
            f"bench/gpu pack: that is more than {arguments.limit:.0f} MiB; leave --compiler out, or take fewer pictures by --images"
        )
    print(f"There, in the folder that holds it: {out.name}/bench/gpu run")


if __name__ == "__main__":
    main()
