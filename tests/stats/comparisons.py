"""Arms to compare, in every variety, and what p-value and interval owe each other."""

import math

from hypothesis import strategies as st

from turnout.stats.anytime import Alternative
from turnout.stats.comparison import Comparison, Interval
from turnout.stats.moments import Moments, Proportion

SIDES: dict[Alternative, Alternative] = {
    "two-sided": "two-sided",
    "greater": "less",
    "less": "greater",
}
alternatives = st.sampled_from(list(SIDES))
confidences = st.sampled_from([0.8, 0.95, 0.99, 0.999])
methods = st.sampled_from(["score", "newcombe", "wald"])
margins = st.sampled_from([0.0, 0.001, 0.02, 0.3])
proportions = st.integers(1, 100_000).flatmap(
    lambda n: st.builds(
        Proportion, st.just(n), st.one_of(st.integers(0, n), st.integers(0, min(n, 5)))
    )
)
moments = st.builds(
    Moments,
    st.integers(2, 10_000),
    st.floats(-100, 100),
    st.one_of(st.just(0.0), st.floats(1e-3, 1e6)),
)


def excludes(interval: Interval, value: float) -> bool:
    low, high = interval
    return (low is not None and low > value) or (high is not None and high < value)


def assert_dual(result: Comparison, null: float) -> None:
    """Small p and an interval that excludes the null are one and the same."""
    if result.p_value is None or result.interval is None:
        assert result.reason
        return
    level = 1 - result.confidence
    if not math.isclose(result.p_value, level, rel_tol=1e-9):
        assert excludes(result.interval, null) == (result.p_value < level)
