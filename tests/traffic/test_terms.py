from dataclasses import replace
from datetime import timedelta

import pytest

from tests.factories import NOON, split
from turnout.traffic.domain.split import Split
from turnout.traffic.domain.terms import longest_in_force, terms

HOUR = timedelta(hours=1)
BOTH = split({"a": 5_000, "b": 5_000})


def at(split_id: int, hour: float, *again: float) -> Split:
    return replace(
        BOTH,
        id=split_id,
        created_at=NOON + hour * HOUR,
        reinstated_at=tuple(NOON + later * HOUR for later in again),
    )


@pytest.mark.parametrize(
    ("splits", "ids"),
    [
        pytest.param([], [], id="none"),
        pytest.param([at(2, 1), at(1, 0)], [1, 2], id="in the order of time"),
        pytest.param([at(1, 0, 2), at(2, 1)], [1, 2, 1], id="one came back"),
        pytest.param([at(1, 0, 1), at(2, 1)], [1, 2, 1], id="it came back in the same moment"),
        pytest.param([at(2, 1), at(1, 1)], [1, 2], id="two in one moment"),
    ],
)
def test_terms_follow_each_other(splits: list[Split], ids: list[int]):
    assert [term.split.id for term in terms(splits)] == ids


@pytest.mark.parametrize(
    ("splits", "split_id", "hours"),
    [
        pytest.param([at(1, -5)], 1, 4, id="it was in force before"),
        pytest.param([at(1, 0), at(2, 1)], 2, 3, id="the later one lasts"),
        pytest.param([at(1, -9), at(2, -1), at(3, 3)], 2, 3, id="what was over before is nothing"),
        pytest.param([at(1, 0, 2.5), at(2, 1), at(3, 3)], 1, 1.5, id="both terms count"),
    ],
)
def test_the_longest_in_force(splits: list[Split], split_id: int, hours: float):
    found = longest_in_force(splits, since=NOON, until=NOON + 4 * HOUR)

    assert found is not None
    assert (found[0].id, found[1] / HOUR) == (split_id, hours)


def test_without_a_split_none_was_in_force():
    assert longest_in_force([], since=NOON, until=NOON + HOUR) is None
