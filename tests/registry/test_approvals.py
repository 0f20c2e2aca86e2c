"""Approved chat models: which rules hold, and when they are checked."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from tests.conftest import Clock
from tests.registry.requests import VERSIONS, refused, register
from turnout.db import Sessions
from turnout.registry.domain.approval import ApprovedModels, violations
from turnout.registry.domain.runtime import ExternalRuntime, OpenAIRuntime
from turnout.rollouts.commands.tick import tick

SERVICE = "registry/approved-models"
MODEL = "models/fraud-detection/approved-models"
CHAT = {"kind": "openai", "url": "http://localhost/v1", "model_name": "large", "temperature": 1}


def chat(**more: Any) -> OpenAIRuntime:
    return OpenAIRuntime(url="http://localhost/v1", model_name="large-2", **more)


@pytest.mark.parametrize(
    ("rules", "runtime", "broken"),
    [
        pytest.param(ApprovedModels(), chat(), [], id="no rules"),
        pytest.param(ApprovedModels(models=("large-*",)), chat(), [], id="a pattern"),
        pytest.param(ApprovedModels(models=("large",)), chat(), ["models"], id="only in part"),
        pytest.param(ApprovedModels(models=()), chat(), ["models"], id="an empty list"),
        pytest.param(
            ApprovedModels(models=("large-2",)),
            chat(fallback_model="small"),
            ["models"],
            id="the fallback counts",
        ),
        pytest.param(
            ApprovedModels(models=("large-2",)),
            chat(parameters={"models": ["large-2", "tiny"]}),
            ["models"],
            id="so does a model in a parameter",
        ),
        pytest.param(ApprovedModels(max_temperature=0.5), chat(temperature=0.5), [], id="cool"),
        pytest.param(
            ApprovedModels(max_temperature=0.5), chat(), ["max_temperature"], id="undeclared"
        ),
        pytest.param(
            ApprovedModels(models=(), max_temperature=0, required_tags=("a", "b")),
            chat(temperature=1),
            ["models", "max_temperature", "required_tags"],
            id="every rule is named",
        ),
        pytest.param(ApprovedModels(models=()), ExternalRuntime(), [], id="another runtime"),
    ],
)
def test_which_rules_a_version_breaks(rules, runtime, broken):
    found = violations({"service": rules}, runtime, ["a"])

    assert [violation.rule for violation in found] == broken


async def attempt(client: AsyncClient, version: str = "1.0.0", **more: Any) -> Response:
    return await client.post(VERSIONS, json={"version": version, "runtime": CHAT, **more})


async def test_rules_of_the_service_and_of_the_model_both_hold_at_registration(
    client: AsyncClient,
) -> None:
    await client.post("models", json={"name": "fraud-detection"})
    assert (await client.get(SERVICE)).json()["models"] is None
    await client.put(SERVICE, json={"models": ["small*"], "required_tags": ["security-reviewed"]})
    rules = await client.put(MODEL, json={"max_temperature": 0.5, "reason": "careful"})
    assert (await client.get(MODEL)).json() == rules.json()

    response = await attempt(client)

    assert "large is not an approved model (small*)" in refused(response, 409)
    assert [(each["rule"], each["scope"]) for each in response.json()["violations"]] == [
        ("models", "service"),
        ("required_tags", "service"),
        ("max_temperature", "fraud-detection"),
    ]
    await client.put(SERVICE, json={"required_tags": ["security-reviewed"]})
    await client.put(MODEL, json={})
    assert (await attempt(client, tags=["security-reviewed"])).status_code == 201


async def test_they_are_checked_again_before_there_is_traffic(client: AsyncClient) -> None:
    assert (await attempt(client)).status_code == 201
    await register(client, "2.0.0")
    by_hand = {"variants": [{"version": "1.0.0", "weight": 100}]}
    assert (await client.put("models/fraud-detection/split", json=by_hand)).status_code == 200
    await client.put(SERVICE, json={"models": ["small"]})

    half = {"variants": [{"version": each, "weight": 50} for each in ("1.0.0", "2.0.0")]}
    for response in (
        await client.put("models/fraud-detection/split", json=half),
        await client.post("models/fraud-detection/rollouts", json={"candidate": "1.0.0"}),
    ):
        assert "large is not an approved model" in refused(response, 409)
    away = await client.post("models/fraud-detection/rollouts", json={"candidate": "2.0.0"})
    assert away.status_code == 201, away.text


async def test_they_are_checked_when_an_experiment_or_a_scheduled_rollout_begins(
    client: AsyncClient, joined: Sessions, clock: Clock
) -> None:
    assert (await attempt(client)).status_code == 201
    await register(client, "2.0.0")
    made = await client.post(
        "models/fraud-detection/experiments",
        json={
            "key": "larger",
            "control": "2.0.0",
            "treatments": [{"version": "1.0.0"}],
            "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.1},
            "target_sample_size": 1000,
        },
    )
    at = clock() + timedelta(hours=1)
    body = {"candidate": "1.0.0", "starts_at": at.isoformat()}
    later = await client.post("models/fraud-detection/rollouts", json=body)
    await client.put(SERVICE, json={"models": ["small"]})

    answer = await client.post(f"experiments/{made.json()['id']}/start")
    assert "large is not an approved model" in refused(answer, 409)
    clock.advance(timedelta(hours=2))
    await tick(joined, clock=clock, interval=timedelta(seconds=1))
    view = (await client.get(f"rollouts/{later.json()['id']}")).json()
    assert view["phase"] == "aborted"
