"""Metrics beside the goal: figures that may be read at every look, and decide nothing."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.arms import alike, counts, measured
from turnout.stats.effect import Stratum
from turnout.stats.secondary import SecondaryFinding, secondary


def of_rates(control: int, treatment: int, *, n: int) -> SecondaryFinding:
    arms = Stratum(control=counts(control, of=n), treatment=counts(treatment, of=n))
    return secondary([arms], proportion=True, confidence=0.95, tuned_at=5_000)


@given(st.integers(50, 20_000), st.data())
def test_a_small_p_value_and_an_interval_without_zero_are_one_and_the_same(
    n: int, data: st.DataObject
) -> None:
    finding = of_rates(data.draw(st.integers(0, n)), data.draw(st.integers(0, n)), n=n)
    low, high = finding.interval
    if finding.p_value is None or low is None or high is None:
        assert finding.reason
        return

    if not math.isclose(finding.p_value, 0.05, rel_tol=1e-6):
        assert (low > 0 or high < 0) == (finding.p_value < 0.05)


def test_the_figures_are_those_of_the_arms() -> None:
    finding = of_rates(500, 600, n=5_000)

    assert (finding.control, finding.treatment) == (0.1, 0.12)
    assert finding.effect == pytest.approx(0.02)
    assert finding.relative_effect == pytest.approx(0.2)
    assert finding.reason is None
    assert json.dumps(asdict(finding), allow_nan=False)


@pytest.mark.parametrize(
    ("arms", "proportion", "reason"),
    [
        pytest.param(
            Stratum(control=counts(0, of=90), treatment=counts(0, of=90)),
            True,
            "nothing to compare",
            id="no events",
        ),
        pytest.param(
            Stratum(control=alike(3.0, units=90), treatment=alike(4.0, units=90)),
            False,
            "nothing to compare",
            id="values that are all the same",
        ),
        pytest.param(
            Stratum(control=counts(3, of=90), treatment=counts(9, of=90)),
            True,
            "fewer than 10 events",
            id="too few events",
        ),
        pytest.param(
            Stratum(control=counts(3, of=9), treatment=counts(5, of=9)),
            False,
            "fewer than 50 units",
            id="too few units",
        ),
    ],
)
def test_where_nothing_can_be_said_it_says_why(
    arms: Stratum, proportion: bool, reason: str
) -> None:
    finding = secondary([arms], proportion=proportion, confidence=0.95, tuned_at=5_000)

    assert finding.reason is not None
    assert finding.reason.startswith(reason)
    assert (finding.p_value, finding.interval) == (None, (None, None))


def test_an_innocent_treatment_is_rarely_found_though_read_at_every_look() -> None:
    rng = np.random.default_rng(110)
    found, runs = 0, 300
    for _ in range(runs):
        control, treatment = rng.exponential(1, (2, 2_000))
        p_values = []
        for n in range(100, 2_001, 100):
            arms = Stratum(control=measured(control[:n]), treatment=measured(treatment[:n]))
            one = secondary([arms], proportion=False, confidence=0.95, tuned_at=1_000)
            p_values.append(1.0 if one.p_value is None else one.p_value)
        found += min(p_values) < 0.05

    assert found <= 0.05 * runs
