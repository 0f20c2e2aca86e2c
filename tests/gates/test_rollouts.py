"""The way into production by rollout and by experiment asks the same policy."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.registry.requests import VERSIONS, refused, register
from tests.rollouts.conftest import MODEL, Driver, driver, live_driver  # noqa: F401
from turnout.db import transaction
from turnout.gates import queries
from turnout.gates.commands import set_policy
from turnout.gates.domain.outcome import GatesNotPassed
from turnout.gates.domain.policy import (
    ApprovalsGate,
    EntryPointGate,
    EvidenceGate,
    Feat,
    Gate,
    GatePolicy,
    MetricGate,
    StagePolicy,
)
from turnout.registry import queries as registry
from turnout.rollouts.commands import order
from turnout.rollouts.commands.restore import restore
from turnout.rollouts.domain.orders import Emergency, Restoration
from turnout.rollouts.domain.plan import Stage, Strategy

ACCURATE = MetricGate(metric="accuracy", min=0.85)
CANARY: dict[str, Any] = {
    "stages": (Stage(weight=5_000, bake=timedelta(minutes=1)),),
}


async def demand(driver: Driver, *gates: Gate) -> None:  # noqa: F811
    policy = GatePolicy(production=StagePolicy(gates=gates))
    async with transaction(driver.sessions) as session:
        model = await registry.model(session, MODEL)
        by: dict[str, Any] = {"actor": "ada", "now": driver.clock(), "reason": None}
        await set_policy(session, model, policy, **by)


async def outcomes(driver: Driver, version: str) -> list[str]:  # noqa: F811
    async with driver.sessions() as session:
        model = await registry.model(session, MODEL)
        found = await registry.version(session, model.id, version)
        rows = await queries.reports(session, found.id, limit=10, before=None)
        return [row.outcome for row in rows]


async def test_a_rollout_of_a_version_that_may_not_go_to_production_does_not_start(
    driver: Driver,  # noqa: F811
) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    await demand(driver, ACCURATE)

    with pytest.raises(GatesNotPassed, match=r"2\.0\.0 may not enter production") as refusal:
        await driver.start("2.0.0", **CANARY)

    assert refusal.value.facts["stage"] == "development"
    assert "slow gates" not in refusal.value.detail
    assert "not among the version's metrics" in str(refusal.value.facts["report"])


async def test_a_shadow_that_is_not_promoted_asks_no_policy(driver: Driver) -> None:  # noqa: F811
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    await demand(driver, ACCURATE)

    await driver.start("2.0.0", strategy=Strategy.SHADOW, promote=False)


async def test_a_policy_that_becomes_stricter_under_way_is_overruled_aloud(
    driver: Driver,  # noqa: F811
) -> None:
    rollout_id = await driver.under_way(**CANARY)
    await demand(driver, ACCURATE)
    while (await driver.rollout(rollout_id)).progress.phase.live:
        await driver.say(order.skip, rollout_id, Emergency(reason="now"))

    assert (await driver.stages_of_life())["2.0.0"] == "production"
    assert await outcomes(driver, "2.0.0") == ["overruled"]
    async with driver.sessions() as session:
        model = await registry.model(session, MODEL)
        version = await registry.version(session, model.id, "2.0.0")
        history = await registry.history(session, version.id)
    assert "AGAINST THE GATE POLICY: accuracy at least 0.85" in (history[-1].reason or "")


async def test_a_plan_that_begins_as_a_shadow_promises_the_evidence(
    driver: Driver,  # noqa: F811
) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    await demand(driver, EvidenceGate(any_of=(Feat.SHADOW,)))

    with pytest.raises(GatesNotPassed, match="not yet succeeded in a shadow rollout"):
        await driver.start("2.0.0", **CANARY)
    shadow = Stage(weight=0, shadow=True, bake=timedelta(minutes=1))
    await driver.start("2.0.0", stages=(shadow, *CANARY["stages"]))


async def test_slow_gates_that_never_ran_keep_a_version_out(driver: Driver) -> None:  # noqa: F811
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    await demand(driver, EntryPointGate(name="anything"))

    with pytest.raises(
        GatesNotPassed, match="has not been run for this version as it is now"
    ) as no:
        await driver.start("2.0.0", **CANARY)

    assert "by what its slow gates found last; POST …/gates runs them again" in no.value.detail


async def test_starting_over_http_runs_the_slow_gates_first(client: AsyncClient) -> None:
    await register(client)
    gate = {"kind": "entry_point", "name": "not-installed"}
    policy = {"production": {"gates": [gate]}}
    await client.put("models/fraud-detection/gate-policy", json=policy)
    response = await client.post(
        "models/fraud-detection/rollouts", json={"candidate": "1.0.0", "strategy": "replace"}
    )

    assert "no entry point 'not-installed'" in refused(response, 409)
    listed = (await client.get(f"{VERSIONS}/1.0.0/gates")).json()["items"]
    assert [row["outcome"] for row in listed] == ["rollout"]


async def test_whatever_leads_to_production_runs_the_slow_gates_first(client: AsyncClient) -> None:
    for model in ("fraud-detection", "churn-predictor"):
        for version in ("1.0.0", "2.0.0"):
            await client.post(f"models/{model}/versions", json={"version": version})
        await client.post(f"models/{model}/rollouts", json={"candidate": "1.0.0"})
    begun = await client.post("models/fraud-detection/rollouts", json={"candidate": "2.0.0"})
    aborted = f"rollouts/{begun.json()['id']}"
    await client.post(f"{aborted}/abort")
    plan = {
        "key": "may-be-promoted",
        "control": "1.0.0",
        "treatments": [{"version": "2.0.0"}],
        "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.02},
        "target_sample_size": 1000,
        "promote_winner": True,
    }
    drafted = await client.post("models/churn-predictor/experiments", json=plan)
    gate = {"kind": "entry_point", "name": "not-installed"}
    await client.put("gate-policy", json={"production": {"gates": [gate]}})

    async def ran(model: str) -> int:
        listed = await client.get(f"models/{model}/versions/2.0.0/gates")
        return len(listed.json()["items"])

    again = await client.post(f"{aborted}/retry")
    group = [
        {"model": name, "candidate": "2.0.0"} for name in ("fraud-detection", "churn-predictor")
    ]
    together = await client.post("release-groups", json={"rollouts": group})
    refused(again, 409)
    assert "no entry point 'not-installed'" in refused(together, 409)
    assert (await ran("fraud-detection"), await ran("churn-predictor")) == (2, 1)

    started = await client.post(f"experiments/{drafted.json()['id']}/start")
    assert started.status_code == 200, started.text
    assert await ran("churn-predictor") == 2
    await client.post(
        f"experiments/{drafted.json()['id']}/conclude", json={"promote_winner": False}
    )
    assert await ran("churn-predictor") == 2


async def test_going_back_asks_no_policy(driver: Driver) -> None:  # noqa: F811
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    await driver.start("2.0.0", strategy=Strategy.REPLACE, guardrails=())
    await demand(driver, ACCURATE, ApprovalsGate(others=2))
    async with transaction(driver.sessions) as session:
        wish = Restoration(reason="customers complain", to_version="1.0.0")
        await restore(session, MODEL, wish, actor="ada", now=driver.clock())

    assert await outcomes(driver, "1.0.0") == []
