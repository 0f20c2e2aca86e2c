"""How long `turnout serve` takes from nothing to ready, and how much memory the idle API holds."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.result import Result
from benchmarks.service import resident_megabytes, running

HEAVY = ("pandas", "statsmodels", "sklearn")


def seconds_to_ready(data_dir: Path) -> float:
    start = time.perf_counter()
    with running("serve", data_dir):
        return time.perf_counter() - start


def measure() -> list[Result]:
    first, again = [], []
    with tempfile.TemporaryDirectory() as directory:
        for repetition in range(3):
            data_dir = Path(directory) / str(repetition)
            first.append(seconds_to_ready(data_dir))
            again.append(seconds_to_ready(data_dir))
        with running("api", Path(directory) / "0") as (_, process):
            memory = resident_megabytes(process)
            maps = Path(f"/proc/{process.pid}/maps").read_text()
    loaded = [name for name in HEAVY if f"/{name}/" in maps]
    return [
        Result("`turnout serve` from nothing to ready", "≤ 5 s", statistics.median(first), 5, "s"),
        Result(
            "`turnout serve` from an existing data directory to ready",
            "≤ 3 s",
            statistics.median(again),
            3,
            "s",
        ),
        Result(
            "API process, idle, resident" + (f" (imports {', '.join(loaded)})" if loaded else ""),
            "≤ 150 MB",
            memory,
            150,
            "MB",
        ),
    ]
