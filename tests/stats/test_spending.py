import math

import pytest

from tests.stats.designs import FAMILIES, OBF, POCOCK
from turnout.stats.arguments import BadArgument
from turnout.stats.spending import (
    Deferred,
    HwangShihDeCani,
    KimDeMets,
    Spending,
    UserSpending,
)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_all_is_spent_in_the_end_and_never_given_back(family: Spending) -> None:
    spent = [family.spent(t / 50, 0.025) for t in range(51)]

    assert spent[0] == 0
    assert spent[-1] == pytest.approx(0.025, rel=1e-12)
    assert spent == sorted(spent)
    assert family.spent(1.2, 0.025) == spent[-1]


@pytest.mark.parametrize(
    ("family", "fraction", "spent"),
    [
        pytest.param(OBF, 0.2, 5.3888e-07, id="O'Brien-Fleming"),
        pytest.param(OBF, 1e-3, 0.0, id="O'Brien-Fleming, so early that it is nothing"),
        pytest.param(POCOCK, 0.2, 0.00738486, id="Pocock"),
        pytest.param(HwangShihDeCani(-4), 1 / 3, 0.00130306, id="Hwang-Shih-DeCani"),
        pytest.param(KimDeMets(2), 0.5, 0.00625, id="Kim-DeMets"),
        pytest.param(Deferred(KimDeMets(1), until=0.3), 0.29, 0.0, id="deferred, before"),
        pytest.param(Deferred(KimDeMets(1), until=0.3), 0.3, 0.0075, id="deferred, when due"),
        pytest.param(UserSpending((0.5, 1.0), (0.2, 1.0)), 0.75, 0.015, id="shares"),
        pytest.param(UserSpending((0.5, 1.0), (0.005, 0.025)), 0.25, 0.0025, id="levels"),
    ],
)
def test_each_family_spends_by_its_formula(family: Spending, fraction: float, spent: float) -> None:
    assert family.spent(fraction, 0.025) == pytest.approx(spent, rel=1e-4)


@pytest.mark.parametrize(
    ("act", "argument"),
    [
        pytest.param(lambda: KimDeMets(0), "rho", id="all at once"),
        pytest.param(lambda: HwangShihDeCani(math.nan), "gamma", id="not a number"),
        pytest.param(lambda: UserSpending((1.0,), ()), "cumulative", id="missing entries"),
        pytest.param(lambda: UserSpending((0.5, 1.0), (0.02, 0.01)), "cumulative", id="given back"),
        pytest.param(lambda: UserSpending((0.5, 1.0), (0, 0)), "cumulative", id="nothing"),
        pytest.param(lambda: OBF.spent(-0.1, 0.025), "fraction", id="before the start"),
    ],
)
def test_what_cannot_be_spent_is_refused(act, argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        act()
