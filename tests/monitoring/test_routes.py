from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.monitoring.conftest import MINUTE, MODEL, Watchman
from turnout.access.tables import AuditEntry
from turnout.monitoring import examples

PATH = f"models/{MODEL}/thresholds"
WARN = {"metric": "error_rate", "max": 0.05, "window": "5m"}


async def test_nothing_is_watched_until_it_is_set(watchman: Watchman):
    await watchman.release("1.0.0")

    assert await watchman.get(PATH) == {
        "model": MODEL,
        "rules": [],
        "set_at": None,
        "set_by": None,
        "watches": [],
    }


@pytest.mark.parametrize("name", examples.THRESHOLDS)
async def test_the_examples_work_as_they_are(watchman: Watchman, name: str):
    await watchman.release("1.0.0")
    view = await watchman.watch(examples.THRESHOLDS[name]["value"])

    assert len(view["watches"]) == len(view["rules"])
    assert {watch["verdict"] for watch in view["watches"]} <= {"no_data"}
    assert view["rules"] == (await watchman.get(PATH))["rules"]


async def test_how_a_rule_stands_is_shown_with_its_figure(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.watch({"rules": [WARN]})
    await watchman.traffic("1.0.0", 100, errors=12)
    await watchman.beat()
    (watch,) = (await watchman.get(PATH))["watches"]

    assert (watch["version"], watch["rule"]) == ("1.0.0", "error_rate at most 0.05")
    assert (watch["verdict"], watch["value"], watch["predictions"]) == ("fail", 0.12, 100)
    assert watch["firing"]
    assert watch["reason"] == "error_rate 12.0% over 100 predictions"


async def test_an_alert_resolves_once_its_window_has_passed_and_data_is_good(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.watch({"rules": [WARN]})
    await watchman.traffic("1.0.0", 100, errors=12)
    await watchman.beat()
    (fired,) = await watchman.alerts("firing")
    await watchman.beat(10, every=MINUTE)
    silent = await watchman.alerts("firing")
    for _ in range(3):
        await watchman.traffic("1.0.0", 100)
        await watchman.beat(1, every=MINUTE)

    assert [alert["id"] for alert in silent] == [fired["id"]], "no data is no good data"
    assert await watchman.alerts() == []
    (resolved,) = await watchman.alerts("resolved")
    assert resolved["id"] == fired["id"]


async def test_a_rule_that_is_taken_back_takes_its_alert_with_it(
    watchman: Watchman, session: AsyncSession
):
    await watchman.release("1.0.0")
    await watchman.watch({"rules": [WARN, WARN | {"max": 0.1, "severity": "critical"}]})
    await watchman.traffic("1.0.0", 100, errors=12)
    await watchman.beat()
    assert len(await watchman.alerts("firing")) == 2
    await watchman.watch({"rules": [WARN], "reason": "too strict"})
    await watchman.beat()

    (left,) = await watchman.alerts("firing")
    assert left["data"]["limit"] == 0.05
    query = select(AuditEntry).where(AuditEntry.action == "thresholds.set")
    first, second = (await session.scalars(query.order_by(AuditEntry.id))).all()
    assert first.before is None
    assert second.before == first.after
    assert (second.subject, second.reason) == (PATH, "too strict")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(
            {"rules": [{"metric": "speed", "max": 1, "last": 9}]}, "latency_p99", id="no metric"
        ),
        pytest.param({"rules": [WARN | {"max": 5}]}, "0.05 for 5 %", id="percent"),
        pytest.param({"rules": [WARN | {"action": "explode"}]}, "rollback", id="no action"),
        pytest.param({"rules": [WARN, WARN]}, "say the same", id="twice"),
        pytest.param({"rules": [WARN | {"last": 0}]}, "greater than", id="nothing looked at"),
        pytest.param({"standard": {"min_accuracy": 80}}, "less than", id="percent in the standard"),
        pytest.param({"limits": []}, "unknown field", id="unknown field"),
    ],
)
async def test_a_refusal_says_what_would_be_right(watchman: Watchman, body: Any, words: str):
    await watchman.release("1.0.0")
    answer = await watchman.client.put(PATH, json=body)

    assert answer.status_code == 422, answer.text
    assert words in answer.text
    assert (await watchman.client.put("models/nobody/thresholds", json={})).status_code == 404


async def test_labels_that_nobody_reports_are_looked_for_less_often(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.watch({"rules": [{"metric": "accuracy", "min": 0.8, "last": 100}]})
    await watchman.traffic("1.0.0", 100)
    await watchman.beat()
    await watchman.traffic("1.0.0", 100, wrong=90)
    await watchman.beat()
    soon = await watchman.alerts("firing")
    await watchman.beat(10)

    assert soon == []
    assert len(await watchman.alerts("firing")) == 1
