"""The client chooses as the service does: the same rules, on the service's own documents."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import split
from tests.traffic.test_documents import VECTORS
from turnout.buckets import BUCKETS
from turnout.client.routing import Choice, Reason, Route, RouteDocument
from turnout.quantities import BASIS_POINTS
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.draws import draws
from turnout.traffic.domain.overrides import NO_OVERRIDES, Overrides, Pin, Rule
from turnout.traffic.domain.split import Split, Spread

WEIGHTS = [
    {"a": 10_000},
    {"a": 7_000, "b": 3_000},
    {"a": 0, "b": 10_000},
    {"a": 9_999, "b": 1},
    {"a": 3_334, "b": 0, "c": 3_333, "d": 3_333},
]
VERSIONS = ["1.0.0", "2.0.0", "9.0.0"]
ATTRIBUTES = [None, {}, {"country": "DE"}, {"country": "FR", "premium": True}, {"premium": 1}]


def document(of: Split, overrides: Overrides = NO_OVERRIDES) -> RouteDocument:
    return {
        "model": "fraud-detection",
        "split_id": of.id,
        "strategy": of.strategy.value,
        "salt": of.salt,
        "owner": {"kind": of.owner.kind, "id": of.owner.id},
        "experiment": "key",
        "variants": [
            {
                "name": variant.name,
                "version": variant.version,
                "buckets": of.buckets.get(variant.version_id),
            }
            for variant in of.variants
        ],
        "pins": [{"unit": pin.unit, "version": pin.version} for pin in overrides.pins],
        "rules": [
            {"attribute": rule.attribute, "values": rule.values, "version": rule.version}
            for rule in overrides.rules
        ],
    }


def parts(choice: Choice) -> tuple[str, str, str, int | None]:
    return choice.version, choice.variant, choice.reason, choice.split_id


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("strategy", [Spread.STICKY, Spread.CANARY, Spread.ROUND_ROBIN])
def test_it_agrees_with_the_service(weights: dict[str, int], strategy: Spread):
    of = split(weights, strategy=strategy, shadow="copy")
    route, draw = Route(document(of)), draws(of)

    for n in range(1_000):
        unit = f"user-{n}"
        answer = assign(of, NO_OVERRIDES, unit=unit, attributes={}, draw=draw())
        expected = (answer.version, answer.variant, answer.reason, answer.split_id)
        assert parts(route.choose(unit, None)) == expected


def test_what_is_drawn_at_random_keeps_to_the_weights():
    route = Route(document(split({"a": 7_000, "b": 3_000}, strategy=Spread.RANDOM)))

    drawn = [route.choose("always-the-same", None).variant for _ in range(10_000)]

    assert 6_700 < drawn.count("a") < 7_300  # more than six standard deviations


overrides = st.builds(
    Overrides,
    pins=st.lists(
        st.builds(Pin, unit=st.sampled_from("abc"), version=st.sampled_from(VERSIONS)),
        unique_by=lambda pin: pin.unit,
        max_size=3,
    ).map(tuple),
    rules=st.lists(
        st.builds(
            Rule,
            attribute=st.sampled_from(["country", "premium"]),
            values=st.lists(st.sampled_from(["DE", "FR", 1, True]), min_size=1).map(tuple),
            version=st.sampled_from(VERSIONS),
        ),
        max_size=3,
    ).map(tuple),
    version_ids=st.just({"1.0.0": 1, "2.0.0": 2, "9.0.0": 9}),
)


@given(overrides, st.sampled_from([None, *"abcd"]), st.sampled_from(ATTRIBUTES))
def test_pins_and_rules_go_before_the_split_as_in_the_service(before, unit, attributes):
    of = split({"a": 5_000, "b": 5_000}, strategy=Spread.ROUND_ROBIN)
    route = Route(document(of, before))

    answer = assign(of, before, unit=unit, attributes=attributes or {}, draw=draws(of)())

    expected = (answer.version, answer.variant, answer.reason, answer.split_id)
    assert parts(route.choose(unit, attributes)) == expected


@pytest.mark.parametrize("value", [True, False, 1, 0, 2.5])
def test_numpy_scalars_are_what_they_are_in_json(value):
    rule = Rule(attribute="premium", values=(value,), version="9.0.0")
    before = Overrides(pins=(), rules=(rule,), version_ids={"9.0.0": 9})
    route = Route(document(split({"a": 10_000}), before))

    for given_as in (True, False, 1, 0, 2.5):
        same = type(given_as) is type(value) and given_as == value
        scalar: Any = np.asarray(given_as)[()]
        chosen = route.choose("user", {"premium": scalar})
        assert (chosen.version == "9.0.0") == same


@pytest.mark.parametrize(("salt", "unit", "digest", "expected"), VECTORS)
def test_it_keeps_to_the_published_vectors(salt: str, unit: str, digest: str, expected: str):
    edge = int(expected)
    of = split({"below": edge, "from": BASIS_POINTS - edge}, salt=salt)
    just_behind = split({"to": edge + 1, "above": BASIS_POINTS - edge - 1}, salt=salt)

    assert Route(document(of)).choose(json.loads(unit), None).variant == "from"
    assert Route(document(just_behind)).choose(json.loads(unit), None).variant == "to"


def test_a_unit_that_is_no_text_is_said_to_be_none():
    route = Route(document(split({"a": 5_000, "b": 5_000})))

    with pytest.raises(TypeError, match=r"a unit is text, such as str\(42\)"):
        route.choose(42, None)  # type: ignore[arg-type]


def test_turns_count_on_while_the_split_stays():
    made = document(split({"a": 5_000, "b": 5_000}, strategy=Spread.ROUND_ROBIN))
    route = Route(made)
    first = [route.choose(None, None).variant for _ in range(3)]

    after = Route(made, route)

    assert [*first, after.choose(None, None).variant] in (
        ["a", "b", "a", "b"],
        ["b", "a", "b", "a"],
    )


def test_only_an_experiment_that_draws_is_named():
    drawn = Route(document(split({"a": 5_000, "b": 5_000}))).choose("user-1", None)
    single = Route(document(split({"a": BUCKETS}))).choose("user-1", None)

    assert (drawn.experiment, drawn.reason) == ("key", Reason.SPLIT)
    assert (single.experiment, single.reason) == (None, Reason.SINGLE)


def test_every_version_that_it_may_lead_to_is_known():
    before = Overrides(pins=(Pin(unit="tester", version="9.0.0"),), version_ids={"9.0.0": 9})

    route = Route(document(split({"a": 10_000, "b": 0}, shadow="copy"), before))

    assert route.versions == {"1.0.0", "2.0.0", "9.0.0"}


def test_a_choice_carries_what_is_recorded_with_it():
    route = Route(document(split({"a": 10_000})))

    choice = route.choose("user-1", {"country": "DE"})

    assert (choice.unit, choice.attributes) == ("user-1", {"country": "DE"})
    assert parts(Choice.forced("fraud-detection", "3.0.0")) == ("3.0.0", "3.0.0", "forced", None)
