"""What docs/guides/experiments.md quotes is what the product says."""

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tests.experiments.trials import DAY, analysed, arm, plan, running, seen
from tests.factories import NOON
from turnout.experiments.domain.aim import Past
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.health import Check
from turnout.experiments.domain.inquiry import Inquiry
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.planner import forecast
from turnout.experiments.domain.state import Conclusion, Sequences
from turnout.experiments.schemas import AnalysisView
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.stats.goal import GoalStatus

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "experiments.md").read_text()
TARGET = 3_859


def router(**stated: object) -> Plan:
    """The plan of the guide."""
    return plan(
        goal=Goal(metric="accuracy", minimum_detectable_effect=0.03),
        guardrails=(Guardrail(metric="error_rate", max_increase=0.01),),
        target_sample_size=TARGET,
        **stated,
    )


def day(number: int, control: int, treatment: int, errors: int = 0) -> ExperimentEvidence:
    """After so many days at 750 units of each variant per day: how many were answered right."""
    units, last_at = 750 * number, NOON + number * DAY
    return seen(
        control=arm(units, control, last_at=last_at),
        treatment=arm(units, treatment, last_at=last_at, errors=errors),
    )


def course(*days: ExperimentEvidence) -> Analysis:
    """Looks once a day, from the second on, and answers the newest."""
    memory, analyses = Sequences(), []
    for number, evidence in enumerate(days, start=2):
        analysis, memory = analysed(
            evidence,
            of=router(),
            progress=running(TARGET),
            sequences=memory,
            now=NOON + number * DAY,
        )
        analyses.append(analysis)
    return analyses[-1]


@pytest.mark.parametrize(
    ("of", "conclusion"),
    [
        pytest.param(
            lambda: course(day(2, 1_050, 1_104), day(3, 1_570, 1_668)),
            Conclusion.SHIP,
            id="ship",
        ),
        pytest.param(
            lambda: course(day(2, 1_050, 1_060)), Conclusion.KEEP_RUNNING, id="keep running"
        ),
        pytest.param(
            lambda: course(day(2, 1_062, 1_040), day(3, 1_592, 1_562)),
            Conclusion.FUTILE,
            id="futile",
        ),
        pytest.param(lambda: course(day(2, 1_053, 930)), Conclusion.KEEP_CONTROL, id="worse"),
        pytest.param(
            lambda: course(day(2, 1_050, 1_104, errors=90)),
            Conclusion.KEEP_CONTROL,
            id="a guardrail fails",
        ),
        pytest.param(
            lambda: course(
                seen(
                    control=arm(1_500, 1_050),
                    treatment=arm(1_200, 870),
                )
            ),
            Conclusion.INVALID,
            id="a broken split",
        ),
    ],
)
def test_each_conclusion_is_quoted_in_the_words_of_the_product(
    of: Callable[[], Analysis], conclusion: Conclusion
) -> None:
    analysis = of()

    assert analysis.conclusion is conclusion
    assert f"> {analysis.recommendation}\n" in GUIDE


def test_the_planner_says_what_the_guide_quotes() -> None:
    asked = re.search(r"experiments/plan --json '(.+)'", GUIDE)
    assert asked is not None
    inquiry = Inquiry(**json.loads(asked[1]))
    given = inquiry.given(Past())
    assert given is not None
    past = Past(units_per_day=inquiry.units_per_day)
    found = forecast(inquiry.aim, past, given, baseline_is="given", pace_is="given")

    assert found.reason in GUIDE
    assert found.sample_size.control == TARGET
    quoted = [found.sample_size.control, found.single_look, *(way.units for way in found.expected)]
    assert [f"{units:,}" in GUIDE for units in quoted] == [True] * len(quoted)


@pytest.mark.parametrize("name", [field.name for field in fields(AnalysisView)])
def test_every_field_of_an_analysis_is_explained(name: str) -> None:
    assert f"`{name}`" in GUIDE


@pytest.mark.parametrize("word", [*Conclusion, *Check, *GoalStatus])
def test_every_word_of_a_verdict_is_explained(word: str) -> None:
    assert f"`{word}`" in GUIDE
