"""Swagger's examples work as they are sent; and what is set there shows where it should."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.rollouts.conftest import Driver
from tests.rollouts.requests import START, started, started_anew
from turnout.rollouts import examples


@pytest.mark.parametrize("name", examples.LAUNCH)
async def test_every_example_of_a_start_works_as_sent(
    client: AsyncClient, driver: Driver, name: str
) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    answer = await client.post(START, json=examples.LAUNCH[name]["value"])

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("verb", "named"),
    [
        ("promote", examples.PROMOTION),
        ("rollback", examples.ROLLBACK),
        ("pause", examples.PAUSE),
        ("skip", examples.SKIP),
        ("abort", examples.ABORT),
    ],
)
async def test_every_example_of_a_verb_works_as_sent(
    client: AsyncClient, driver: Driver, verb: str, named: dict[str, Any]
) -> None:
    for example in named.values():
        view = await started_anew(client, driver)
        answer = await client.post(f"rollouts/{view['id']}/{verb}", json=example["value"])
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", examples.RETRY)
async def test_every_example_of_a_retry_works_as_sent(
    client: AsyncClient, driver: Driver, name: str
) -> None:
    view = await started(client, driver)
    verb = "abort" if name == "after an abort" else "rollback"
    await client.post(f"rollouts/{view['id']}/{verb}")
    answer = await client.post(f"rollouts/{view['id']}/retry", json=examples.RETRY[name]["value"])

    assert answer.status_code == 201, answer.text
    again = answer.json()
    assert (again["retries"], again["phase"], again["stage"]["index"]) == (
        view["id"],
        "running",
        0,
    )
    assert again["plan"] == view["plan"]


async def test_freeze_windows_are_answered_as_they_were_set(
    client: AsyncClient, driver: Driver
) -> None:
    await driver.register("1.0.0")
    path = "models/fraud-detection/freeze-windows"
    before = (await client.get(path)).json()
    for example in examples.FREEZE_WINDOWS.values():
        answer = await client.put(path, json=example["value"])
        assert answer.status_code == 200, answer.text
        assert (await client.get(path)).json() == answer.json()
        assert (await client.put(path, json=answer.json())).json() == answer.json()
    after = (await client.get(path)).json()

    assert before == after == {"zone": "UTC", "weekly": [], "once": [], "reason": None}


async def test_a_rollout_says_that_it_is_frozen_and_until_when(
    client: AsyncClient, driver: Driver
) -> None:
    view = await started(client, driver)
    window = {"days": ["monday"], "from": "09:00", "to": "17:00", "reason": "busy"}
    await client.put("models/fraud-detection/freeze-windows", json={"weekly": [window]})
    seen = (await client.get(f"rollouts/{view['id']}")).json()
    refused = await client.post(f"rollouts/{view['id']}/promote")

    assert seen["waiting_for"] == "frozen until 2026-03-02 17:00 UTC: busy"
    assert (refused.status_code, refused.json()["frozen_until"]) == (
        409,
        "2026-03-02T17:00:00+00:00",
    )


async def test_a_scheduled_rollout_says_when_it_starts(client: AsyncClient, driver: Driver) -> None:
    view = await started(client, driver, starts_at="2026-03-02T22:00:00+01:00")

    assert (view["phase"], view["weight"], view["baseline"]) == ("scheduled", 0, None)
    assert view["starts_at"] == "2026-03-02T21:00:00Z"
    assert view["waiting_for"] == "starts at 2026-03-02 21:00 UTC"
