from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.conftest import Clock
from tests.factories import NOON, prediction, version
from turnout.observations import commands
from turnout.observations.domain.prediction import Prediction
from turnout.registry.domain.version import VersionRef

MODEL = "models/fraud-detection"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def fold(session: AsyncSession, found: VersionRef, rows: Iterable[Prediction]) -> None:
    await commands.record_predictions(session, found.model_id, list(rows), now=NOON)
    await commands.fold(session, now=NOON)
    await session.commit()


async def get(client: AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"{MODEL}/performance{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def split(client: AsyncClient, *versions: str) -> int:
    share = 100 / len(versions)
    body = {"variants": [{"version": one, "weight": share} for one in versions]}
    answer = await client.put(f"{MODEL}/split", json=body)
    assert answer.is_success, answer.text
    identity: int = answer.json()["split_id"]
    return identity


async def test_the_last_predictions_of_what_serves(
    client: AsyncClient, session: AsyncSession, clock: Clock
):
    one = await version(session, "1.0.0")
    await session.commit()
    split_id = await split(client, "1.0.0")
    rows = [
        prediction(version_id=one.id, split_id=split_id, unit=f"u{n}", at=NOON - n * MINUTE)
        for n in range(10)
    ]
    await fold(session, one, rows)
    bought = {"outcomes": [{"unit": "u1", "metric": "revenue", "value": 30}]}
    await client.post(f"{MODEL}/observations", json=bought)
    clock.advance(MINUTE)
    await commands.fold(session, now=clock())

    (last,) = (await get(client, "", last=4))["versions"]
    (hour,) = (await get(client, "", window="1h"))["versions"]

    assert (last["predictions"], hour["predictions"]) == (4, 10)
    assert last["outcomes"] == hour["outcomes"]
    assert last["outcomes"]["revenue"] == {
        "mean": 30,
        "reported": 1,
        "per_unit": 3,
        "units": 10,
    }


async def test_intervals_of_hours_and_days_begin_at_the_full_hour_and_at_midnight(
    client: AsyncClient, session: AsyncSession, clock: Clock
):
    one = await version(session, "1.0.0")
    rows = [prediction(version_id=one.id, at=NOON - n * HOUR / 2) for n in range(96)]
    await fold(session, one, rows)
    clock.advance(59 * MINUTE)

    hours = (await get(client, "/history", window="3h"))["points"]
    days = (await get(client, "/history", window="2d", interval="1d"))["points"]

    assert [(point["starts"][11:16], point["performance"]["predictions"]) for point in hours] == [
        ("10:00", 2),
        ("11:00", 2),
        ("12:00", 1),
    ]
    assert [(point["starts"][:16], point["performance"]["predictions"]) for point in days] == [
        ("2026-03-01T00:00", 48),
        ("2026-03-02T00:00", 25),
    ]


async def test_history_has_a_point_for_each_interval(client: AsyncClient, session: AsyncSession):
    one = await version(session, "1.0.0")
    rows = [
        prediction(version_id=one.id, at=NOON - n * MINUTE, error="e" if n < 15 else None)
        for n in range(60)
    ]
    await fold(session, one, rows)

    points = (await get(client, "/history", window="1h", interval="15m"))["points"]

    assert [point["starts"] for point in points] == [
        "2026-03-02T11:01:00Z",
        "2026-03-02T11:16:00Z",
        "2026-03-02T11:31:00Z",
        "2026-03-02T11:46:00Z",
    ]
    assert [point["performance"]["error_rate"] for point in points] == [0, 0, 0, 1]
    assert {point["performance"]["predictions"] for point in points} == {15}


async def test_a_trend_says_whether_it_gets_better(client: AsyncClient, session: AsyncSession):
    one = await version(session, "1.0.0")
    rows = [
        prediction(
            version_id=one.id,
            at=NOON - hour * HOUR,
            latency_ms=100.0 - hour + k,
            error="e" if k == hour % 3 else None,
        )
        for hour in range(24)
        for k in range(3)
    ]
    await fold(session, one, rows)

    found = {trend["metric"]: trend for trend in (await get(client, "/trends"))["trends"]}

    slower, errors = found["latency_mean"], found["error_rate"]
    assert slower["slope"] == pytest.approx(1)
    assert (slower["direction"], slower["assessment"]) == ("rising", "worsening")
    assert errors["assessment"] == "unclear"
    assert set(found) == {"latency_mean", "error_rate"}


async def served(
    client: AsyncClient, session: AsyncSession, *, each: int, failed: tuple[int, int]
) -> None:
    """Two versions share the traffic, one unit per prediction."""
    versions = [await version(session, text) for text in ("1.0.0", "2.0.0")]
    await session.commit()
    split_id = await split(client, "1.0.0", "2.0.0")
    rows = [
        prediction(
            version_id=found.id,
            split_id=split_id,
            unit=f"{found.version}-{k}",
            error="e" if k < errors else None,
        )
        for found, errors in zip(versions, failed, strict=True)
        for k in range(each)
    ]
    await fold(session, versions[0], rows)


@pytest.mark.parametrize(
    ("each", "failed", "best", "words"),
    [
        pytest.param(12, (6, 0), None, "12 units show nothing yet", id="twelve requests"),
        pytest.param(500, (25, 30), None, "0 is among that", id="what chance explains"),
        pytest.param(500, (100, 20), "2.0.0", "2.0.0 does best", id="a clear difference"),
        pytest.param(500, (0, 0), None, "no unit differs", id="nothing differs"),
    ],
)
async def test_a_comparison_says_what_is_shown(
    client: AsyncClient,
    session: AsyncSession,
    each: int,
    failed: tuple[int, int],
    *,
    best: str | None,
    words: str,
):
    await served(client, session, each=each, failed=failed)
    found = await get(client, "/comparison", versions="1.0.0,2.0.0")

    assert found["best"] == best
    assert words in found["recommendation"]
    (contest,) = found["contests"]
    assert (contest["units"], contest["against_units"]) == (each, each)


async def test_versions_that_never_met_are_not_compared(client: AsyncClient, session: AsyncSession):
    for text in ("1.0.0", "2.0.0"):
        found = await version(session, text)
        await session.commit()
        split_id = await split(client, text)
        rows = [
            prediction(version_id=found.id, split_id=split_id, unit=f"{text}-{k}", error="e")
            for k in range(100)
        ]
        await fold(session, found, rows)

    compared = await get(client, "/comparison", versions="1.0.0,2.0.0")

    assert compared["best"] is None
    assert "did not share the traffic" in compared["recommendation"]


async def test_a_plus_sign_in_a_version_need_not_be_encoded(
    client: AsyncClient, session: AsyncSession
):
    for text in ("1.0.0+cpu", "1.0.0+gpu"):
        await version(session, text)
    await session.commit()
    answer = await client.get(
        f"{MODEL}/performance/comparison?versions=1.0.0+cpu,1.0.0+gpu&metric=accuracy"
    )

    (contest,) = answer.json()["contests"]
    assert (contest["against"], contest["version"]) == ("1.0.0+cpu", "1.0.0+gpu")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("/comparison?versions=1.0.0", "2 to 10", id="one version"),
        pytest.param("/comparison?versions=1.0.0,1.0.0", "2 to 10", id="one version twice"),
        pytest.param("/comparison?versions=1.0.0,v1.0.0", "2 to 10", id="one under two names"),
        pytest.param(
            f"/comparison?versions=1.0.0,{','.join(f'{n}.0.0' for n in range(1, 12))}",
            "2 to 10",
            id="eleven versions, one of them twice",
        ),
        pytest.param("/comparison?versions=1.0.0,2.0.0&metric=sales", "direction", id="own"),
        pytest.param("/history?interval=10s", "whole minutes", id="part of a minute"),
        pytest.param("/history?window=7d&interval=1m", "500 points", id="too many points"),
        pytest.param("/history?window=8d", "7 days", id="too far back"),
        pytest.param("/trends?hours=1000", "168", id="too many hours"),
        pytest.param("?last=0", "greater than", id="none at all"),
    ],
)
async def test_refusals_say_what_would_be_right(
    client: AsyncClient, session: AsyncSession, path: str, words: str
):
    for text in ("1.0.0", "2.0.0"):
        await version(session, text)
    await session.commit()
    answer = await client.get(f"{MODEL}/performance{path}")

    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
