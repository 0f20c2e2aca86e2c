"""The laws of assignment, and what goes before the split."""

from collections import Counter
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import split
from turnout.buckets import bucket
from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import VersionRef
from turnout.traffic.domain.assignment import assign, fallback, forced
from turnout.traffic.domain.overrides import NO_OVERRIDES, Attribute, Overrides, Pin, Rule
from turnout.traffic.domain.split import Assignment, Reason, Split, Spread

UNITS = [f"user-{n}" for n in range(100_000)]

units = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable())
salts = st.text("0123456789abcdef", min_size=1, max_size=16)
draws = st.integers(0, BASIS_POINTS - 1)
ANY_SPREAD = st.sampled_from(Spread)


@st.composite
def weights(draw: st.DrawFn) -> dict[str, int]:
    """Any way to cut 10,000 basis points into one to six shares, empty ones included."""
    cuts = sorted(draw(st.lists(st.integers(0, BASIS_POINTS), max_size=5)))
    edges = [0, *cuts, BASIS_POINTS]
    return {f"v{n}": b - a for n, (a, b) in enumerate(pairwise(edges))}


def chosen(
    among: Split, unit: str | None, *, draw: int = 0, overrides: Overrides = NO_OVERRIDES
) -> Assignment:
    return assign(among, overrides, unit=unit, attributes={}, draw=draw)


@given(weights(), ANY_SPREAD)
def test_every_bucket_leads_to_a_known_version_in_proportion_to_its_weight(cut, strategy):
    made = split(cut, strategy=strategy)

    counted = Counter(chosen(made, None, draw=draw).variant for draw in range(BASIS_POINTS))

    assert {name: counted[name] for name in cut} == cut


@given(weights(), salts, units, draws, draws)
def test_the_same_unit_gets_the_same_variant_on_every_replica(cut, salt, unit, one, other):
    here, there = (split(cut, salt=salt, strategy=s) for s in (Spread.STICKY, Spread.CANARY))

    assert chosen(here, unit, draw=one) == chosen(there, unit, draw=other)


@given(
    weights(),
    st.data(),
    salts,
    st.lists(units, min_size=1, max_size=50),
)
def test_raising_one_weight_never_moves_a_unit_away_from_it(cut, data, salt, some):
    grown = data.draw(st.sampled_from(sorted(cut)))
    after = {name: data.draw(st.integers(0, weight)) for name, weight in cut.items()}
    after[grown] = BASIS_POINTS - sum(weight for name, weight in after.items() if name != grown)
    before_split, after_split = split(cut, salt=salt), split(after, salt=salt)

    for unit in some:
        if chosen(before_split, unit).variant == grown:
            assert chosen(after_split, unit).variant == grown


@pytest.mark.parametrize("weight", [1, 100, 500, 1_000, 2_500, 5_000, 9_000])
def test_a_share_of_many_units_is_within_binomial_bounds(weight):
    made = split({"candidate": weight, "baseline": BASIS_POINTS - weight})
    n, p = len(UNITS), weight / BASIS_POINTS

    count = sum(chosen(made, unit).variant == "candidate" for unit in UNITS)

    assert abs(count - n * p) <= 4 * sqrt(n * p * (1 - p))


def test_splits_with_different_salts_are_independent():
    one, other = (
        split({"candidate": 2_000, "baseline": 8_000}, salt=salt)
        for salt in ("8f14e45fceea167a", "c9f0f895fb98ab91")
    )
    n, p = len(UNITS), 0.2 * 0.2

    both = sum(
        chosen(one, unit).variant == chosen(other, unit).variant == "candidate" for unit in UNITS
    )

    assert abs(both - n * p) <= 4 * sqrt(n * p * (1 - p))


@given(salts, units)
def test_a_bucket_is_a_basis_point(salt, unit):
    assert 0 <= bucket(salt, unit) < BASIS_POINTS


@pytest.mark.parametrize("strategy", [Spread.RANDOM, Spread.ROUND_ROBIN])
def test_without_stickiness_the_draw_decides(strategy):
    made = split({"candidate": 5_000, "baseline": 5_000}, strategy=strategy)

    assert [chosen(made, "user-1", draw=draw).variant for draw in (0, 9_999)] == [
        "candidate",
        "baseline",
    ]


def test_a_request_without_a_unit_is_drawn_even_when_units_stick():
    made = split({"candidate": 5_000, "baseline": 5_000}, strategy=Spread.STICKY)

    assert chosen(made, None, draw=0).variant == "candidate"
    assert chosen(made, None, draw=9_999).variant == "baseline"


def test_a_shadow_is_never_chosen():
    made = split({"baseline": BASIS_POINTS}, shadow="candidate")

    assert {chosen(made, unit).variant for unit in UNITS[:1_000]} == {"baseline"}
    assert [variant.name for variant in made.shadows] == ["candidate"]


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        pytest.param({"a": 1, "b": 9_999}, Reason.SPLIT, id="two versions share the traffic"),
        pytest.param({"a": 10_000}, Reason.SINGLE, id="one version gets all of it"),
        pytest.param({"a": 0, "b": 10_000}, Reason.SINGLE, id="the other one has weight 0"),
    ],
)
def test_what_the_split_chose_counts_as_its_evidence(cut, reason):
    found = chosen(split(cut), "user-2")

    assert (found.reason, found.split_id) == (reason, 7)


PINNED = (Pin(unit="tester", version="2.0.0"),)
GERMANY = Rule(attribute="country", values=("DE", "AT"), version="2.0.0")
BETA = Rule(attribute="beta", values=(True,), version="3.0.0")
KNOWN = {"1.0.0": 1, "2.0.0": 2, "3.0.0": 3}


@pytest.mark.parametrize(
    ("unit", "attributes", "version", "reason"),
    [
        pytest.param("tester", {}, "2.0.0", Reason.PINNED, id="a pinned unit"),
        pytest.param("tester", {"beta": True}, "2.0.0", Reason.PINNED, id="a pin beats a rule"),
        pytest.param("anna", {"country": "DE"}, "2.0.0", Reason.TARGETED, id="a value that fits"),
        pytest.param(None, {"country": "AT"}, "2.0.0", Reason.TARGETED, id="no unit, yet a rule"),
        pytest.param(
            "anna",
            {"beta": True, "country": "DE"},
            "2.0.0",
            Reason.TARGETED,
            id="the first rule that fits",
        ),
        pytest.param("anna", {"beta": True}, "3.0.0", Reason.TARGETED, id="the second rule"),
        pytest.param("anna", {"country": "FR"}, "1.0.0", Reason.SINGLE, id="another value"),
        pytest.param("anna", {"country": ""}, "1.0.0", Reason.SINGLE, id="an empty value"),
        pytest.param("anna", {"beta": 1}, "1.0.0", Reason.SINGLE, id="1 is not true"),
        pytest.param("anna", {"beta": "true"}, "1.0.0", Reason.SINGLE, id="text is not true"),
        pytest.param(None, {}, "1.0.0", Reason.SINGLE, id="nothing known"),
    ],
)
def test_pins_go_before_rules_and_rules_before_the_split(
    unit: str | None, attributes: dict[str, Attribute], version: str, reason: Reason
):
    overrides = Overrides(pins=PINNED, rules=(GERMANY, BETA), version_ids=KNOWN)

    found = assign(
        split({"baseline": BASIS_POINTS}), overrides, unit=unit, attributes=attributes, draw=0
    )

    assert (found.version, found.version_id) == (version, KNOWN[version])
    assert found.reason is reason
    assert (found.split_id is None) == (reason is not Reason.SINGLE)


def test_an_override_names_the_variant_when_its_version_is_one():
    overrides = Overrides(pins=PINNED, version_ids=KNOWN)

    within = chosen(split({"a": 5_000, "b": 5_000}), "tester", overrides=overrides)
    outside = chosen(split({"a": BASIS_POINTS}), "tester", overrides=overrides)

    assert (within.variant, outside.variant) == ("b", "2.0.0")


@given(weights(), units, draws)
def test_what_aims_at_a_version_that_is_gone_is_passed_over(cut, unit, draw):
    overrides = Overrides(
        pins=(Pin(unit=unit, version="9.0.0"),),
        rules=(Rule(attribute="country", values=("DE",), version="9.0.0"),),
        version_ids={},
    )
    made = split(cut)

    found = assign(made, overrides, unit=unit, attributes={"country": "DE"}, draw=draw)

    assert found == chosen(made, unit, draw=draw)


def test_dropping_a_version_leaves_the_other_overrides():
    overrides = Overrides(pins=PINNED, rules=(GERMANY, BETA), version_ids=KNOWN)

    assert overrides.without(2) == Overrides(rules=(BETA,), version_ids={"1.0.0": 1, "3.0.0": 3})


def test_a_forced_version_need_not_be_in_the_split():
    named = VersionRef(
        id=9,
        model_id=1,
        model="fraud-detection",
        version="9.0.0",
        stage=Lifecycle.DEVELOPMENT,
        runtime=ExternalRuntime(),
        artifact=None,
        signature=None,
        file_sha256=None,
    )

    found = forced(split({"baseline": BASIS_POINTS}), named)

    assert found == Assignment(9, "9.0.0", "9.0.0", Reason.FORCED, None)


@pytest.mark.parametrize(
    ("cut", "failed", "instead"),
    [
        pytest.param({"candidate": 9_000, "baseline": 1_000}, "candidate", "baseline", id="canary"),
        pytest.param({"candidate": 10_000, "baseline": 0}, "candidate", "baseline", id="baking"),
        pytest.param({"x": 5_000, "control": 5_000}, "x", "control", id="experiment"),
        pytest.param({"x": 3_000, "y": 7_000}, "x", "y", id="by hand: the larger share"),
        pytest.param({"x": 3_000, "y": 7_000}, "y", None, id="the larger share itself failed"),
        pytest.param({"baseline": 10_000}, "baseline", None, id="nothing else serves"),
    ],
)
def test_a_failure_is_answered_by_the_steadiest_variant(
    cut: dict[str, int], failed: str, instead: str | None
):
    made = split(cut)
    one = next(answer for answer in made.answers if answer.variant == failed)

    found = fallback(made, one)

    assert (found and found.variant) == instead
    assert found is None or (found.reason, found.split_id) == (Reason.FALLBACK, None)
