"""What a server uses, as Linux tells it: all its processes together."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""Those that we may use, read before we leave some to the servers."""


@dataclass(frozen=True, slots=True)
class Census:
    """What a server holds at one moment."""

    rss_kb: int
    threads: int
    files: int
    databases: int
    """How often it has the SQLite file open; SQLite keeps some open of connections that were closed, for the next."""


def family(pid: int) -> list[int]:
    """Return the process and all that it started, and they in turn."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    return [pid, *(member for child in children for member in family(child))]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # the thread is over
        return []


def cpu_seconds(pid: int) -> float:
    """Return the CPU that the processes have used, to the nanosecond; /proc/<pid>/stat counts in hundredths."""
    return sum(time.clock_gettime(_cpu_clock(member)) for member in family(pid))


def busy_seconds(cores: Sequence[int]) -> float:
    """Return how long these cores have worked, for whomever."""
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    times = {line[0]: [int(field) for field in line[1:9]] for line in lines if line[0].startswith("cpu")}
    ticks = sum(sum(times[f"cpu{core}"]) - sum(times[f"cpu{core}"][3:5]) for core in cores)  # 3 and 4 are idle
    return ticks / os.sysconf("SC_CLK_TCK")


def _cpu_clock(pid: int) -> int:
    """Return the number of another process's clock, as clock_getcpuclockid(3) does, which Python has only for us."""
    return (~pid << 3) | 2


def take_census(pid: int) -> Census:
    members = [_take_census(member) for member in family(pid)]
    return Census(
        rss_kb=sum(one.rss_kb for one in members),
        threads=sum(one.threads for one in members),
        files=sum(one.files for one in members),
        databases=sum(one.databases for one in members),
    )


def _take_census(pid: int) -> Census:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    files = [_target(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return Census(
        rss_kb=int(status["VmRSS"].split()[0]),
        threads=int(status["Threads"]),
        files=len(files),
        databases=sum(name.endswith(".sqlite3") for name in files),
    )


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:  # closed meanwhile
        return ""


def cores_for(workers: int) -> tuple[list[int], list[int]]:
    """Return the cores of the server and those of all who ask it; they share where there are not enough."""
    return CORES[:workers], CORES[workers:] or CORES
