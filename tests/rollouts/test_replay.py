from datetime import timedelta

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from tests.rollouts.conftest import Driver
from turnout.db import transaction
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts import replay_routes
from turnout.rollouts.commands import order
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.replan import Replan
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
LIMITS = (
    Guardrail(metric="error_rate", max_increase=0.02),
    Guardrail(metric="latency_p95", max_increase=20),
    Guardrail(metric="confidence", min=0.5, dry_run=True),
)
STAGES = (
    Stage(weight=500, bake=10 * MINUTE, warm_up=MINUTE),
    Stage(weight=2_500, bake=10 * MINUTE),
    Stage(weight=10_000, bake=10 * MINUTE),
)


@pytest.fixture
async def rollout_id(driver: Driver) -> str:
    """A rollout that was looked at in many ways, and whose plan was changed, to its rollback."""
    rollout_id = await driver.under_way(stages=STAGES, guardrails=LIMITS)
    await driver.tick(2 * MINUTE)
    for predictions in (20, 150, 1_000, 1_500):
        await driver.see(
            rollout_id, predictions, predictions // 50, baseline=19 * predictions, after=3 * MINUTE
        )
        await driver.tick()
    await driver.say(order.replan, rollout_id, Replan(stages=(Stage(weight=10_000, bake=MINUTE),)))
    await driver.see(rollout_id, 1_000, 900, baseline=3_000)
    await driver.tick()
    return str(rollout_id)


async def test_a_replay_finds_every_verdict_again(
    client: AsyncClient, driver: Driver, rollout_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_routes, "BATCH", 2)
    events = [step["event"] for step in await history(client, rollout_id)]
    replay = (await client.get(f"rollouts/{rollout_id}/replay")).json()
    stored = (await client.get(f"rollouts/{rollout_id}/evidence")).json()["items"]

    assert events == ["started", "warmed_up", "advanced", "replanned", "rolled_back"]
    assert len(stored) >= 5
    assert replay == {
        "rollout": rollout_id,
        "looks": len(stored),
        "same": True,
        "differences": [],
    }


async def test_a_row_that_somebody_changed_is_found(
    client: AsyncClient, driver: Driver, rollout_id: str
) -> None:
    forged = text(
        "UPDATE rollout_look SET judgement = jsonb_set(judgement, '{verdict}', '\"pass\"')"
        " WHERE id = (SELECT max(id) FROM rollout_look)"
    )
    async with transaction(driver.sessions) as session:
        await session.execute(forged)
    replay = (await client.get(f"rollouts/{rollout_id}/replay")).json()

    assert replay["same"] is False
    (difference,) = replay["differences"]
    assert difference["stored"]["verdict"] == Verdict.PASS
    assert difference["replayed"]["verdict"] == Verdict.FAIL
    assert difference["stage"] == 1


async def test_there_is_nothing_to_replay_of_a_rollout_that_is_not_there(
    client: AsyncClient,
) -> None:
    answer = await client.get("rollouts/0197b3f0-0000-7000-8000-000000000000/replay")

    assert answer.status_code == 404


async def history(client: AsyncClient, rollout_id: str) -> list[dict[str, str]]:
    steps: list[dict[str, str]] = (await client.get(f"rollouts/{rollout_id}/history")).json()[
        "items"
    ]
    return steps
