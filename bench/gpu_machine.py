"""What the machine of `bench/gpu run` has: the GPU and its driver, NVIDIA's run-time compiler, Python's packages."""

import ctypes
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

# Where a driver may be besides the loader's own places.
DRIVER_FOLDERS = ("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/wsl/lib")
TOOLKITS = ("/usr/local/cuda", "/opt/cuda")
# Headers that kernels include: those of 16-bit floats and those of matrix units. PyTorch's packages have the first alone.
HEADERS = ("cuda_fp16.h", "crt/mma.h")


def said(*command):
    """What a command prints, or None if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def package(name):
    """The version of an installed package of this Python, or None. It is not imported: that takes long for PyTorch."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def loaded(names):
    """The first of these libraries that can be loaded, and its name."""
    for name in names:
        try:
            return ctypes.CDLL(str(name)), str(name)
        except OSError:
            continue
    return None, None


def driver():
    """(the newest CUDA version that the driver supports, as 13000 for 13.0, and its folder); (None, None) without a driver."""
    places = [f"{folder}/libcuda.so.1" for folder in DRIVER_FOLDERS]
    library, name = loaded(["libcuda.so.1", "libcuda.so", *places])
    version = ctypes.c_int()
    if library is None or library.cuInit(0) != 0 or library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None, None
    return version.value, os.path.dirname(name)


def nvrtc_version(library):
    """The version of an NVRTC, as 13000 for 13.0; None if it cannot be loaded. It is loaded by a process of its own."""
    script = "import ctypes, sys; n = ctypes.CDLL(sys.argv[1]); a, b = ctypes.c_int(), ctypes.c_int(); "
    script += "n.nvrtcVersion(ctypes.byref(a), ctypes.byref(b)); print(1000 * a.value + 10 * b.value)"
    text = said(sys.executable, "-c", script, str(library))
    return int(text) if text and text.isdigit() else None


def compilers(carried, folder):
    """Candidates for NVRTC: (where it is from, its library, its folder of headers), the machine's own first."""
    toolkits = [os.environ[key] for key in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(key)] + list(TOOLKITS)
    for toolkit in map(Path, toolkits):
        for part in ("lib64", "targets/x86_64-linux/lib", "lib"):
            for library in sorted((toolkit / part).glob("libnvrtc.so*")):
                yield "toolkit", library, toolkit / "include"
    for site in [Path(path) for path in sys.path if path.endswith("-packages")]:
        for library in sorted(site.glob("nvidia/cu1?/lib/libnvrtc.so*")):
            yield "packages", library, library.parent.parent / "include"
        for library in sorted(site.glob("nvidia/cuda_nvrtc/lib/libnvrtc.so*")):
            yield "packages", library, site / "nvidia" / "cuda_runtime" / "include"
    if (carried / "cuda.tar.xz").exists():
        with tarfile.open(carried / "cuda.tar.xz") as tar:
            tar.extractall(folder / "carried", filter="data")
        for library in sorted((folder / "carried" / "lib").glob("libnvrtc.so*")):
            yield "carried", library, folder / "carried" / "include"


def compiler(carried, folder, newest):
    """(environment for pig, what was found). An NVRTC that is newer than the driver writes programs that the driver refuses, so it is
    passed over. The libraries and headers are put together as a CUDA toolkit has them, and CUDA_PATH names that folder: cubecl
    compiles with CUDA_PATH/include, and cudarc looks for libnvrtc.so in LD_LIBRARY_PATH."""
    seen = []
    for source, library, headers in compilers(carried, folder):
        version = nvrtc_version(library)
        missing = [name for name in HEADERS if not (headers / name).exists()]
        seen.append({"from": source, "library": str(library), "version": version, "headers": str(headers), "missing": missing})
        if version is None or missing or (newest and version > newest):
            continue
        toolkit = folder / "cuda"
        (toolkit / "lib").mkdir(parents=True, exist_ok=True)
        (toolkit / "include").symlink_to(headers)
        for other in library.parent.glob("libnvrtc*"):
            link = toolkit / "lib" / other.name
            if not link.exists():
                link.symlink_to(other)
        if not (toolkit / "lib" / "libnvrtc.so").exists():
            (toolkit / "lib" / "libnvrtc.so").symlink_to(library)
        path = os.pathsep.join([str(toolkit / "lib"), str(library.parent)])
        return {"CUDA_PATH": str(toolkit), "LD_LIBRARY_PATH": path}, {"chosen": seen[-1], "seen": seen}
    return {}, {"chosen": None, "seen": seen}


def described(carried, folder):
    """(what the machine has, the environment for processes that use the GPU)."""
    newest, driver_folder = driver()
    environment, found = compiler(carried, folder, newest)
    known = [environment.get("LD_LIBRARY_PATH"), driver_folder, os.environ.get("LD_LIBRARY_PATH")]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(path for path in known if path)
    query = "--query-gpu=name,driver_version,memory.total,compute_cap"
    about = {
        "gpu": said("nvidia-smi", query, "--format=csv,noheader"),
        "driver_cuda": newest,
        "nvrtc": found,
        "python": platform.python_version(),
        "torch": package("torch"),
        "numpy": package("numpy"),
        "safetensors": package("safetensors"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "nvidia_smi": shutil.which("nvidia-smi") is not None,
    }
    return about, environment


def processor():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), platform.machine())


def gpu_memory():
    """MiB in use on the first GPU, and its load in percent; (None, None) if nvidia-smi does not say."""
    text = said("nvidia-smi", "--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits")
    try:
        used, load = text.splitlines()[0].split(",")
        return float(used), float(load)
    except (AttributeError, IndexError, ValueError):
        return None, None
