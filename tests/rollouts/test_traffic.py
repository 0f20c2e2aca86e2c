from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from turnout.buckets import bucket
from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import VersionRef
from turnout.rollouts.domain.progress import Exposure
from turnout.rollouts.domain.traffic import variants
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Split, Spread

weights = st.integers(0, BASIS_POINTS)


def version(number: int) -> VersionRef:
    return VersionRef(
        id=number,
        model_id=1,
        model="fraud-detection",
        version=f"{number}.0.0",
        stage=Lifecycle.STAGING,
        runtime=ExternalRuntime(),
        artifact=None,
        signature=None,
        file_sha256=None,
    )


CANDIDATE, BASELINE = version(2), version(1)


def split(weight: int) -> Split:
    arms = variants(Exposure(weight=weight), CANDIDATE, BASELINE, ended=False)
    return replace(factories.split({"any": BASIS_POINTS}, strategy=Spread.CANARY), variants=arms)


def answering(split: Split, unit: str) -> int:
    return assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=0).version_id


@given(st.text(min_size=1), weights, weights)
def test_sticky_monotone(unit: str, a: int, b: int) -> None:
    small, large = sorted((a, b))

    if answering(split(small), unit) == CANDIDATE.id:
        assert answering(split(large), unit) == CANDIDATE.id


@pytest.mark.parametrize("weight", [500, 2_500, 5_000])
def test_sticky_uniform(weight: int) -> None:
    """Of 100,000 units a candidate gets its share, and another rollout chooses others."""
    units = [f"user-{number}" for number in range(100_000)]
    chosen = [{unit for unit in units if bucket(salt, unit) < weight} for salt in ("one", "two")]
    share = weight / BASIS_POINTS
    both = len(chosen[0] & chosen[1])

    for found in chosen:
        assert abs(len(found) - 100_000 * share) < 4.5 * (100_000 * share * (1 - share)) ** 0.5
    assert abs(both - 100_000 * share**2) < 4.5 * (100_000 * share**2 * (1 - share**2)) ** 0.5


@given(st.text(min_size=1))
def test_at_the_ends_one_version_answers_everybody(unit: str) -> None:
    assert answering(split(0), unit) == BASELINE.id
    assert answering(split(BASIS_POINTS), unit) == CANDIDATE.id


def test_a_shadow_answers_nobody_and_weighs_nothing() -> None:
    candidate, baseline = variants(
        Exposure(weight=0, shadow=True), CANDIDATE, BASELINE, ended=False
    )

    assert (candidate.shadow, candidate.weight) == (True, 0)
    assert (baseline.shadow, baseline.weight) == (False, BASIS_POINTS)


def test_when_it_is_over_one_version_is_left() -> None:
    (kept,) = variants(Exposure(weight=0), CANDIDATE, BASELINE, ended=True)
    (promoted,) = variants(Exposure(weight=BASIS_POINTS), CANDIDATE, BASELINE, ended=True)

    assert (kept.version, promoted.version) == ("1.0.0", "2.0.0")
