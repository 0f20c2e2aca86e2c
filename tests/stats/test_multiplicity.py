from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.arguments import BadArgument
from turnout.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
    hommel,
)

ALL = [bonferroni, holm, hochberg, hommel, benjamini_hochberg, benjamini_yekutieli]

p_values = st.lists(st.floats(1e-9, 1), max_size=8)


@pytest.mark.parametrize(
    ("adjust", "adjusted"),
    [
        pytest.param(bonferroni, [0.04, 0.16, 0.12, 0.02], id="Bonferroni"),
        pytest.param(holm, [0.03, 0.06, 0.06, 0.02], id="Holm"),
        pytest.param(hochberg, [0.03, 0.04, 0.04, 0.02], id="Hochberg"),
        pytest.param(hommel, [0.03, 0.04, 0.04, 0.02], id="Hommel"),
        pytest.param(benjamini_hochberg, [0.02, 0.04, 0.04, 0.02], id="Benjamini-Hochberg"),
        pytest.param(
            benjamini_yekutieli,
            [0.02 * 25 / 12, 0.04 * 25 / 12, 0.04 * 25 / 12, 0.02 * 25 / 12],
            id="Benjamini-Yekutieli",
        ),
    ],
)
def test_four_p_values_by_hand(adjust, adjusted: list[float]) -> None:
    assert adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx(adjusted)


def test_benjamini_and_hochbergs_own_example() -> None:
    """The 15 p-values of their 1995 paper: four findings at 5 %, where Bonferroni has three."""
    p = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
        *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000),
    ]

    assert sum(q <= 0.05 for q in benjamini_hochberg(p)) == 4
    assert sum(q <= 0.05 for q in bonferroni(p)) == 3


@pytest.mark.parametrize("adjust", ALL)
def test_nothing_needs_no_adjustment(adjust) -> None:
    assert adjust([]) == []


@given(p_values)
def test_the_stronger_procedure_never_has_the_greater_p_value(p: list[float]) -> None:
    order = [bonferroni, holm, hochberg, hommel, benjamini_hochberg]
    for weaker, stronger in pairwise(order):
        for greater, less in zip(weaker(p), stronger(p), strict=True):
            assert less <= greater + 1e-12


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(BadArgument, match=r"^p_values "):
        holm([0.5, p])
