from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient

from tests.experiments.conftest import HOUR, MODEL, Driver
from turnout.experiments import examples

PLAN = {
    "key": "accuracy-of-2-0",
    "control": "1.0.0",
    "treatments": [{"version": "2.0.0"}],
    "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.05},
    "min_sample_size": 100,
    "target_sample_size": 2000,
    "max_duration": "10h",
}
CREATE = f"models/{MODEL}/experiments"
BETTER = {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}
SAME = {"1.0.0": (500, 350), "2.0.0": (500, 350)}
ABSENT = "0197b3f0-0000-7000-8000-000000000000"


async def created(client: AsyncClient, driver: Driver, **fields: Any) -> dict[str, Any]:
    await driver.register("1.0.0", "2.0.0")
    answer = await client.post(CREATE, json=PLAN | fields)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def started(client: AsyncClient, driver: Driver, **fields: Any) -> str:
    identity: str = (await created(client, driver, **fields))["id"]
    answer = await client.post(f"experiments/{identity}/start", json={"reason": "agreed"})
    assert answer.status_code == 200, answer.text
    return f"experiments/{identity}"


async def test_an_experiment_says_where_it_stands(client: AsyncClient, driver: Driver) -> None:
    draft = await created(client, driver)
    path = f"experiments/{draft['id']}"
    running = (await client.post(f"{path}/start", json={"reason": "agreed"})).json()
    await driver.see(UUID(draft["id"]), SAME, after=HOUR)
    await driver.tick()
    seen = (await client.get(path)).json()

    assert (draft["status"], draft["plan_hash"], draft["analyses"]) == ("draft", None, 0)
    assert draft["waiting_for"] == "a draft until a person starts it"
    assert (running["status"], running["reason"]) == ("running", "agreed")
    assert running["waiting_for"] == "its first analysis"
    assert running["ends_at"] == "2026-03-02T22:00:00Z"
    assert len(running["plan_hash"]) == 64
    assert (seen["analyses"], seen["elapsed"], seen["conclusion"]) == (1, "PT1H1S", None)
    assert seen["recommendation"]
    assert seen["waiting_for"]


async def test_an_analysis_has_figures_and_words(client: AsyncClient, driver: Driver) -> None:
    path = await started(
        client,
        driver,
        secondary=["latency_mean"],
        guardrails=[{"metric": "error_rate", "max_increase": 0.05}],
    )
    await driver.see(UUID(path.rpartition("/")[2]), BETTER, after=HOUR)
    none_yet = await client.get(f"{path}/analysis")
    now = await client.post(f"{path}/analyses")
    newest = (await client.get(f"{path}/analysis")).json()
    first = (await client.get(f"{path}/analyses/1")).json()

    assert none_yet.status_code == 404
    assert now.status_code == 201
    assert now.json() == newest == first
    assert (newest["number"], newest["trigger"], newest["at_goal"]) == (1, "person", True)
    assert (newest["conclusion"], newest["winner"], newest["looks"]) == ("ship", "2.0.0", 1)
    assert newest["effect"] == pytest.approx(0.2)
    low, high = newest["interval"]
    assert 0 < low < 0.2 < high
    assert newest["statistical_significance"] is True
    assert {arm["version"]: arm["units"] for arm in newest["arms"]} == {
        "1.0.0": 1_500,
        "2.0.0": 1_500,
    }
    assert [arm["weight"] for arm in newest["arms"]] == [50, 50]
    assert newest["sample_ratio"]["mismatch"] is False
    assert newest["guardrails"][0]["finding"]["verdict"] == "pass"
    assert newest["secondary"][0]["metric"]["metric"] == "latency_mean"
    assert "2.0.0" in newest["recommendation"]


async def test_the_analyses_are_a_course_over_time(client: AsyncClient, driver: Driver) -> None:
    path = await started(client, driver)
    for n in (200, 400, 600):
        await driver.see(
            UUID(path.rpartition("/")[2]),
            {"1.0.0": (n, n * 7 // 10), "2.0.0": (n, n * 7 // 10)},
            after=HOUR,
        )
        await driver.tick()
    first = (await client.get(f"{path}/analyses", params={"limit": 2})).json()
    rest = (
        await client.get(f"{path}/analyses", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()

    assert [found["number"] for found in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    widths = []
    for found in first["items"] + rest["items"]:
        (comparison,) = found["comparisons"]
        low, high = comparison["interval"]
        widths.append(high - low)
    assert widths == sorted(widths)


async def test_pause_resume_stop(client: AsyncClient, driver: Driver) -> None:
    path = await started(client, driver)
    paused = (await client.post(f"{path}/pause", json={"reason": "late labels"})).json()
    again = await client.post(f"{path}/pause")
    resumed = (await client.post(f"{path}/resume")).json()
    stopped = (await client.post(f"{path}/stop", json={"reason": "wrong goal"})).json()
    late = await client.post(f"{path}/resume")

    assert (paused["status"], paused["pause"]["reason"]) == ("paused", "late labels")
    assert (paused["ends_at"], paused["pause"]["by"]) == (None, "person")
    assert (again.status_code, again.json()["experiment_status"]) == (409, "paused")
    assert (resumed["status"], resumed["pause"]) == ("running", None)
    assert (stopped["status"], stopped["conclusion"]) == ("stopped", None)
    assert (stopped["reason"], stopped["serves"]) == ("wrong goal", "1.0.0")
    assert (stopped["waiting_for"], stopped["recommendation"]) == (None, None)
    assert (late.status_code, late.json()["experiment_status"]) == (409, "stopped")


async def test_a_person_concludes_and_promotes(client: AsyncClient, driver: Driver) -> None:
    path = await started(client, driver)
    await driver.see(UUID(path.rpartition("/")[2]), BETTER, after=HOUR)
    concluded = (await client.post(f"{path}/conclude", json={"promote_winner": True})).json()
    history = (await client.get(f"{path}/history")).json()["items"]

    assert concluded["status"] == "concluded"
    assert (concluded["conclusion"], concluded["winner"]) == ("ship", "2.0.0")
    assert concluded["serves"] == "2.0.0"
    assert await driver.shares() == {"2.0.0": 100}
    assert [(step["event"], step["to_status"], step["analysis"]) for step in history] == [
        ("created", "draft", None),
        ("started", "running", None),
        ("concluded", "concluded", 1),
    ]


async def test_nothing_is_promoted_without_a_winner(client: AsyncClient, driver: Driver) -> None:
    path = await started(client, driver)
    answer = await client.post(f"{path}/conclude", json={"promote_winner": True})

    assert answer.status_code == 409
    assert answer.json()["conclusion"] == "keep_running"
    assert "no winner to promote" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        pytest.param({"key": ""}, 422, "body.key", id="no key"),
        pytest.param({"treatments": []}, 422, "body.treatments", id="nothing to compare"),
        pytest.param(
            {"treatments": [{"version": "1.0.0"}]},
            422,
            "1.0.0 is the control and a treatment",
            id="the control",
        ),
        pytest.param(
            {"goal": {"metric": "conversion"}}, 422, "direction says which way", id="which way"
        ),
        pytest.param({"gaol": 1}, 422, "body.gaol: unknown field", id="a typo"),
        pytest.param({"strategy": "canary"}, 422, "'sticky'", id="not a way to spread"),
        pytest.param({"control": "9.0.0"}, 404, "has no version 9.0.0", id="unknown version"),
        pytest.param({"key": "taken"}, 409, "has an experiment 'taken' already", id="taken key"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_with_a_sentence(
    client: AsyncClient, driver: Driver, fields: dict[str, Any], status: int, sentence: str
) -> None:
    await created(client, driver, key="taken")
    answer = await client.post(CREATE, json=PLAN | fields)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert sentence in answer.json()["detail"]


async def test_a_second_experiment_waits_for_the_first(client: AsyncClient, driver: Driver) -> None:
    path = await started(client, driver)
    second = (await client.post(CREATE, json=PLAN | {"key": "another"})).json()
    answer = await client.post(f"experiments/{second['id']}/start")

    assert answer.status_code == 409
    assert f"experiments/{answer.json()['experiment']}" == path
    assert answer.json()["detail"].startswith("the experiment 'accuracy-of-2-0' of this model is")


async def test_a_rollout_is_refused_by_the_name_of_the_experiment(
    client: AsyncClient, driver: Driver
) -> None:
    path = await started(client, driver)
    body = {"candidate": "2.0.0", "baseline": "1.0.0"}
    answer = await client.post(f"models/{MODEL}/rollouts", json=body)

    assert answer.status_code == 409
    assert answer.json()["owner"] == {"kind": "experiment", "id": path.rpartition("/")[2]}
    assert "stop or conclude it first" in answer.json()["detail"]


async def test_a_draft_is_deleted_and_what_was_started_is_not(
    client: AsyncClient, driver: Driver
) -> None:
    draft = await created(client, driver)
    deleted = await client.delete(f"experiments/{draft['id']}")
    gone = await client.get(f"experiments/{draft['id']}")
    again = await client.post(CREATE, json=PLAN)
    await client.post(f"experiments/{again.json()['id']}/start")
    refused = await client.delete(f"experiments/{again.json()['id']}")

    assert (deleted.status_code, gone.status_code, refused.status_code) == (204, 404, 409)


async def test_sent_again_a_plan_is_created_once(client: AsyncClient, driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    key = {"Idempotency-Key": "plan-1"}
    first = await client.post(CREATE, json=PLAN, headers=key)
    second = await client.post(CREATE, json=PLAN, headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_experiments_are_listed_newest_first_by_pages(
    client: AsyncClient, driver: Driver
) -> None:
    for model in ("a", "b", "c"):
        await driver.register("1.0.0", "2.0.0", model=model)
        await driver.create(model=model, key=f"of-{model}")
    first = (await client.get("experiments", params={"limit": 2})).json()
    rest = (await client.get("experiments", params={"cursor": first["next_cursor"]})).json()
    of_model = (await client.get("experiments", params={"model": "b"})).json()
    of_key = (await client.get("experiments", params={"key": "of-a"})).json()
    running = (await client.get("experiments", params={"status": "running"})).json()

    assert [view["model"] for view in first["items"] + rest["items"]] == ["c", "b", "a"]
    assert rest["next_cursor"] is None
    assert [view["model"] for view in of_model["items"]] == ["b"]
    assert [view["model"] for view in of_key["items"]] == ["a"]
    assert running["items"] == []


@pytest.mark.parametrize("cursor", ["WyJhIl0", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "nonsense"])
@pytest.mark.parametrize("path", ["experiments", "{path}/analyses", "{path}/history"])
async def test_a_cursor_of_another_list_is_refused(
    client: AsyncClient, driver: Driver, path: str, cursor: str
) -> None:
    draft = await created(client, driver)
    where = path.format(path=f"experiments/{draft['id']}")
    answer = await client.get(where, params={"cursor": cursor})

    assert answer.status_code == 422
    assert "next_cursor" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"experiments/{ABSENT}"),
        ("DELETE", f"experiments/{ABSENT}"),
        ("GET", f"experiments/{ABSENT}/analysis"),
        ("GET", f"experiments/{ABSENT}/analyses"),
        ("GET", f"experiments/{ABSENT}/analyses/1"),
        ("GET", f"experiments/{ABSENT}/history"),
        ("GET", f"experiments/{ABSENT}/segments?attribute=country"),
        ("POST", f"experiments/{ABSENT}/start"),
        ("POST", f"experiments/{ABSENT}/conclude"),
        ("POST", f"experiments/{ABSENT}/analyses"),
        ("GET", "experiments?model=nobody"),
    ],
)
async def test_what_is_not_there_is_404(client: AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == 404


@pytest.mark.parametrize("name", examples.PLAN)
async def test_every_example_of_a_plan_works_as_sent(
    client: AsyncClient, driver: Driver, name: str
) -> None:
    await driver.register("1.0.0", "2.0.0")
    answer = await client.post(CREATE, json=examples.PLAN[name]["value"])
    assert answer.status_code == 201, answer.text
    begun = await client.post(
        f"experiments/{answer.json()['id']}/start", json=examples.START["start"]["value"]
    )

    assert begun.status_code == 200, begun.text


@pytest.mark.parametrize(
    ("verb", "named"),
    [
        ("pause", examples.PAUSE),
        ("stop", examples.STOP),
        ("conclude", examples.CONCLUSION),
    ],
)
async def test_every_example_of_a_verb_works_as_sent(
    client: AsyncClient, driver: Driver, verb: str, named: dict[str, Any]
) -> None:
    for number, example in enumerate(named.values()):
        experiment_id = await driver.under_way(model=f"model-{number}")
        answer = await client.post(f"experiments/{experiment_id}/{verb}", json=example["value"])
        assert answer.status_code == 200, answer.text


async def test_the_example_of_resuming_works_as_sent(client: AsyncClient, driver: Driver) -> None:
    path = await started(client, driver)
    await client.post(f"{path}/pause")
    answer = await client.post(f"{path}/resume", json=examples.RESUME["resume"]["value"])

    assert answer.status_code == 200, answer.text


async def test_operations_are_described_for_their_user(client: AsyncClient) -> None:
    document = (await client.get("http://test/openapi.json")).json()
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
        if "experiments" in operation.get("tags", [])
    }

    assert {"create_experiment", "start_experiment", "conclude_experiment"} <= set(operations)
    for operation in operations.values():
        assert operation["summary"]
        assert len(operation["description"]) > 50
        assert "requestBody" not in operation or (
            "examples" in operation["requestBody"]["content"]["application/json"]
        )


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("experiments", {"key": "\x00"}, 422),
        ("experiments", {"model": "\x00"}, 404),
        ("experiments", {"status": "flying"}, 422),
        ("{path}/segments", {"attribute": "\x00"}, 422),
        ("{path}/segments", {}, 422),
        ("{path}/analyses/0", {}, 422),
        ("{path}/analyses/99999999999", {}, 422),
        ("{path}/analyses/2147483647", {}, 404),
    ],
)
async def test_what_postgresql_could_not_hold_is_refused(
    client: AsyncClient, driver: Driver, path: str, query: dict[str, str], status: int
) -> None:
    draft = await created(client, driver)
    answer = await client.get(path.format(path=f"experiments/{draft['id']}"), params=query)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
