import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.conftest import Clock
from tests.interop.classic.conftest import Fed, count

Started = Callable[..., Awaitable[dict[str, Any]]]


async def noted(classic: AsyncClient) -> list[str]:
    """What the audit log says of the making and the conclusion of tests, in order."""
    entries = (await classic.get("http://test/api/v1/audit")).json()["items"]
    said = {"ab_test.created", "ab_test.concluded", "experiment.concluded"}
    return [one["action"] for one in reversed(entries) if one["action"] in said]


async def test_a_test_is_a_draft_until_it_is_started(classic: AsyncClient):
    body = {
        "test_id": "two-against-one",
        "name": "2.0.0 against 1.0.0",
        "control_version": "1.0.0",
        "treatment_version": "2.0.0",
        "traffic_split": 0.2,
        "strategy": "STICKY",
        "target_sample_size": 500,
    }

    made = await classic.post("ab-tests", json=body)
    listed = (await classic.get("ab-tests")).json()["tests"]
    started = (await classic.post("ab-tests/two-against-one/start")).json()

    assert made.status_code == 201
    assert listed == [made.json()]
    assert made.json()["status"] == "draft"
    assert {name: made.json()[name] for name in body} == body
    assert started["status"] == "running"
    assert [(one["variant_name"], one["traffic"]) for one in started["variants"]] == [
        ("control", 0.8),
        ("treatment", 0.2),
    ]
    experiment = (
        await classic.get(f"http://test/api/v1/experiments/{started['experiment']}")
    ).json()
    assert (experiment["key"], experiment["status"]) == ("two-against-one", "running")


async def test_a_winner_is_named_and_promoted(classic: AsyncClient, running: Started, feed: Fed):
    await running(test_id="clear", target_sample_size=200)
    await feed({"1.0.0": 6, "2.0.0": 9}, answers=200)

    concluded = (
        await classic.post("ab-tests/clear/conclude", json={"promote_winner": True})
    ).json()

    assert (concluded["winner"], concluded["winning_version"]) == ("treatment", "2.0.0")
    assert concluded["statistical_significance"] is True
    assert concluded["p_value"] < 0.001
    assert concluded["effect"] == pytest.approx(0.3)
    assert [one["accuracy"] for one in concluded["variants"]] == [0.6, 0.9]
    assert (concluded["status"], concluded["serves"]) == ("concluded", "2.0.0")
    assert (await classic.get("models/versions/current")).json()["version"] == "2.0.0"
    assert (await classic.get("ab-tests/clear")).json() == concluded
    assert await noted(classic) == ["ab_test.created", "experiment.concluded"]


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        pytest.param({"1.0.0": 7, "2.0.0": 7}, (None, False), id="no difference"),
        pytest.param({"1.0.0": 9, "2.0.0": 6}, ("control", True), id="the control is better"),
    ],
)
async def test_without_a_better_treatment_the_control_stays(
    classic: AsyncClient,
    running: Started,
    feed: Fed,
    right: dict[str, int],
    expected: tuple[str | None, bool],
):
    await running(test_id="a", target_sample_size=200)
    await feed(right, answers=200)

    concluded = (await classic.post("ab-tests/a/conclude", json={"promote_winner": True})).json()

    assert (concluded["winner"], concluded["statistical_significance"]) == expected
    assert (concluded["status"], concluded["serves"]) == ("concluded", "1.0.0")


async def test_too_little_feedback_names_no_winner(
    classic: AsyncClient, running: Started, feed: Fed
):
    await running(test_id="early", target_sample_size=300)
    await feed({"1.0.0": 5, "2.0.0": 9}, answers=50)

    concluded = (
        await classic.post("ab-tests/early/conclude", json={"promote_winner": True})
    ).json()

    assert (concluded["winner"], concluded["serves"]) == (None, "1.0.0")
    assert concluded["recommendation"] == (
        "concluded by hand: 2.0.0 has fewer units than min_sample_size"
    )


async def test_feedback_in_other_shares_than_the_traffic_is_not_believed(
    classic: AsyncClient, running: Started, feed: Fed
):
    await running(test_id="skewed", traffic_split=0.1, target_sample_size=100)
    await feed({"1.0.0": 5, "2.0.0": 9}, answers=150)

    concluded = (await classic.post("ab-tests/skewed/conclude")).json()

    assert (concluded["winner"], concluded["statistical_significance"]) == (None, False)
    assert "50 %, planned 10 %" in concluded["recommendation"]


async def test_round_robin_takes_exact_turns(live_client: AsyncClient):
    async def assigned() -> dict[str, Any]:
        answer: dict[str, Any] = (await live_client.post("models/churn/assign", json={})).json()
        return answer

    paths = "versioning/api"
    for version in ("1.0.0", "2.0.0"):
        body = {"version": version, "runtime": {"kind": "demo-sentiment"}}
        await live_client.post("models/churn/versions", json=body)
    await live_client.post(f"{paths}/models/versions/1.0.0/promote")
    test = {"test_id": "turns", "control_version": "1.0.0", "treatment_version": "2.0.0"}
    await live_client.post(f"{paths}/ab-tests", json=test | {"strategy": "ROUND_ROBIN"})
    started = (await live_client.post(f"{paths}/ab-tests/turns/start")).json()
    async with asyncio.timeout(10):  # until this replica follows the test's split
        while (await assigned())["reason"] != "split":
            await asyncio.sleep(0.01)

    found = [(await assigned())["version"] for _ in range(20)]

    assert started["status"] == "running"
    assert found.count("1.0.0") == found.count("2.0.0") == 10


async def test_a_canary_is_a_rollout_that_grows(classic: AsyncClient, running: Started, feed: Fed):
    started = await running(test_id="ramp", strategy="CANARY")
    await feed({"1.0.0": 5, "2.0.0": 9}, answers=50)
    under_way = (await classic.get("ab-tests/ramp")).json()

    concluded = (await classic.post("ab-tests/ramp/conclude", json={"promote_winner": True})).json()

    assert started["phase"] == {"number": 1, "of": 10, "traffic": 0.1}
    assert (under_way["winner"], under_way["effect"]) == (None, pytest.approx(0.4))
    assert (concluded["winner"], concluded["statistical_significance"]) == ("treatment", True)
    assert (concluded["status"], concluded["serves"]) == ("concluded", "2.0.0")
    assert await noted(classic) == ["ab_test.created", "ab_test.concluded"]
    assert (await classic.get("models/versions/current")).json()["version"] == "2.0.0"
    rollout = (await classic.get(f"http://test/api/v1/rollouts/{started['rollout']}")).json()
    assert rollout["phase"] == "succeeded"


@pytest.mark.parametrize(
    ("right", "stands"),
    [
        pytest.param({"1.0.0": 8, "2.0.0": 8}, ("running", 0.2), id="as good"),
        pytest.param({"1.0.0": 9, "2.0.0": 4}, ("stopped", 0.0), id="worse"),
    ],
)
async def test_a_canary_grows_while_its_answers_are_right(
    running: Started,
    feed: Fed,
    looked_at: Callable[[], Awaitable[dict[str, Any]]],
    right: dict[str, int],
    stands: tuple[str, float],
):
    await running(test_id="ramp", strategy="CANARY")
    await feed(right, answers=200, times=9, after=10)

    shown = await looked_at()

    assert (shown["status"], shown["variants"][1]["traffic"]) == stands


async def test_a_canary_that_did_harm_is_in_the_history_of_rollbacks(
    classic: AsyncClient, running: Started, feed: Fed, looked_at: Callable[[], Awaitable[Any]]
):
    await running(test_id="ramp", strategy="CANARY")
    await feed({"1.0.0": 9, "2.0.0": 4}, answers=200, times=9, after=1)
    await looked_at()

    (event,) = (await classic.get("models/rollback/history")).json()["events"]

    assert (event["from_version"], event["to_version"]) == ("2.0.0", "1.0.0")
    assert (event["automatic"], event["reason"]) == (True, "performance_degradation")
    assert "accuracy" in event["details"]


async def test_a_canary_without_a_winner_leaves_the_control(classic: AsyncClient, running: Started):
    started = await running(test_id="ramp", strategy="CANARY")

    concluded = (await classic.post("ab-tests/ramp/conclude", json={"promote_winner": True})).json()
    again = await classic.post("ab-tests/ramp/start")

    assert (concluded["status"], concluded["winner"]) == ("concluded", None)
    assert (concluded["serves"], concluded["ended_at"]) == ("1.0.0", started["started_at"])
    assert again.status_code == 409


async def test_feedback_by_variant_counts_as_an_answer_of_the_variant(
    classic: AsyncClient, running: Started, session: AsyncSession, clock: Clock
):
    await running(test_id="by-hand")
    for variant, correct in (("control", True), ("control", False), ("treatment", True)):
        body = {"variant_name": variant, "was_correct": correct}
        given = (await classic.post("ab-tests/by-hand/feedback", json=body)).json()
        assert given["status"] == "recorded"
    await count(session, clock)

    variants = (await classic.get("ab-tests/by-hand")).json()["variants"]

    assert [one["predictions_count"] for one in variants] == [2, 1]
    assert [one["accuracy"] for one in variants] == [0.5, 1.0]


async def test_feedback_by_prediction_counts_for_the_version_that_answered(
    classic: AsyncClient, running: Started
):
    await running(test_id="named")
    seen = {"predictions": [{"prediction_id": "p-1", "version": "2.0.0"}]}
    await classic.post("http://test/api/v1/models/churn/observations", json=seen)
    body = {"variant_name": "treatment", "was_correct": True, "prediction_id": "p-1"}

    answers = [(await classic.post("ab-tests/named/feedback", json=body)).json() for _ in range(2)]

    assert [one["status"] for one in answers] == ["recorded", "duplicate"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("", {"treatment_version": "2.0.0"}, 422, id="no control"),
        pytest.param(
            "",
            {"control_version": "1.0.0", "treatment_version": "9.0.0"},
            404,
            id="a version that is not there",
        ),
        pytest.param(
            "",
            {"control_version": "1.0.0", "treatment_version": "9.0.0", "strategy": "CANARY"},
            404,
            id="a canary of a version that is not there",
        ),
        pytest.param(
            "",
            {"test_id": "draft", "control_version": "1.0.0", "treatment_version": "2.0.0"},
            409,
            id="the same id again",
        ),
        pytest.param("/nothing/start", {}, 404, id="no such test"),
        pytest.param("/a%00/start", {}, 404, id="an id that none can have"),
        pytest.param("/draft/conclude", {}, 409, id="concluded before its start"),
        pytest.param(
            "/draft/feedback",
            {"variant_name": "control", "was_correct": True},
            409,
            id="feedback before its start",
        ),
        pytest.param(
            "/draft/feedback",
            {"variant_name": "2.0.0", "was_correct": True},
            422,
            id="a variant that there is not",
        ),
    ],
)
async def test_what_a_test_cannot_do_is_refused(
    classic: AsyncClient, path: str, body: dict[str, object], status: int
):
    draft = {"test_id": "draft", "control_version": "1.0.0", "treatment_version": "2.0.0"}
    (await classic.post("ab-tests", json=draft)).raise_for_status()

    response = await classic.post(f"ab-tests{path}", json=body)

    assert response.status_code == status, response.text


async def test_one_test_at_a_time_decides_where_the_traffic_goes(
    classic: AsyncClient, running: Started
):
    await running(test_id="first")
    second = {"test_id": "second", "control_version": "1.0.0", "treatment_version": "3.0.0"}
    await classic.post("ab-tests", json=second)
    canary = second | {"test_id": "third", "strategy": "CANARY"}
    await classic.post("ab-tests", json=canary)

    refused = [await classic.post(f"ab-tests/{one}/start") for one in ("second", "third", "first")]
    promoted = await classic.post("models/versions/3.0.0/promote")

    assert [one.status_code for one in (*refused, promoted)] == [409, 409, 409, 409]
