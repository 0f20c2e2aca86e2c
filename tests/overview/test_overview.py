from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tests.conftest import Clock
from turnout.alerts.commands import fire
from turnout.alerts.domain import Kind, Severity
from turnout.db import Sessions
from turnout.overview.domain import Health, health
from turnout.settings import Settings
from turnout.worker import Worker

AT_ONCE = [{"weight": 100, "bake": 0, "guardrails": []}]
SLOWLY = [{"weight": 10, "bake": "1h", "guardrails": []}]


@pytest.mark.parametrize(
    ("alerts", "serves", "waits", "expected"),
    [
        pytest.param({}, True, False, Health.OK, id="it answers and nothing is wrong"),
        pytest.param({}, False, False, Health.IDLE, id="nothing answers"),
        pytest.param({}, True, True, Health.ATTENTION, id="something waits for a person"),
        pytest.param({Severity.WARNING: 1}, True, False, Health.ATTENTION, id="a warning"),
        pytest.param({Severity.CRITICAL: 1}, False, True, Health.CRITICAL, id="worst wins"),
    ],
)
def test_health(alerts: dict[Severity, int], serves: bool, waits: bool, expected: Health):
    assert health(alerts, serves=serves, waits=waits) is expected


@pytest.fixture
def worker(joined: Sessions, settings: Settings, clock: Clock) -> Worker:
    return Worker(settings=settings, sessions=joined, clock=clock)


@pytest.fixture
async def statements(connection: AsyncConnection) -> AsyncIterator[list[str]]:
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    yield sent
    event.remove(connection.sync_connection, "before_cursor_execute", note)


async def post(client: AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def released(client: AsyncClient, worker: Worker, clock: Clock, model: str) -> None:
    for version in ("1.0.0", "2.0.0"):
        await post(client, f"models/{model}/versions", {"version": version})
    await post(client, f"models/{model}/rollouts", {"candidate": "1.0.0", "stages": AT_ONCE})
    clock.advance(timedelta(seconds=1))
    await worker.tick()


async def overview(client: AsyncClient, **query: Any) -> Any:
    answer = await client.get("overview", params=query)
    assert answer.is_success, answer.text
    return answer.json()


async def test_everything_is_in_one_answer(
    client: AsyncClient, session: AsyncSession, worker: Worker, clock: Clock
):
    await released(client, worker, clock, "churn")
    await released(client, worker, clock, "fraud")
    await post(client, "models", {"name": "new"})
    at = clock().isoformat()
    rows = [
        {"prediction_id": f"p{n}", "version": "1.0.0", "at": at, "error": n < 5, "latency_ms": 20}
        for n in range(50)
    ]
    await post(client, "models/fraud/observations", {"predictions": rows})
    await worker.fold()
    rollout = await post(client, "models/fraud/rollouts", {"candidate": "2.0.0", "stages": SLOWLY})
    update = await post(client, "models/fraud/updates", {})
    await fire(
        session,
        cause="test/churn",
        kind=Kind.THRESHOLD,
        severity=Severity.CRITICAL,
        subject="models/churn/versions/1.0.0",
        model="churn",
        summary="it errs",
        data={},
        now=clock(),
    )
    await session.commit()

    found = await overview(client)

    churn, fraud, new = found["models"]
    assert [one["health"] for one in found["models"]] == ["critical", "ok", "idle"]
    assert found["health"] == "critical"
    [serving, candidate] = fraud["serving"]
    assert (serving["version"], serving["weight"], candidate["weight"]) == ("1.0.0", 90, 10)
    assert (serving["predictions"], serving["error_rate"]) == (50, 0.1)
    assert serving["latency_p95"] == pytest.approx(20, rel=0.01)
    assert [one["id"] for one in fraud["rollouts"]] == [rollout["id"]]
    assert [one["id"] for one in fraud["updates"]] == [update["id"]]
    assert (churn["alerts"], new["serving"]) == ({"critical": 1}, [])
    assert [one["summary"] for one in found["alerts"]] == ["it errs"]
    totals = found["totals"]
    assert (totals["models"], totals["alerts"]) == (3, {"critical": 1})
    assert (totals["rollouts"], totals["updates"]) == ({"running": 1}, {"queued": 1})

    first = await overview(client, limit=2)
    rest = await overview(client, limit=2, cursor=first["next_cursor"])
    assert [one["model"] for one in rest["models"]] == ["new"]
    assert rest["totals"] == totals


async def test_it_costs_the_same_queries_for_one_model_as_for_many(
    client: AsyncClient, worker: Worker, clock: Clock, statements: list[str]
):
    async def asked(models: list[str]) -> int:
        for model in models:
            await released(client, worker, clock, model)
            await post(client, f"models/{model}/rollouts", {"candidate": "2.0.0", "stages": SLOWLY})
            await post(client, f"models/{model}/updates", {})
        statements.clear()
        await overview(client)
        return sum("SAVEPOINT" not in statement for statement in statements)

    one = await asked(["churn"])
    many = await asked([f"model-{n}" for n in range(5)])

    assert one == many
    assert many <= 16
