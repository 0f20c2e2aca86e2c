from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient

from tests.experiments.conftest import MODEL, Driver, plan
from tests.factories import counted
from turnout.experiments.domain.segments import compare_segments
from turnout.observations.domain.metric import Goal
from turnout.traffic.domain.split import Split

CUT = {
    "DE": {"1.0.0": counted(400, 280), "2.0.0": counted(400, 350)},
    "FR": {"1.0.0": counted(900, 630), "2.0.0": counted(900, 640)},
    "IT": {"1.0.0": counted(10, 5), "2.0.0": counted(10, 6)},
    "PT": {"2.0.0": counted(100, 60)},
}


def test_segments_are_compared_each_by_itself_the_largest_first() -> None:
    found = {segment.segment: segment for segment in compare_segments(plan(), CUT)}

    assert list(found) == ["FR", "DE", "PT", "IT"]
    assert found["DE"].effect == pytest.approx(0.175)
    low, high = found["DE"].interval
    assert low is not None
    assert high is not None
    assert 0 < low < 0.175 < high
    assert found["FR"].effect == pytest.approx(10 / 900)
    for few in ("PT", "IT"):
        assert found[few].p_value is None
        assert found[few].reason


def test_many_cuts_are_paid_for() -> None:
    found = [segment for segment in compare_segments(plan(), CUT) if segment.p_value is not None]
    raw, adjusted = zip(
        *((segment.p_value, segment.adjusted_p_value) for segment in found), strict=True
    )

    assert min(raw) < 0.001
    assert min(adjusted) == pytest.approx(2 * min(raw))


def test_no_segment_no_finding() -> None:
    assert compare_segments(plan(), {}) == ()


async def report(
    client: AsyncClient, split: Split, metric: str, *, every: int, units: int = 120
) -> None:
    """Half of the units are of either version, and of either country; every so many converts."""
    predictions: list[dict[str, Any]] = []
    outcomes: list[dict[str, Any]] = []
    for n in range(2 * units):
        variant = split.variants[n % 2]
        predictions.append(
            {
                "prediction_id": f"p-{n}",
                "version": variant.version,
                "split_id": split.id,
                "unit": f"user-{n}",
                "at": "2026-03-02T12:00:00Z",
                "features": {"country": "DE" if n % 4 < 2 else "FR"},
            }
        )
        if n % every == 0:
            outcomes.append({"prediction_id": f"p-{n}", "metric": metric, "value": 1})
    answer = await client.post(
        f"models/{MODEL}/observations",
        params={"atomic": True},
        json={"predictions": predictions, "outcomes": outcomes},
    )
    assert answer.status_code == 202, answer.text


async def test_a_goal_per_unit_counts_units_without_an_outcome(
    client: AsyncClient, driver: Driver
) -> None:
    goal = Goal(
        metric="conversion", direction="increase", per="unit", minimum_detectable_effect=0.05
    )
    experiment_id = await driver.under_way(goal=goal)
    await report(client, await driver.split(), "conversion", every=5)
    answer = await client.get(
        f"experiments/{experiment_id}/segments", params={"attribute": "country"}
    )

    assert answer.status_code == 200, answer.text
    cut = answer.json()
    assert (cut["attribute"], cut["metric"]) == ("country", "conversion")
    assert {part["segment"] for part in cut["segments"]} == {"DE", "FR"}
    for part in cut["segments"]:
        assert (part["control_units"], part["treatment_units"]) == (60, 60)
        assert part["control"] == pytest.approx(0.2)


async def test_a_goal_that_matures_is_cut_among_predictions_that_are_old_enough(
    client: AsyncClient, driver: Driver
) -> None:
    goal = Goal(metric="accuracy", minimum_detectable_effect=0.05, maturity=timedelta(hours=6))
    experiment_id = await driver.under_way(goal=goal)
    await report(client, await driver.split(), "accuracy", every=1)
    young, old = [
        (
            driver.clock.advance(timedelta(hours=3)),
            await client.get(
                f"experiments/{experiment_id}/segments", params={"attribute": "country"}
            ),
        )[1]
        for _ in range(2)
    ]

    assert young.json()["segments"] == []
    assert [part["control_units"] for part in old.json()["segments"]] == [60, 60]


async def test_a_draft_has_no_segments(client: AsyncClient, driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    identity: UUID = await driver.create()
    answer = await client.get(f"experiments/{identity}/segments", params={"attribute": "country"})

    assert answer.json()["segments"] == []
