"""How long `turnout serve` takes until it is ready, and what the idle API process holds."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.result import Result, note
from benchmarks.service import environment, scratch, turnout

ROUNDS = 5
NEW_SECONDS = 5.0
AGAIN_SECONDS = 3.0
MEGABYTES = 150
SETTLE_SECONDS = 3.0
HEAVY = ("pandas", "statsmodels", "sklearn")
IMPORTED = f"""
import sys
import turnout.cli.app, turnout.cli.processes
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""


def measure() -> Iterator[Result]:
    with scratch() as directory:
        _seconds_to_ready(directory / "warm-up")  # on a fresh checkout this compiles the bytecode
        new, again = [], []
        for number in range(ROUNDS):
            data_dir = directory / str(number)
            new.append(_seconds_to_ready(data_dir))
            again.append(_seconds_to_ready(data_dir))
            note(f"ready after {new[-1]:.2f} s, from an existing directory {again[-1]:.2f} s")
        yield _row("from nothing to ready", new, NEW_SECONDS)
        yield _row("from an existing data directory to ready", again, AGAIN_SECONDS)
        yield _memory(directory / "0")


def _seconds_to_ready(data_dir: Path) -> float:
    start = time.perf_counter()
    with turnout("serve", data_dir):
        return time.perf_counter() - start


def _row(what: str, seconds: list[float], limit: float) -> Result:
    median = statistics.median(seconds)
    return Result(
        what=f"`turnout serve` {what}",
        reach=f"≤ {limit:g} s",
        measured=f"{median:.2f} s (worst of {len(seconds)}: {max(seconds):.2f} s)",
        reached=median <= limit,
    )


def _memory(data_dir: Path) -> Result:
    """Compiled modules show in the process's maps; pure ones only in `sys.modules`."""
    with turnout("api", data_dir) as service:
        time.sleep(SETTLE_SECONDS)
        megabytes = service.resident_megabytes
        mapped = {name for name in HEAVY if service.maps(name)}
    command = [sys.executable, "-c", IMPORTED]
    found = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    heavy = sorted(mapped | set(found.stdout.split()))
    imports = f"imports {', '.join(heavy)}" if heavy else "none of them"
    return Result(
        what="API process, idle",
        reach=f"≤ {MEGABYTES} MB resident, without {', '.join(HEAVY)}",
        measured=f"{megabytes:.0f} MB, {imports}",
        reached=megabytes <= MEGABYTES and not heavy,
    )
