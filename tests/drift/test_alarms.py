"""Stories of models under watch: what moves, whose fault it is, who is told, and how often."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.drift.conftest import Row, expects, spread
from tests.monitoring.conftest import MINUTE, MODEL, Watchman
from turnout import db
from turnout.db import Sessions
from turnout.events.tables import EventRow
from turnout.monitoring import queries

BASELINE = {
    "features": {
        "amount": {"edges": [10, 50, 200], "counts": [2500, 2500, 2500, 2500]},
        "country": {"categories": {"DE": 5000, "FR": 5000}},
    },
    "prediction": {"categories": {"ok": 9000, "fraud": 1000}},
    "accuracy": 0.95,
}
USUAL = spread([5, 20, 100, 500], ["DE", "FR"], 400)
EXPENSIVE = spread([500, 600, 100, 700], ["DE", "FR"], 400)
ANSWERS = ["ok"] * 9 + ["fraud"]


async def said(
    watchman: Watchman, answers: Mapping[str, Sequence[Row]], classes: Sequence[str] = ANSWERS
) -> None:
    """In one batch, as versions that answer at the same time are reported."""
    at = watchman.clock().isoformat()
    rows = [
        {
            "prediction_id": f"{version}-{at}-{k}",
            "version": version,
            "at": at,
            "features": row,
            "class": classes[k % len(classes)],
        }
        for version, features in answers.items()
        for k, row in enumerate(features)
    ]
    await watchman.post(f"models/{MODEL}/observations", {"predictions": rows})
    await watchman.worker.fold()


async def two_versions(watchman: Watchman, **drift: Any) -> None:
    """Both answer half of the traffic, and are held against the same baseline."""
    await watchman.release("1.0.0", "2.0.0")
    answer = await watchman.client.put(
        f"models/{MODEL}/split",
        json={
            "strategy": "sticky",
            "variants": [
                {"name": "a", "version": "1.0.0", "weight": 50},
                {"name": "b", "version": "2.0.0", "weight": 50},
            ],
        },
    )
    assert answer.is_success, answer.text
    for version in ("1.0.0", "2.0.0"):
        await expects(watchman, version, BASELINE)
    await watchman.watch({"drift": drift})


async def test_a_version_that_is_fed_other_values_is_named_once(watchman: Watchman):
    await two_versions(watchman)
    await said(watchman, {"1.0.0": USUAL, "2.0.0": USUAL})
    await watchman.beat(3, every=MINUTE)
    quiet = await watchman.alerts()
    await said(watchman, {"1.0.0": USUAL, "2.0.0": EXPENSIVE * 3})
    await watchman.beat(3, every=MINUTE)
    (alert,) = await watchman.alerts("firing")

    assert quiet == []
    assert alert["kind"] == "drift"
    assert alert["subject"] == f"models/{MODEL}/versions/2.0.0"
    assert alert["data"]["features"] == ["amount"]
    assert alert["data"]["whose"] == "version"
    assert alert["data"]["report"] == f"/api/v1/models/{MODEL}/drift.html"
    assert "amount: PSI" in alert["summary"]
    assert "200 or more" in alert["summary"]


async def test_the_drift_of_the_world_is_one_alert_and_blames_no_version(watchman: Watchman):
    await two_versions(watchman)
    await said(watchman, {"1.0.0": EXPENSIVE, "2.0.0": EXPENSIVE})
    await watchman.beat(3, every=MINUTE)
    (alert,) = await watchman.alerts("firing")

    assert alert["subject"] == f"models/{MODEL}"
    assert alert["data"]["whose"] == "world"
    assert "the world has moved" in alert["summary"]


async def test_what_moved_back_resolves_and_what_nearly_did_does_not(watchman: Watchman):
    await two_versions(watchman, window="1h")
    await said(watchman, {"1.0.0": EXPENSIVE, "2.0.0": EXPENSIVE})
    await watchman.beat(2, every=MINUTE)
    fired = await watchman.alerts("firing")
    watchman.clock.advance(timedelta(hours=3))
    await watchman.beat(2, every=MINUTE)
    silent = await watchman.alerts("firing")
    await said(watchman, {"1.0.0": USUAL, "2.0.0": USUAL})
    await watchman.beat(3, every=MINUTE)

    assert len(fired) == 1
    assert [one["id"] for one in silent] == [one["id"] for one in fired], "no data is no good data"
    assert await watchman.alerts() == []


async def test_the_world_takes_no_version_off_the_road_and_retraining_is_asked_for_once(
    watchman: Watchman, session: AsyncSession
):
    await two_versions(watchman, action="retrain")
    await said(watchman, {"1.0.0": EXPENSIVE, "2.0.0": EXPENSIVE}, ["fraud"])
    await watchman.beat(4, every=MINUTE)
    query = select(EventRow.subject).where(EventRow.type == "retraining.requested")
    asked = (await session.scalars(query)).all()
    await watchman.watch({"drift": {"action": "rollback"}})
    await watchman.beat(3, every=MINUTE)

    assert len(asked) == 2, "for the features once, and for the answers once"
    assert await watchman.serving() == {"1.0.0": 50, "2.0.0": 50}


async def test_a_version_whose_own_answers_moved_is_taken_off_the_road(watchman: Watchman):
    await two_versions(watchman, action="rollback")
    await said(watchman, {"1.0.0": USUAL})
    await said(watchman, {"2.0.0": USUAL}, ["fraud"])
    await watchman.client.delete(f"models/{MODEL}/split")
    await watchman.beat(3, every=MINUTE)
    alerts = await watchman.alerts()

    assert [alert["data"]["metric"] for alert in alerts][-1:] == ["prediction_drift"]
    assert alerts[-1]["data"]["whose"] == "version"


async def test_traffic_that_stays_away_is_noticed_by_the_hours_of_earlier_weeks(
    watchman: Watchman,
):
    await watchman.release("1.0.0")
    start = watchman.clock()
    for week in range(5):
        watchman.clock.now = start + week * timedelta(days=7)
        n = 1000 + 10 * (week % 3)
        rows = [{"prediction_id": f"{week}-{k}", "version": "1.0.0"} for k in range(n)]
        await watchman.post(
            f"models/{MODEL}/observations", {"predictions": rows[: 5 if week == 4 else n]}
        )
        await watchman.worker.fold()
    await watchman.watch({"drift": {}})
    watchman.clock.advance(timedelta(hours=1, minutes=10))
    await watchman.beat(2, every=MINUTE)
    (alert,) = await watchman.alerts("firing")

    assert alert["data"]["metric"] == "traffic_deviation"
    assert "below the 1,0" in alert["summary"]


async def test_accuracy_is_held_against_the_baseline(watchman: Watchman):
    await watchman.release("1.0.0")
    await expects(watchman, "1.0.0", BASELINE)
    await watchman.watch({"drift": {}})
    await watchman.traffic("1.0.0", 400, wrong=80)
    await watchman.beat(2, every=MINUTE)
    (alert,) = await watchman.alerts("firing")

    assert alert["data"]["metric"] == "accuracy_drop"
    assert alert["data"]["value"] == 0.95 - 0.8
    assert "95.0% in the baseline" in alert["summary"]


async def test_two_workers_look_once_and_tell_once(live_watchman: Watchman, sessions: Sessions):
    watchman = live_watchman
    await two_versions(watchman)
    await said(watchman, {"1.0.0": USUAL, "2.0.0": EXPENSIVE})
    other = replace(watchman.worker)
    for _ in range(3):
        watchman.clock.advance(MINUTE)
        await asyncio.gather(watchman.worker.watch(), other.watch(), watchman.worker.watch())

    assert len(await watchman.alerts("firing")) == 1
    async with db.transaction(sessions) as session:
        query = select(EventRow.id).where(EventRow.type == "alert.firing")
        assert len((await session.scalars(query)).all()) == 1


async def test_models_that_serve_nothing_keep_no_others_waiting(
    watchman: Watchman, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(queries, "MOST_FOR_DRIFT", 1)
    for number in range(2):
        await watchman.post("models", {"name": f"idle-{number}"})
        await watchman.watch({"drift": {}}, model=f"idle-{number}")
    await two_versions(watchman)
    await said(watchman, {"1.0.0": USUAL, "2.0.0": EXPENSIVE})
    await watchman.beat(2, every=MINUTE)

    assert len(await watchman.alerts("firing")) == 1
