from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.alerts.test_commands import MINUTE, all_alerts, fire
from turnout.alerts.domain import Severity


async def listed(client: AsyncClient, **query: Any) -> list[int]:
    answer = await client.get("alerts", params=query)
    assert answer.status_code == 200, answer.text
    return [alert["id"] for alert in answer.json()["items"]]


async def test_alerts_are_found_by_state_model_and_severity(
    client: AsyncClient, session: AsyncSession
):
    await fire(session)
    await fire(session, cause="b", model="churn-predictor", severity=Severity.WARNING)
    await fire(session, cause="c", model=None)
    await session.commit()
    first, second, third = [alert.id for alert in await all_alerts(session)]
    await client.post(f"alerts/{first}/acknowledge")
    await client.post(f"alerts/{third}/resolve")

    assert await listed(client) == [third, second, first]
    assert await listed(client, state="open") == [second, first]
    assert await listed(client, state="acknowledged") == [first]
    assert await listed(client, state="resolved") == [third]
    assert await listed(client, model="churn-predictor", severity="warning") == [second]
    assert await listed(client, model="never-heard-of") == []
    page = (await client.get("alerts", params={"limit": 2})).json()
    assert await listed(client, limit=2, cursor=page["next_cursor"]) == [first]


async def test_an_alert_tells_its_story(client: AsyncClient, session: AsyncSession):
    await fire(session)
    await session.commit()
    (alert,) = await all_alerts(session)
    quiet = {"duration": "1h", "reason": "the fix is on its way"}
    await client.post(f"alerts/{alert.id}/silence", json=quiet)
    said = await client.post(f"alerts/{alert.id}/acknowledge", json={"reason": "on it"})
    again = await client.post(f"alerts/{alert.id}/acknowledge")

    view = said.json()
    assert view == (await client.get(f"alerts/{alert.id}")).json()
    assert view["summary"] == "1.0.0 fails 7 % of the time"
    assert (view["state"], view["acknowledged_by"]) == ("acknowledged", "developer")
    assert view["silenced_until"] == "2026-03-02T13:00:00Z"
    assert [change["state"] for change in view["history"]] == ["firing", "acknowledged"]
    assert again.status_code == 409
    assert again.json()["acknowledged_by"] == "developer"


async def test_a_silence_is_listed_until_it_is_lifted(client: AsyncClient, clock):
    body = {"model": "fraud-detection", "duration": "2h", "reason": "the feature store moves"}
    made = await client.post("silences", json=body)
    clock.advance(MINUTE)

    assert made.status_code == 201
    assert (await client.get("silences")).json()["items"] == [made.json()]
    path = f"silences/{made.json()['id']}"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get("silences")).json()["items"] == []
    assert (await client.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("request_line", "body", "status", "words"),
    [
        pytest.param("GET alerts/4711", None, 404, "no alert 4711", id="unknown alert"),
        pytest.param("GET alerts/0", None, 422, "greater than", id="no number of an alert"),
        pytest.param("GET alerts?state=burning", None, 422, "'open'", id="unknown state"),
        pytest.param("GET alerts?model=%00", None, 422, "invisible", id="unprintable model"),
        pytest.param("GET alerts?cursor=WyJhIl0", None, 422, "next_cursor", id="alien cursor"),
        pytest.param(
            "POST silences",
            {"duration": "1h", "reason": "quiet"},
            422,
            "which alerts",
            id="a silence of everything",
        ),
        pytest.param(
            "POST alerts/1/silence",
            {"duration": 0, "reason": "quiet"},
            422,
            "above 0",
            id="a silence of no length",
        ),
    ],
)
async def test_refusals_say_what_would_be_right(
    client: AsyncClient, request_line: str, body: Any, status: int, words: str
):
    method, path = request_line.split(" ", 1)
    answer = await client.request(method, path, json=body)

    assert answer.status_code == status
    assert words in answer.json()["detail"]
