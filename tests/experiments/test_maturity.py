"""Experiments that count only what was reported of old enough predictions."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.experiments.conftest import HOUR, Driver, plan
from tests.factories import arm_evidence, counted
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.observations.tables import FollowedMetric

GOAL = Goal(metric="accuracy", minimum_detectable_effect=0.05, maturity=HOUR)
LIMIT = Guardrail(metric="refund", max=0.1, maturity=2 * HOUR)


async def test_its_split_is_told_what_matures(driver: Driver) -> None:
    await driver.under_way(goal=GOAL, guardrails=(LIMIT,))

    async with driver.sessions() as session:
        found = (await session.scalars(select(FollowedMetric))).all()

    assert {(row.metric, row.age, row.series) for row in found} == {
        ("accuracy", HOUR, GOAL.series),
        ("refund", 2 * HOUR, LIMIT.series),
    }


def test_versions_are_compared_by_what_has_matured() -> None:
    outcomes = {"accuracy": counted(100, 90), GOAL.series: counted(40, 30)}
    evidence = ExperimentEvidence(arms={"1.0.0": arm_evidence(100, outcomes=outcomes)})

    measured = evidence.on(plan(goal=GOAL)).measured(GOAL, "1.0.0")

    assert measured == counted(40, 30)


def test_what_never_matures_in_time_is_refused() -> None:
    with pytest.raises(ValueError, match="the experiment ends after 10:00:00"):
        plan(goal=Goal(metric="accuracy", maturity=timedelta(days=1)))
