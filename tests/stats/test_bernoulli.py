import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.arguments import BadArgument
from turnout.stats.bernoulli import fewest_that_show_more, log_evidence, most_that_show_less


@pytest.mark.parametrize("p0", [0.01, 0.3, 0.99])
@pytest.mark.parametrize("trials", [1, 7, 40])
def test_the_evidence_is_a_martingale_under_the_hypothesis(p0: float, trials: int) -> None:
    """Its mean is 1 whatever the number of trials, so Ville's inequality applies."""
    mean = math.fsum(
        math.comb(trials, k)
        * p0**k
        * (1 - p0) ** (trials - k)
        * math.exp(log_evidence(k, trials, p0))
        for k in range(trials + 1)
    )

    assert mean == pytest.approx(1, rel=1e-9)


@given(st.integers(1, 300), st.floats(0.001, 0.999), st.floats(0.001, 0.2))
def test_the_thresholds_are_where_the_evidence_suffices(n: int, p0: float, alpha: float) -> None:
    fewest = fewest_that_show_more(n, p0, alpha)
    enough = [k for k in range(n + 1) if log_evidence(k, n, p0) >= -math.log(alpha)]

    assert fewest == (enough[0] if enough else None)
    assert enough == list(range(n + 1 - len(enough), n + 1))


def test_no_trials_show_nothing() -> None:
    assert fewest_that_show_more(0, 0.01, 0.05) is None
    assert most_that_show_less(0, 0.01, 0.05) is None


def test_more_events_than_trials_are_refused() -> None:
    with pytest.raises(BadArgument, match=r"^events "):
        log_evidence(3, 2, 0.5)


@pytest.mark.parametrize("p0", [0.01, 0.05, 0.5])
def test_the_true_probability_is_rarely_excluded_at_any_look(p0: float) -> None:
    rng = np.random.default_rng(4)
    events = (rng.random((1_000, 3_000)) < p0).cumsum(axis=1)
    excluded = np.zeros((2, 1_000), dtype=bool)
    for n in np.unique(np.geomspace(1, 3_000, 150).astype(int)):
        fewest, most = (f(int(n), p0, 0.05) for f in (fewest_that_show_more, most_that_show_less))
        if fewest is not None:
            excluded[0] |= events[:, n - 1] >= fewest
        if most is not None:
            excluded[1] |= events[:, n - 1] <= most

    assert excluded.mean(axis=1).max() <= 0.05
