"""Experiments as the tests of the domain know them: 1.0.0 against 2.0.0, on accuracy."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.factories import NOON, arm_evidence, counted
from turnout.experiments.domain.analyse import analyse
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan, Treatment
from turnout.experiments.domain.state import Progress, Sequences, Status
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.metric import Goal
from turnout.stats.goal import GoalStatus
from turnout.stats.totals import UnitTotals

CONTROL, TREATMENT, ANOTHER = "1.0.0", "2.0.0", "3.0.0"
TARGET = 5_000
DAY = timedelta(days=1)
DAY_2 = NOON + 2 * DAY
END = NOON + 7 * DAY

ACCURACY = Goal(metric="accuracy", minimum_detectable_effect=0.02)


def plan(*treatments: str, **stated: Any) -> Plan:
    versions = treatments or (TREATMENT,)
    planned: dict[str, Any] = {
        "key": "new-model",
        "control": CONTROL,
        "treatments": tuple(Treatment(version=version) for version in versions),
        "goal": ACCURACY,
        "target_sample_size": TARGET,
    }
    return Plan(**(planned | stated))


def running(target: int = TARGET, *, since: datetime = NOON) -> Progress:
    return Progress(
        status=Status.RUNNING,
        started_at=since,
        running_since=since,
        split_id=1,
        target_sample_size=target,
    )


def arm(
    units: int,
    correct: float | None = None,
    *,
    labelled: int | None = None,
    errors: int = 0,
    last_at: datetime = DAY_2,
    crossed: int = 0,
    outcomes: Mapping[str, UnitTotals] | None = None,
) -> ArmEvidence:
    """So many units with a prediction each, all of them labelled if `correct` is given."""
    labels = {} if correct is None else {"accuracy": counted(labelled or units, correct)}
    return arm_evidence(
        units,
        errors=errors,
        last_at=last_at,
        crossed=crossed,
        outcomes={**labels, **(outcomes or {})},
    )


def seen(**arms: ArmEvidence) -> ExperimentEvidence:
    names = {"control": CONTROL, "treatment": TREATMENT, "another": ANOTHER}
    return ExperimentEvidence(arms={names[name]: arm for name, arm in arms.items()})


def analysed(
    evidence: ExperimentEvidence,
    *,
    of: Plan | None = None,
    progress: Progress | None = None,
    sequences: Sequences | None = None,
    now: datetime = DAY_2,
    look: bool = True,
) -> tuple[Analysis, Sequences]:
    return analyse(
        of or plan(),
        progress or running(),
        evidence,
        sequences or Sequences(),
        now=now,
        look=look,
    )


TWO = plan(TREATMENT, ANOTHER)


def statuses(analysis: Analysis) -> list[GoalStatus]:
    return [found.finding.status for found in analysis.comparisons]


def three(control: int, treatment: int, another: int, *, of: int = 2_500) -> ExperimentEvidence:
    return seen(control=arm(of, control), treatment=arm(of, treatment), another=arm(of, another))
