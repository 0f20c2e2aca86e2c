from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.arguments import BadArgument
from turnout.stats.totals import UnitTotals

a_unit = st.tuples(st.integers(0, 50), st.integers(0, 50)).filter(any)
units = st.lists(a_unit.map(lambda unit: (sum(unit), unit[0])), max_size=20)


def totals(of: Sequence[tuple[int, int]]) -> UnitTotals:
    return UnitTotals(
        units=len(of),
        n=sum(n for n, _ in of),
        n2=sum(n * n for n, _ in of),
        x=sum(x for _, x in of),
        x2=sum(x * x for _, x in of),
        xn=sum(x * n for n, x in of),
    )


@given(units, units)
def test_totals_of_two_groups_of_units_add(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    assert totals(one) + totals(other) == totals([*one, *other])


@given(units)
def test_the_complement_counts_the_other_events(of: list[tuple[int, int]]) -> None:
    assert totals(of).complement() == totals([(n, n - x) for n, x in of])


def test_no_events_have_no_rate() -> None:
    assert UnitTotals().rate is None


def test_the_rate_weighs_events_not_units() -> None:
    assert totals([(1, 1), (9, 0)]).rate == 0.1


@pytest.mark.parametrize(
    ("broken", "argument"),
    [
        pytest.param({"units": -1}, "units", id="fewer than no units"),
        pytest.param({"n": float("nan")}, "n", id="not a number"),
        pytest.param({"x": float("inf")}, "x", id="infinite"),
        pytest.param({"n": 5.0}, "n", id="events without units"),
        pytest.param({"units": 2, "n": 2.0, "n2": 1.0}, "n", id="squares too small"),
        pytest.param({"units": 1, "n": 1.0, "n2": 1.0, "x": 3.0, "x2": 4.0}, "x", id="lost values"),
        pytest.param(
            {"units": 2, "n": 2.0, "n2": 2.0, "x": 2.0, "x2": 2.0, "xn": 3.0}, "xn", id="lost pairs"
        ),
    ],
)
def test_sums_that_no_data_can_have_are_refused(broken: dict[str, float], argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} ") as refusal:
        UnitTotals(**broken)  # type: ignore[arg-type]  # units is an int in every case

    assert refusal.value.argument == argument
