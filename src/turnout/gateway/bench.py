"""Times a version for the latency gate: warm, one call after the other, within a bounded time.

The model runs in its own threads, as for predictions, so the replica goes on serving meanwhile.
"""

import time
from typing import Final

from turnout.gates.domain.slow import Broken, NoAnswer, Timed, Unmeasurable
from turnout.gates.runs import Sample
from turnout.gateway.runtimes.answers import InputMismatch, RuntimeFailure
from turnout.gateway.runtimes.pool import RunByCaller, RuntimePool
from turnout.registry.domain.version import VersionRef

WARM_UP: Final = 20
RUNS: Final = 300
SECONDS: Final = 10.0
"""A version that is too slow for so many runs in this time is slow enough to tell."""


class Bench:
    def __init__(self, runtimes: RuntimePool) -> None:
        self._runtimes = runtimes

    async def time(
        self, version: VersionRef, sample: Sample
    ) -> Timed | Unmeasurable | NoAnswer | Broken:
        until = time.perf_counter() + SECONDS
        latencies: list[float] = []
        try:
            for run in range(WARM_UP + RUNS):
                began = time.perf_counter()
                if latencies and began >= until:
                    break
                await self._runtimes.probe(version, sample.inputs)
                # The first call loads the model; a slow version warms up for half the time only.
                if run >= WARM_UP or (run and began >= until - SECONDS / 2):
                    latencies.append((time.perf_counter() - began) * 1000)
        except RunByCaller as refusal:
            return Unmeasurable(reason=refusal.detail)
        except InputMismatch as mismatch:
            return Broken(reason=f"{sample.words} do not fit: {mismatch.detail}")
        except RuntimeFailure as failure:
            return NoAnswer(reason=f"it does not answer on {sample.words}: {failure}")
        return Timed(latencies=latencies, inputs=sample.words)
