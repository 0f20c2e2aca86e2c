"""A model is recommended only where chance is ruled out."""

from collections.abc import Mapping

import pytest

from tests.factories import arm_evidence, counted
from turnout.interop.quickstart.recommendation import recommend
from turnout.observations.domain.evidence import ArmEvidence
from turnout.stats.totals import UnitTotals

NAMES = {1: "model-000001", 2: "model-000002"}


def measured(n: int, mean: float, spread: float = 0.1) -> UnitTotals:
    x2 = n * (mean**2 + spread**2)
    return UnitTotals(units=n, n=n, n2=n, x=n * mean, x2=x2, xn=n * mean)


def arms(**metrics: tuple[UnitTotals, UnitTotals]) -> Mapping[int, ArmEvidence]:
    return {
        n: arm_evidence(
            500, version_id=n, outcomes={name: pair[n - 1] for name, pair in metrics.items()}
        )
        for n in (1, 2)
    }


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        pytest.param(
            measured(500, 0.7),
            measured(500, 0.749),
            "model-000002 shows 7% higher confidence than model-000001 (95% sure: 5.2% to 8.8%);"
            " feedback tells whether it is right as often",
            id="the second is surer",
        ),
        pytest.param(
            measured(500, 0.749),
            measured(500, 0.7),
            "model-000001 shows 7% higher confidence than model-000002 (95% sure: 5.2% to 8.8%);"
            " feedback tells whether it is right as often",
            id="the first is surer",
        ),
        pytest.param(
            measured(500, 0.7),
            measured(500, 0.703),
            "no model is shown to be the best: no difference in confidence is shown: model-000002"
            " may be -0.00942 to +0.0154 against model-000001, and 0 is among that",
            id="as chance would have it",
        ),
        pytest.param(
            measured(20, 0.6),
            measured(20, 0.9),
            "no model is shown to be the best: 20 units show nothing yet, whatever their figures"
            " are: at least 30 of each version are needed, and usually far more",
            id="too few to tell",
        ),
    ],
)
def test_confidence_decides_while_there_is_no_feedback(
    first: UnitTotals, second: UnitTotals, sentence: str
) -> None:
    assert recommend(NAMES, [arms(confidence=(first, second))]) == sentence


def test_accuracy_goes_before_confidence_once_there_is_feedback() -> None:
    found = arms(
        confidence=(measured(500, 0.7), measured(500, 0.9)),
        accuracy=(counted(400, 360), counted(400, 280)),
    )

    assert recommend(NAMES, [found]).startswith("model-000001 shows 29% higher accuracy than")


def test_a_little_feedback_does_not_decide_yet() -> None:
    found = arms(
        confidence=(measured(500, 0.7), measured(500, 0.9)),
        accuracy=(counted(5, 5), counted(5, 0)),
    )

    assert "higher confidence" in recommend(NAMES, [found])


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        pytest.param({}, "nothing to compare yet", id="none"),
        pytest.param({1: "model-000001"}, "nothing to compare yet", id="one"),
        pytest.param(NAMES, "did not share the traffic", id="two that never met"),
    ],
)
def test_without_two_that_met_nothing_is_said(names: dict[int, str], sentence: str) -> None:
    assert sentence in recommend(names, [])
