"""What the figures were measured on."""

from __future__ import annotations

import datetime as dt
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm")
PACKAGES = ("torch", "transformers", "tokenizers", "django")


def describe_machine() -> dict[str, Any]:
    """Return what can be known without importing torch."""
    model, flags = _read_cpu()
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def busy_share(seconds: float = 0.25) -> float:
    """Return which part of all cores' time something uses, while we sleep; 0 where the system does not tell."""
    try:
        before = _cpu_times()
        time.sleep(seconds)
        idle, total = (after - earlier for after, earlier in zip(_cpu_times(), before, strict=True))
    except OSError:
        return 0.0
    return 1 - idle / total if total else 0.0


def _cpu_times() -> tuple[int, int]:
    """Return the idle and all time since the start of the machine."""
    with Path("/proc/stat").open() as file:
        times = [int(field) for field in file.readline().split()[1:9]]
    return times[3] + times[4], sum(times)


def describe_device(device: str) -> dict[str, str]:
    """Return the device that ``auto`` stands for, and its name."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        return {"device": device, "device_name": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
    return {"device": device, "device_name": "CPU", "torch_threads": str(torch.get_num_threads())}


def measure_bandwidth(device: str, size: int = 1 << 30) -> float:
    """Return the bytes a second that can be read: the best of several sums on a CPU, of copies on a GPU."""
    import torch

    numbers = torch.ones(size // 4, dtype=torch.float32, device=device)
    if not device.startswith("cuda"):
        return max(_timed(numbers.sum, size) for _ in range(6))
    copy = torch.empty_like(numbers)

    def copy_all() -> None:
        copy.copy_(numbers)
        torch.cuda.synchronize()

    torch.cuda.synchronize()
    return max(_timed(copy_all, 2 * size) for _ in range(20))  # each byte is read and written


def _timed(work: Any, size: int) -> float:
    start = time.perf_counter()
    work()
    return size / (time.perf_counter() - start)


def _read_cpu() -> tuple[str, set[str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    values = {name.strip(): value.strip() for name, value in pairs}
    flags = values.get("flags") or values.get("Features") or ""
    return values.get("model name", platform.machine()), set(flags.split())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
