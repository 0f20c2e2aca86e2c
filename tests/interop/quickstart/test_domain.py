from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from turnout.interop.quickstart.domain import (
    NOTE,
    Entry,
    NoSuchId,
    Overbooked,
    Status,
    entry,
    full_version,
    id_of,
    present,
    proportional,
    read_id,
    status,
    with_weight,
)
from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.version import VersionDetails
from turnout.traffic.domain.split import Owner, OwnerKind

ROLLOUT = Owner(kind=OwnerKind.ROLLOUT, id="7")


def entries(*asked: int) -> list[Entry]:
    """Versions 1.0.0, 2.0.0, … with the ids 1, 2, …, and these weights in percent."""
    return [
        Entry(version_id=n, version=f"{n}.0.0", name="sentiment", label=f"v{n}", asked=100 * weight)
        for n, weight in enumerate(asked, start=1)
    ]


WEIGHTS = st.dictionaries(st.integers(1, 50), st.integers(0, BASIS_POINTS), min_size=1).filter(
    lambda asked: 0 < sum(asked.values()) <= BASIS_POINTS
)


@given(WEIGHTS)
def test_what_is_asked_for_is_made_to_sum_to_everything(asked: Mapping[int, int]) -> None:
    weights = proportional(asked)
    total = sum(asked.values())

    assert sum(weights.values()) == BASIS_POINTS
    assert weights.keys() == {key for key, weight in asked.items() if weight}
    for key, weight in weights.items():
        assert weight >= asked[key]
        assert abs(weight - asked[key] * BASIS_POINTS / total) < 1


@given(WEIGHTS)
def test_what_sums_to_everything_stays_as_it_is(asked: Mapping[int, int]) -> None:
    weights = proportional(asked)

    assert proportional(weights) == weights


@pytest.mark.parametrize(
    ("asked", "serving", "shown"),
    [
        pytest.param((80,), {"a": 10_000}, {1: 8_000}, id="one, of which 80 % were asked"),
        pytest.param((80, 20), {"a": 8_000, "b": 2_000}, {1: 8_000, 2: 2_000}, id="both"),
        pytest.param(
            (80, 20), {"a": 0, "b": 10_000}, {2: 10_000}, id="a rollout has overtaken them"
        ),
        pytest.param((0, 0), {"a": 5_000, "b": 5_000}, {1: 5_000, 2: 5_000}, id="never asked"),
    ],
)
def test_shown_is_what_was_asked_as_long_as_it_is_in_force(
    asked: tuple[int, ...], serving: Mapping[str, int], shown: Mapping[int, int]
) -> None:
    assert present(entries(*asked), factories.split(serving)) == shown


def test_without_a_split_nothing_is_active() -> None:
    assert present(entries(80, 20), None) == {}


@pytest.mark.parametrize(
    ("asked", "number", "weight", "weights"),
    [
        pytest.param((0, 0), 1, 80, {1: 80}, id="the first"),
        pytest.param((80, 0), 2, 20, {1: 80, 2: 20}, id="the second"),
        pytest.param((80, 20), 1, 50, {1: 50, 2: 20}, id="lowered"),
        pytest.param((80, 20), 1, 0, {2: 20}, id="deactivated"),
        pytest.param((100, 0), 1, 0, {}, id="the last one deactivated"),
    ],
)
def test_weights_are_set_one_after_the_other(
    asked: tuple[int, int], number: int, weight: int, weights: Mapping[int, int]
) -> None:
    known = entries(*asked)
    active = {f"v{n}": share for n, share in _in_force(known).items()}
    split = factories.split(active) if active else None

    found = with_weight(known, split, known[number - 1], 100 * weight)

    assert found == {version_id: 100 * share for version_id, share in weights.items()}


def _in_force(known: list[Entry]) -> Mapping[int, int]:
    asked = {each.version_id: each.asked for each in known}
    return proportional(asked) if any(asked.values()) else {}


def test_more_than_everything_is_refused_with_what_is_free() -> None:
    known = entries(80, 0)

    with pytest.raises(Overbooked) as refused:
        with_weight(known, factories.split({"v1": 10_000}), known[1], 3_000)

    assert refused.value.detail == (
        "30 % for v2 are too much: v1 has 80 %, so 20 % are free. Lower another model first"
    )
    assert refused.value.facts["free_percent"] == 20


@pytest.mark.parametrize(
    ("named", "owner", "owned", "expected"),
    [
        pytest.param("v1", factories.PERSON, False, Status.ACTIVE, id="set by hand"),
        pytest.param("candidate", ROLLOUT, True, Status.TESTING, id="a rollout's candidate"),
        pytest.param("baseline", ROLLOUT, True, Status.ACTIVE, id="a rollout's baseline"),
        pytest.param("candidate", ROLLOUT, False, Status.ACTIVE, id="promoted"),
    ],
)
def test_a_model_is_tested_while_something_tries_it_out(
    named: str, owner: Owner, owned: bool, expected: Status
) -> None:
    split = factories.split({named: 5_000, "other": 5_000}, owner=owner, owned=owned)

    assert status(1, split) is expected


def test_a_shadow_is_tested_and_what_is_not_in_the_split_is_inactive() -> None:
    split = factories.split({"v1": 10_000}, shadow="v2")

    assert status(2, split) is Status.TESTING
    assert status(3, split) is Status.INACTIVE
    assert status(1, None) is Status.INACTIVE


@given(st.integers(1, 2**31 - 1))
def test_an_id_names_one_version(version_id: int) -> None:
    assert read_id(id_of(version_id)) == version_id


@pytest.mark.parametrize(
    "text", ["model-1", "model-00000g", "model-ffffffff", f"model-{chr(0x660) * 6}", "1", ""]
)
def test_another_id_is_not_there(text: str) -> None:
    with pytest.raises(NoSuchId):
        read_id(text)


@pytest.mark.parametrize(
    ("label", "version"),
    [("v1", "1.0.0"), ("2", "2.0.0"), ("v1.2", "v1.2"), ("1.2.3-rc.1", "1.2.3-rc.1"), ("01", "01")],
)
def test_a_lone_number_is_a_major_version(label: str, version: str) -> None:
    assert full_version(label) == version


@pytest.mark.parametrize(
    "note",
    [None, "v1", {}, {"label": 5, "name": None, "weight": "80"}, {"weight": BASIS_POINTS + 1}],
)
def test_a_note_that_others_have_edited_is_passed_over(note: object) -> None:
    details = VersionDetails(metadata={} if note is None else {NOTE: note})

    assert entry(1, "1.0.0", details) == Entry(
        version_id=1, version="1.0.0", name="quick-start", label="1.0.0", asked=0
    )


def test_a_note_is_read_as_it_was_written() -> None:
    (one,) = entries(80)

    assert entry(1, "1.0.0", VersionDetails(metadata={NOTE: one.note})) == one
