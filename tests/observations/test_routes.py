import json
import re
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from tests import factories
from tests.conftest import Clock
from turnout.observations import commands, examples
from turnout.observations.domain.batch import MAX_ROWS

MODEL = "models/fraud-detection"
OBSERVATIONS = f"{MODEL}/observations"
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "observations.md"
NDJSON = {"content-type": "application/x-ndjson"}
EMPTY = {"accepted": 0, "duplicate": 0, "unknown": 0, "rejected": []}


@pytest.fixture(autouse=True)
async def versions(session: AsyncSession) -> None:
    for version in ("1.0.0", "2.0.0"):
        await factories.version(session, version)


async def fold(session: AsyncSession, clock: Clock) -> None:
    while await commands.fold(session, now=clock()):
        pass


def report(response: Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    found: dict[str, Any] = response.json()
    return found


def row(prediction_id: str, version: str = "1.0.0", **given: Any) -> dict[str, Any]:
    return {"prediction_id": prediction_id, "version": version} | given


async def test_the_examples_work_when_sent_as_they_are(client: AsyncClient):
    for example in examples.BATCH.values():
        assert report(await client.post(OBSERVATIONS, json=example["value"]))["rejected"] == []
    for example in examples.NDJSON.values():
        response = await client.post(OBSERVATIONS, content=example["value"], headers=NDJSON)
        assert report(response) == EMPTY | {"accepted": 2}
    for example in examples.OUTCOME.values():
        report(await client.post(f"{MODEL}/feedback", json=example["value"]))


async def test_the_guide_says_what_works(client: AsyncClient):
    [body] = re.findall("```json\n(.*?)```", GUIDE.read_text(), re.DOTALL)

    response = await client.post(OBSERVATIONS, content=body)

    assert report(response) == EMPTY | {"accepted": 4}


async def test_the_examples_are_in_the_documentation(client: AsyncClient):
    document = (await client.get("http://test/openapi.json")).json()

    operation = document["paths"]["/api/v1/models/{model}/observations"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "application/x-ndjson"}
    assert content["application/json"]["examples"] == examples.BATCH
    assert operation["operationId"] == "record_observations"


async def test_one_bad_row_of_a_thousand_is_named_and_the_rest_kept(client: AsyncClient):
    rows = [row(f"p-{n}", confidence=0.5) for n in range(1000)]
    text = json.dumps({"predictions": rows}).replace(
        '"prediction_id": "p-123", "version": "1.0.0", "confidence": 0.5',
        '"prediction_id": "p-123", "version": "1.0.0", "confidence": NaN',
    )

    atomic = await client.post(OBSERVATIONS, params={"atomic": True}, content=text)
    kept = await client.post(OBSERVATIONS, content=text)

    bad = {
        "list": "predictions",
        "index": 123,
        "field": "confidence",
        "reason": "Expected float | null, got NaN",
    }
    assert atomic.status_code == 422
    assert atomic.headers["content-type"] == "application/problem+json"
    assert atomic.json()["rejected"] == [bad]
    assert "predictions[123], confidence" in atomic.json()["detail"]
    assert report(kept) == EMPTY | {"accepted": 999, "rejected": [bad]}


async def test_lines_are_named_by_their_number_and_claimed_by_their_batch_id(client: AsyncClient):
    lines = [json.dumps(row("a")), "{nonsense", json.dumps({"prediction_id": "a", "correct": True})]

    first, again = [
        await client.post(
            OBSERVATIONS, params={"batch_id": "b"}, content="\n".join(lines), headers=NDJSON
        )
        for _ in range(2)
    ]

    assert report(first) == report(again)
    assert report(first)["accepted"] == 2
    [bad] = report(first)["rejected"]
    assert (bad["list"], bad["index"], bad["field"]) == ("lines", 1, "row")


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        pytest.param("{", 422, "body", id="half a document"),
        pytest.param('{"rows": []}', 422, "rows", id="an unknown list"),
        pytest.param(
            json.dumps({"predictions": [1] * (MAX_ROWS + 1)}), 413, None, id="too many rows"
        ),
    ],
)
async def test_a_bad_body_is_a_problem_document(
    client: AsyncClient, content: str, status: int, field: str | None
):
    response = await client.post(OBSERVATIONS, content=content)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().get("field") == field


@pytest.mark.parametrize("path", ["observations", "feedback", "performance", "split/distribution"])
async def test_a_model_that_there_is_not_is_404(client: AsyncClient, path: str):
    body = {"prediction_id": "p", "correct": True} if path == "feedback" else {}
    method = "POST" if path in {"observations", "feedback"} else "GET"

    response = await client.request(
        method, f"models/absent/{path}", json=body if method == "POST" else None
    )

    assert response.status_code == 404


async def test_feedback_that_means_nothing_is_refused(client: AsyncClient):
    nothing = await client.post(f"{MODEL}/feedback", json={"prediction_id": "p"})
    future = await client.post(
        f"{MODEL}/feedback",
        json={"prediction_id": "p", "correct": True, "at": "2026-03-03T00:00:00Z"},
    )

    assert (nothing.status_code, future.status_code) == (422, 422)
    assert "exactly one of correct, label and value" in nothing.json()["detail"]
    assert "the server's clock says 2026-03-02T12:00:00Z" in future.json()["detail"]


async def test_performance_shows_each_version(
    client: AsyncClient, session: AsyncSession, clock: Clock
):
    rows = [
        row("a", latency_ms=10, confidence=0.8, cost=0.5, **{"class": "ok"}),
        row("b", latency_ms=30, error="timeout"),
        row("c", "2.0.0"),
        row("d", "2.0.0", shadow=True),
    ]
    outcomes = [{"prediction_id": "a", "label": "fraud"}]
    await client.post(OBSERVATIONS, json={"predictions": rows, "outcomes": outcomes})
    await fold(session, clock)

    found = (await client.get(f"{MODEL}/performance", params={"window": "5m"})).json()
    only = (await client.get(f"{MODEL}/performance", params={"version": "v2.0"})).json()

    first, second = found["versions"]
    assert (found["since"], found["until"]) == ("2026-03-02T11:55:00Z", "2026-03-02T12:01:00Z")
    assert first["latency_p99"] == pytest.approx(10, rel=0.01)
    assert {name: value for name, value in first.items() if "_p" not in name} == {
        "version": "1.0.0",
        "predictions": 2,
        "errors": 1,
        "error_rate": 0.5,
        "success_rate": 0.5,
        "latency_mean": 20,
        "confidence": 0.8,
        "labelled": 1,
        "accuracy": 0,
        "cost": 0.5,
        "classes": {"ok": 1},
        "outcomes": {},
    }
    assert (second["version"], second["latency_p50"]) == ("2.0.0", None)
    assert [shadow["predictions"] for shadow in found["shadows"]] == [1]
    assert [view["version"] for view in only["versions"]] == ["2.0.0"]


async def test_performance_of_a_version_that_there_is_not_is_404(client: AsyncClient):
    response = await client.get(f"{MODEL}/performance", params={"version": "9.0.0"})

    assert response.status_code == 404


async def test_performance_looks_back_a_week_at_most(client: AsyncClient):
    week = await client.get(f"{MODEL}/performance", params={"window": "7d"})
    longer = await client.get(f"{MODEL}/performance", params={"window": "8d"})

    assert (week.status_code, longer.status_code) == (200, 422)
    assert longer.json()["field"] == "query.window"


async def test_observed_shares_are_compared_with_the_split(
    client: AsyncClient, session: AsyncSession, clock: Clock
):
    assert (await client.get(f"{MODEL}/split/distribution")).status_code == 404
    shares = [{"version": "1.0.0", "weight": 70}, {"version": "2.0.0", "weight": 30}]
    await client.put(f"{MODEL}/split", json={"strategy": "random", "variants": shares})
    rows = [row(f"p-{n}", "1.0.0" if n % 10 < 7 else "2.0.0") for n in range(100)]
    await client.post(OBSERVATIONS, json={"predictions": rows})
    await fold(session, clock)

    observed = (await client.get(f"{MODEL}/split/distribution")).json()
    simulated = (
        await client.get(f"{MODEL}/split/distribution", params={"simulate": 10_000})
    ).json()

    assert [(arm["version"], arm["count"]) for arm in observed["variants"]] == [
        ("1.0.0", 70),
        ("2.0.0", 30),
    ]
    assert (observed["source"], observed["mismatch"]) == ("observed", False)
    assert (simulated["source"], simulated["units"]) == ("simulated", 10_000)


async def test_units_count_once_and_only_for_the_version_they_were_assigned(
    client: AsyncClient, session: AsyncSession, clock: Clock
):
    shares = [{"version": "1.0.0", "weight": 50}, {"version": "2.0.0", "weight": 50}]
    await client.put(f"{MODEL}/split", json={"strategy": "sticky", "variants": shares})
    rows = [
        row(f"{unit}-{version}-{n}", version, unit=unit)
        for unit in ("a", "b")
        for version in ("1.0.0", "2.0.0")
        for n in range(3)
    ]
    assert report(await client.post(OBSERVATIONS, json={"predictions": rows}))["accepted"] == 12
    await fold(session, clock)

    observed = (await client.get(f"{MODEL}/split/distribution")).json()

    assert observed["units"] == 2
