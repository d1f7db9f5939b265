"""What benchmarks share: best of several, interleaved; the machine; one JSON line last."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def interleaved(rounds: int, **measured: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each callable, `rounds` times in turns, so that a busy moment hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, work in measured.items():
            begun = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def median(values: list[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def best(values: list[float]) -> float:
    """The fastest one: what the work costs when nothing else runs."""
    return min(values)


def cpu(process: int) -> float:
    """Seconds of one core that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    line = next(one for one in Path(f"/proc/{process}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def report(name: str, figures: Mapping[str, object], *packages: str) -> None:
    """Print the figures, then all of it with machine and versions as one JSON line."""
    for key, value in figures.items():
        print(f"{key:40} {value:.3f}" if isinstance(value, float) else f"{key:40} {value}")
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps({"benchmark": name, **rounded, **machine(), "versions": {one: version(one) for one in packages}}))


def machine() -> dict[str, object]:
    """What it ran on, and when."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
