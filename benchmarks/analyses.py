"""What an analysis of an experiment costs, by how much it has seen and how often it has looked.

Without the database: an analysis reads the same rows of totals whatever was counted in them. Time
is that of one core.
"""

import itertools
import math
import statistics
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.result import Result, note
from turnout.experiments.domain.analyse import analyse
from turnout.experiments.domain.evidence import EXPOSURE, ExperimentEvidence
from turnout.experiments.domain.plan import Plan, Treatment
from turnout.experiments.domain.state import Progress, Sequences, Status
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals

FEW, MANY = 10_000, 10_000_000
ROUNDS = 300
LOOKS = 100
COURSE_ROUNDS = 5
TIMES = 1.2
MILLISECONDS = 20.0
TYPICAL_MILLISECONDS = 10.0

STARTED = datetime(2026, 3, 2, 12, tzinfo=UTC)
RATE = 0.8
UNITS = 65_000
EFFECT = 0.0063
COURSES = {
    "of no use": 0.0,
    "undecided for long": 0.0036,
    "won late": 0.0057,
}
"""What the treatment adds. Nothing ends here: what is found waits for a person, and is looked at
on."""


def measure() -> Iterator[Result]:
    few, many = _first_looks()
    note(f"one analysis {few * 1e3:.2f} ms and {many * 1e3:.2f} ms")
    yield Result(
        what=f"one analysis of an experiment at {MANY:,} events against {FEW:,}, without the"
        " database",
        reach=f"≤ {TIMES:g} × its time, < {TYPICAL_MILLISECONDS:g} ms",
        measured=f"{many / few:.2f} × ({many * 1e3:.2f} ms against {few * 1e3:.2f} ms)",
        reached=many <= TIMES * few and max(few, many) * 1e3 < TYPICAL_MILLISECONDS,
    )
    courses = [
        [_course(effect, UNITS + again) for again in range(COURSE_ROUNDS)]
        for effect in COURSES.values()
    ]
    hundredth = max(_median(course[-1] for course in rounds) for rounds in courses)
    looks = [spent for rounds in courses for course in rounds for spent in course]
    yield Result(
        what=f"the same: look number {LOOKS} in a process that has made the others",
        reach=f"< {MILLISECONDS:g} ms",
        measured=f"{hundredth * 1e3:.1f} ms (the slowest of {len(courses)} courses; median of all"
        f" looks {_median(looks) * 1e3:.1f} ms; worst, where futility is first due:"
        f" {max(looks) * 1e3:.0f} ms)",
        reached=hundredth * 1e3 < MILLISECONDS,
    )


def _first_looks() -> tuple[float, float]:
    """Median seconds at few and at many events, by turns; the effects are as many standard
    errors wide, so that both have the same to say."""
    seconds: dict[int, list[float]] = {FEW: [], MANY: []}
    for events in itertools.chain([FEW, MANY], *itertools.repeat((FEW, MANY), ROUNDS)):
        units = events // 2
        effect = EFFECT * math.sqrt(UNITS / (2 * units))
        spent, _ = _timed(_plan(2 * units, effect), units, RATE + effect / 2, Sequences())
        seconds[events].append(spent)
    return _median(seconds[FEW][1:]), _median(seconds[MANY][1:])


def _course(effect: float, units: int) -> list[float]:
    """Seconds of each look, at equal steps up to the planned size. Plans of different sizes have no
    bounds in common, so each course finds its own."""
    plan, memory, seconds = _plan(units, EFFECT), Sequences(), []
    for number in range(1, LOOKS + 1):
        spent, memory = _timed(plan, units * number // LOOKS, RATE + effect, memory)
        seconds.append(spent)
    return seconds


def _median(seconds: Iterable[float]) -> float:
    return statistics.median(seconds)


def _timed(plan: Plan, units: int, rate: float, memory: Sequences) -> tuple[float, Sequences]:
    evidence = ExperimentEvidence(arms={"1.0.0": _arm(units, RATE), "2.0.0": _arm(units, rate)})
    assert plan.target_sample_size is not None
    progress = _progress(plan.target_sample_size)
    start = time.thread_time()
    _, after = analyse(plan, progress, evidence, memory, now=STARTED + timedelta(days=2), look=True)
    return time.thread_time() - start, after


def _plan(target: int, effect: float) -> Plan:
    return Plan(
        key="new-model",
        control="1.0.0",
        treatments=(Treatment(version="2.0.0"),),
        goal=Goal(metric="accuracy", minimum_detectable_effect=effect),
        guardrails=(Guardrail(metric="error_rate", max_increase=0.01),),
        min_sample_size=100,
        target_sample_size=target,
    )


def _progress(target: int) -> Progress:
    return Progress(
        status=Status.RUNNING,
        started_at=STARTED,
        running_since=STARTED,
        split_id=1,
        target_sample_size=target,
    )


def _arm(units: int, rate: float) -> ArmEvidence:
    return ArmEvidence(
        version_id=1,
        metrics={
            EXPOSURE: _counted(units, units // 100),
            "accuracy": _counted(units, rate * units),
        },
        latency=QuantileSketch(),
        predictions=units,
        last_at=STARTED + timedelta(days=2),
        crossed=0,
    )


def _counted(units: int, events: float) -> UnitTotals:
    x = round(events)
    return UnitTotals(units=units, n=units, n2=units, x=x, x2=x, xn=x)
