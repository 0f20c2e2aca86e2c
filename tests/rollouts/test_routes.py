from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient

from tests.rollouts.conftest import Driver
from tests.rollouts.requests import MINUTE, START, started

LOW = {"weight": 20, "bake": 5}


async def test_a_rollout_says_where_it_stands(client: AsyncClient, driver: Driver) -> None:
    view = await started(
        client,
        driver,
        stages=[
            {"weight": 5, "bake": "10m", "guardrails": [{"metric": "error_rate", "max": 0.1}]},
            {"weight": 100, "bake": "1h"},
        ],
        reason="retrained on February",
    )
    path = f"rollouts/{view['id']}"
    await driver.see(UUID(view["id"]), 1_000, 20, after=MINUTE)
    await driver.tick()
    seen = (await client.get(path)).json()

    assert view["phase"] == "running"
    assert (view["candidate"], view["baseline"], view["weight"]) == ("2.0.0", "1.0.0", 5)
    assert view["reason"] == "retrained on February"
    assert view["verdict"] == "no_data"
    assert view["stage"] == {
        "index": 0,
        "of": 2,
        "weight": 5,
        "shadow": False,
        "approval": False,
        "warm_up": "PT0S",
        "bake": "PT10M",
        "entered_at": "2026-03-02T12:00:00Z",
        "ends_at": "2026-03-02T12:10:00Z",
    }
    assert seen["waiting_for"] == "the bake time is not over"
    assert seen["verdict"] == "pass"
    (found,) = seen["findings"]
    assert found["guardrail"]["max"] == 0.1
    assert found["finding"]["candidate"] == 0.02
    assert found["finding"]["n_candidate"] == 1_000

    await driver.see(UUID(view["id"]), 2_000, 60, after=MINUTE)
    await driver.tick()
    (found,) = (await client.get(path)).json()["findings"]
    assert (found["finding"]["candidate"], found["finding"]["n_candidate"]) == (0.03, 2_000)


async def test_a_first_version_answers_that_it_went_live(
    client: AsyncClient, driver: Driver
) -> None:
    await driver.register("1.0.0")
    answer = await client.post(START, json={"candidate": "v1.0"})

    assert answer.status_code == 201
    view = answer.json()
    assert (view["phase"], view["weight"], view["baseline"]) == ("succeeded", 100, None)
    assert view["reason"] == "first version: goes live without analysis"
    assert view["waiting_for"] is None


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        pytest.param(
            {
                "candidate": "2.0.0",
                "stages": [{"weight": 50, "bake": 5}, {"weight": 20, "bake": 5}],
            },
            422,
            "body: weights must rise from stage to stage: stages[1] has 20 % after 50 %",
            id="falling weights",
        ),
        pytest.param(
            {"candidate": "2.0.0", "stages": [{"weight": 5, "bake": "soon"}]},
            422,
            "body.stages[0].bake: 'soon' is not a duration",
            id="not a duration",
        ),
        pytest.param(
            {"candidate": "2.0.0", "stage": []}, 422, "body.stage: unknown field", id="a typo"
        ),
        pytest.param({"candidate": "two"}, 422, "body.candidate: ", id="not a version"),
        pytest.param({"candidate": "9.0.0"}, 404, "has no version 9.0.0", id="unknown version"),
        pytest.param(
            {"candidate": "1.0.0"}, 409, "cannot be rolled out against itself", id="the baseline"
        ),
    ],
)
async def test_a_start_that_cannot_be_is_refused_with_a_sentence(
    client: AsyncClient, driver: Driver, body: dict[str, Any], status: int, sentence: str
) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    answer = await client.post(START, json=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert sentence in answer.json()["detail"]


async def test_a_second_rollout_is_refused_with_the_one_under_way(
    client: AsyncClient, driver: Driver
) -> None:
    view = await started(client, driver)
    await driver.register("3.0.0")
    answer = await client.post(START, json={"candidate": "3.0.0"})

    assert answer.status_code == 409
    assert answer.json()["rollout"] == view["id"]
    assert answer.json()["phase"] == "running"


@pytest.mark.parametrize("body", [{"reason": "looks good"}, {}, None])
async def test_promotion_by_hand(
    client: AsyncClient, driver: Driver, body: dict[str, Any] | None
) -> None:
    view = await started(client, driver)
    promoted = await client.post(f"rollouts/{view['id']}/promote", json=body)

    assert promoted.status_code == 200
    assert promoted.json()["stage"]["index"] == 1
    assert promoted.json()["weight"] == 20
    assert await driver.shares() == {"2.0.0": 20, "1.0.0": 80}


async def test_promotion_all_the_way(client: AsyncClient, driver: Driver) -> None:
    view = await started(client, driver)
    path = f"rollouts/{view['id']}/promote"
    baking = (await client.post(path, json={"full": True})).json()
    done = (await client.post(path, json={"reason": "looks good"})).json()

    assert (baking["phase"], baking["weight"]) == ("baking", 100)
    assert (done["phase"], done["finished_at"]) == ("succeeded", "2026-03-02T12:00:00Z")


async def test_rollback_by_hand(client: AsyncClient, driver: Driver) -> None:
    view = await started(client, driver)
    path = f"rollouts/{view['id']}/rollback"
    rolled_back = await client.post(path, json={"reason": "customers complain"})
    again = await client.post(path, json={"reason": "customers complain"})
    restart = await client.post(START, json={"candidate": "2.0.0"})

    assert rolled_back.status_code == 200
    assert rolled_back.json()["phase"] == "rolled_back"
    assert rolled_back.json()["weight"] == 0
    assert await driver.shares() == {"1.0.0": 100}
    assert (again.status_code, again.json()["phase"]) == (409, "rolled_back")
    assert restart.status_code == 409
    assert "customers complain" in restart.json()["detail"]


async def test_pause_resume_and_abort(client: AsyncClient, driver: Driver) -> None:
    view = await started(client, driver)
    path = f"rollouts/{view['id']}"
    paused = (await client.post(f"{path}/pause", json={"reason": "the latency"})).json()
    resumed = (await client.post(f"{path}/resume", json={})).json()
    aborted = (await client.post(f"{path}/abort", json={})).json()

    assert (paused["phase"], paused["pause"]["reason"]) == ("paused", "the latency")
    assert paused["stage"]["ends_at"] is None
    assert paused["waiting_for"] == "paused until a person resumes it"
    assert (resumed["phase"], resumed["pause"]) == ("running", None)
    assert aborted["phase"] == "aborted"


async def test_a_stage_waits_for_its_approval(client: AsyncClient, driver: Driver) -> None:
    view = await started(
        client, driver, stages=[{"weight": 5, "bake": "10m", "approval": True}], guardrails=[]
    )
    path = f"rollouts/{view['id']}"
    early = await client.post(f"{path}/approve", json={"expected_stage": 0})
    await driver.tick(10 * MINUTE)
    waiting = (await client.get(path)).json()
    approved = await client.post(f"{path}/approve", json={"expected_stage": 0})
    twice = await client.post(f"{path}/approve", json={"expected_stage": 0})

    assert early.status_code == 409
    assert early.json()["waiting_for"] == "the bake time is not over"
    assert waiting["phase"] == "awaiting_approval"
    assert (approved.status_code, twice.status_code) == (200, 200)
    assert approved.json()["stage"]["index"] == twice.json()["stage"]["index"] == 1


async def test_a_verb_for_another_stage_is_refused_with_the_present_one(
    client: AsyncClient, driver: Driver
) -> None:
    view = await started(client, driver)
    answer = await client.post(f"rollouts/{view['id']}/promote", json={"expected_stage": 3})

    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["stage"], problem["expected_stage"]) == (0, 3)
    assert "the rollout is running at 10 % now" in problem["detail"]


async def test_a_skip_is_in_the_history_with_its_reason_and_needs_one(
    client: AsyncClient, driver: Driver
) -> None:
    view = await started(client, driver)
    path = f"rollouts/{view['id']}"
    without = await client.post(f"{path}/skip", json={})
    skipped = await client.post(f"{path}/skip", json={"reason": "a security hole"})
    history = (await client.get(f"{path}/history")).json()["items"]

    assert without.status_code == 422
    assert "body.reason" in without.json()["detail"]
    assert (skipped.status_code, skipped.json()["weight"]) == (200, 20)
    assert (history[-1]["event"], history[-1]["reason"]) == ("skipped", "a security hole")
    assert (await driver.actions())[-1] == "rollout.skipped"


async def test_history_and_evidence_tell_what_was_decided_on_what(
    client: AsyncClient, driver: Driver
) -> None:
    view = await started(client, driver)
    await driver.see(UUID(view["id"]), 200, 150)
    await driver.tick()
    history = (await client.get(f"rollouts/{view['id']}/history")).json()["items"]
    evidence = (await client.get(f"rollouts/{view['id']}/evidence")).json()["items"]

    assert [(step["event"], step["weight"], step["actor"]) for step in history] == [
        ("started", 10, "developer"),
        ("rolled_back", 0, "worker"),
    ]
    assert history[1]["evidence"] == evidence[0]["id"]
    assert evidence[0]["verdict"] == history[1]["verdict"] == "fail"
    assert evidence[0]["findings"][0]["finding"]["candidate"] == 0.75


async def test_rollouts_are_listed_newest_first_by_pages(
    client: AsyncClient, driver: Driver
) -> None:
    for model in ("a", "b", "c"):
        await driver.register("1.0.0", model=model)
        await driver.start("1.0.0", model=model)
    first = (await client.get("rollouts", params={"limit": 2})).json()
    rest = (await client.get("rollouts", params={"cursor": first["next_cursor"]})).json()
    of_model = (await client.get("rollouts", params={"model": "b"})).json()
    running = (await client.get("rollouts", params={"phase": "running"})).json()

    assert [view["model"] for view in first["items"] + rest["items"]] == ["c", "b", "a"]
    assert rest["next_cursor"] is None
    assert [view["model"] for view in of_model["items"]] == ["b"]
    assert running["items"] == []


@pytest.mark.parametrize(
    "cursor", ["WyJhIl0", "WyJhIiwgImIiXQ", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "nonsense"]
)
async def test_a_cursor_of_another_list_is_refused(client: AsyncClient, cursor: str) -> None:
    answer = await client.get("rollouts", params={"cursor": cursor})

    assert answer.status_code == 422
    assert "next_cursor" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "rollouts/0197b3f0-0000-7000-8000-000000000000"),
        ("GET", "rollouts/0197b3f0-0000-7000-8000-000000000000/history"),
        ("GET", "rollouts/0197b3f0-0000-7000-8000-000000000000/evidence"),
        ("POST", "rollouts/0197b3f0-0000-7000-8000-000000000000/promote"),
        ("GET", "rollouts?model=nobody"),
        ("GET", "models/nobody/rollbacks"),
        ("GET", "models/nobody/freeze-windows"),
    ],
)
async def test_what_is_not_there_is_404(client: AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == 404


async def test_a_model_goes_back_to_the_version_before(client: AsyncClient, driver: Driver) -> None:
    view = await started(client, driver)
    path = f"rollouts/{view['id']}/promote"
    await client.post(path, json={"full": True})
    await client.post(path)
    answer = await client.post(
        "models/fraud-detection/rollback", json={"reason": "customers complain"}
    )
    rollbacks = (await client.get("models/fraud-detection/rollbacks")).json()["items"]

    assert answer.status_code == 200
    assert answer.json()["restores"] is True
    assert answer.json()["phase"] == "succeeded"
    assert await driver.shares() == {"1.0.0": 100}
    (rollback,) = rollbacks
    assert (rollback["from_version"], rollback["to_version"]) == ("2.0.0", "1.0.0")
    assert (rollback["actor"], rollback["reason"]) == ("developer", "customers complain")


async def test_an_automatic_rollback_is_in_the_list_of_rollbacks(
    client: AsyncClient, driver: Driver
) -> None:
    view = await started(client, driver)
    await driver.see(UUID(view["id"]), 200, 150)
    await driver.tick()
    (rollback,) = (await client.get("models/fraud-detection/rollbacks")).json()["items"]

    assert (rollback["from_version"], rollback["to_version"]) == ("2.0.0", "1.0.0")
    assert (rollback["actor"], rollback["verdict"]) == ("worker", "fail")


async def test_operations_are_described_for_their_user(client: AsyncClient) -> None:
    document = (await client.get("http://test/openapi.json")).json()
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
        if "rollouts" in operation.get("tags", [])
    }

    assert {"start_rollout", "promote_rollout", "rollback_rollout", "rollback_model"} <= set(
        operations
    )
    for operation in operations.values():
        assert operation["summary"]
        assert len(operation["description"]) > 50
        assert "requestBody" not in operation or (
            "examples" in operation["requestBody"]["content"]["application/json"]
        )
