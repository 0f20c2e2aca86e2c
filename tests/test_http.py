"""The edge that all routes share: problem documents, strict JSON, paging, repeated requests."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.exc import DBAPIError

from turnout import db, http
from turnout.api import create_app
from turnout.db import lost_connection
from turnout.http import GuardedRoute
from turnout.problems import location
from turnout.settings import Settings

MODEL = {"name": "fraud-detection"}


async def test_a_refusal_is_a_problem_document(client: AsyncClient):
    response = await client.get("models/absent", headers={"x-request-id": "r-1"})

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:turnout:problem:model-not-found"
    assert problem["status"] == 404
    assert "absent" in problem["detail"]
    assert problem["request_id"] == "r-1"


async def test_a_malformed_body_names_every_bad_field(client: AsyncClient):
    response = await client.post("models", json={"name": "bad\x00name", "colour": "red"})

    assert response.status_code == 422
    fields = {error["field"]: error["reason"] for error in response.json()["errors"]}
    assert fields["body.colour"] == "unknown field"
    assert "body.name" in fields


@pytest.mark.parametrize(
    ("stated", "errors"),
    [
        pytest.param({"goal": 5}, {"body.goal": "an object is expected"}, id="no object"),
        pytest.param({"goal": {}}, {"body.goal.metric": "required"}, id="a field is missing"),
        pytest.param({"control": 1}, {"body.control": "text is expected"}, id="no text"),
        pytest.param({"treatments": 1}, {"body.treatments": "a list is expected"}, id="no list"),
        pytest.param(
            {"treatments": []}, {"body.treatments": "too few items: at least 1"}, id="empty"
        ),
        pytest.param(
            {"treatments": ["2.0.0"]},
            {"body.treatments[0]": "an object is expected"},
            id="a list is not too short for what it holds",
        ),
    ],
)
async def test_what_is_malformed_is_said_in_the_words_of_json(
    client: AsyncClient, stated: dict[str, object], errors: dict[str, str]
):
    plan = {
        "key": "new-model",
        "control": "1.0.0",
        "treatments": [{"version": "2.0.0"}],
        "goal": {"metric": "accuracy"},
    }
    response = await client.post("models/fraud-detection/experiments", json=plan | stated)

    assert response.status_code == 422
    found = {error["field"]: error["reason"] for error in response.json()["errors"]}
    assert found == errors


async def test_of_a_body_that_is_wrong_all_over_not_everything_is_told(client: AsyncClient):
    wrong = {f"field-{number}": number for number in range(5_000)}
    problem = (await client.post("models", json=MODEL | wrong)).json()

    assert len(problem["errors"]) == 100
    assert problem["errors"][99] == {"field": "body.field-99", "reason": "unknown field"}
    assert problem["detail"] == "body.field-0: unknown field (and 4999 more)"


COUNTED = {"edges": [1, 2], "counts": "many"}
MISSING = {"edges": [1, 2]}
LIMITLESS = {"staging": {"gates": [{"kind": "metric", "metric": "auc"}]}}


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        pytest.param(
            "POST",
            "versions",
            {"version": "1.0.0", "metrics": {"<auc>": "high"}},
            {"body.metrics.<auc>"},
            id="a key in angle brackets",
        ),
        pytest.param(
            "POST",
            "versions",
            {"version": "1.0.0", "runtime": {"kind": "http", "<host>": 1}},
            {"body.runtime.url", "body.runtime.<host>"},
            id="a field of a kind, and one that is missing",
        ),
        pytest.param(
            "PUT",
            "versions/1.0.0/baseline",
            {"features": [1]},
            {"body.features"},
            id="a list where a form has an object",
        ),
        pytest.param("PUT", "gate-policy", LIMITLESS, {"body.staging.gates[0]"}, id="a whole kind"),
        pytest.param(
            "PUT",
            "versions/1.0.0/baseline",
            {"features": {"<amount>": COUNTED}},
            {"body.features.<amount>.counts"},
            id="a field of a form",
        ),
        pytest.param(
            "PUT",
            "versions/1.0.0/baseline",
            {"features": {"amount": MISSING}},
            {"body.features.amount.counts"},
            id="a field that a form misses",
        ),
    ],
)
async def test_what_is_malformed_is_named_by_where_it_stands(
    client: AsyncClient, method: str, path: str, body: dict[str, object], fields: set[str]
):
    response = await client.request(method, f"models/fraud-detection/{path}", json=body)

    assert response.status_code == 422
    assert {error["field"] for error in response.json()["errors"]} == fields


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_json_that_is_not_json_is_refused(client: AsyncClient, number: str):
    response = await client.post(
        "models/fraud-detection/versions",
        content=f'{{"version": "1.0.0", "metadata": {{"seen": {number}}}}}',
        headers={"content-type": "application/json"},
    )

    assert response.status_code == 422
    assert "is not JSON" in response.json()["detail"]


async def test_an_unknown_path_and_a_wrong_method_are_problem_documents(client: AsyncClient):
    missing = await client.get("no-such-thing")
    wrong = await client.delete("rollouts")

    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.headers["content-type"] == "application/problem+json"
    assert wrong.headers["content-type"] == "application/problem+json"


async def test_a_body_over_the_limit_is_413(client: AsyncClient):
    response = await client.post("models", json={"name": "x", "description": "x" * 17_000_000})

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("cursor", ["%%%", "bm90IGpzb24", "e30", "🚂"])
async def test_a_foreign_cursor_is_refused(client: AsyncClient, cursor: str):
    response = await client.get("models", params={"cursor": cursor})

    assert response.status_code == 422
    assert "next_cursor" in response.json()["detail"]


async def test_pages_follow_each_other_without_gap_or_repetition(client: AsyncClient):
    names = [f"model-{i}" for i in range(5)]
    for name in names:
        await client.post("models", json={"name": name})

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("models", params=query)).json()
        seen += [model["name"] for model in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert sorted(seen) == names


async def test_a_request_sent_again_with_its_key_is_answered_again(client: AsyncClient):
    """Also by another name of the service."""
    headers = {"Idempotency-Key": "k-1"}

    first = await client.post("models", json=MODEL, headers=headers)
    again = await client.post("http://other.test/api/v1/models", json=MODEL, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await client.get("models")).json()["items"]) == 1


async def test_the_answer_is_kept_with_the_change(live_client: AsyncClient):
    """On connections of their own: an answer stored before its key is committed is lost."""
    headers = {"Idempotency-Key": "k-1"}

    first = await live_client.post("models", json=MODEL, headers=headers)
    again = await live_client.post("models", json=MODEL, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_key_used_for_another_request_is_refused(client: AsyncClient):
    headers = {"Idempotency-Key": "k-1"}
    await client.post("models", json=MODEL, headers=headers)

    response = await client.post("models", json={"name": "other"}, headers=headers)

    assert response.status_code == 422
    assert response.json()["type"] == "urn:turnout:problem:key-reused"


async def test_a_refused_request_does_not_use_up_its_key(client: AsyncClient):
    headers = {"Idempotency-Key": "k-1"}
    await client.post("models", json=MODEL)
    refused = await client.post("models", json=MODEL, headers=headers)
    await client.delete("models/fraud-detection")

    response = await client.post("models", json=MODEL, headers=headers)

    assert (refused.status_code, response.status_code) == (409, 201)


def test_every_post_that_changes_something_heeds_its_key():
    """But for one, which removes files when its transaction is over."""
    app = create_app(
        Settings(_env_file=None),  # type: ignore[call-arg]
        db.create_engine("postgresql://nobody@127.0.0.1:1/nothing"),
    )

    def calls(dependant: Dependant) -> Iterator[object]:
        yield dependant.call
        for one in dependant.dependencies:
            yield from calls(one)

    heedless = {
        route.original_route.endpoint.__name__
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, GuardedRoute)
        and "POST" in (route.methods or ())
        and http.unit_of_work not in calls(route.original_route.dependant)
    }
    predictions = {"predict", "predict_batch", "predict_text", "infer", "infer_version"}
    flags = {"assign_version", "evaluate_flag", "evaluate_flags"}
    assert heedless == {"clean_up_model", "refuse_other_endpoint"} | predictions | flags


async def test_two_requests_with_one_key_at_once_are_one(live_client: AsyncClient):
    headers = {"Idempotency-Key": "k-1"}

    answers = await asyncio.gather(
        *(live_client.post("models", json=MODEL, headers=headers) for _ in range(4))
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(201) >= 1
    assert set(statuses) <= {201, 409}
    assert len((await live_client.get("models")).json()["items"]) == 1


async def test_a_database_that_is_away_is_503_and_readiness_says_so(settings: Settings):
    engine = db.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    app = create_app(settings, engine)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/api/v1/models")
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")
    await engine.dispose()

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (ready.status_code, ready.json()["database"]) == (503, False)
    assert alive.status_code == 200


def test_a_location_reads_like_a_path():
    assert location(("body", "stages", 1, "weight")) == "body.stages[1].weight"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (ConnectionRefusedError(), True),
        (asyncpg.CannotConnectNowError(), True),
        (DBAPIError("select 1", None, asyncpg.AdminShutdownError()), True),
        (DBAPIError("select 1", None, asyncpg.UniqueViolationError()), False),
        (ValueError(), False),
    ],
    ids=repr,
)
def test_a_lost_connection_is_told_from_a_wrong_statement(error: Exception, lost: bool):
    assert lost_connection(error) is lost


async def test_the_documentation_is_served_from_the_package(client: AsyncClient):
    page = (await client.get("http://test/docs")).text

    assert "http" not in page.replace("http://test", "").replace("dom_id", "")
    for path in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "LICENSE"):
        assert (await client.get(f"http://test/static/swagger-ui/{path}")).status_code == 200


async def test_every_operation_is_described_for_its_user(client: AsyncClient):
    document = (await client.get("http://test/openapi.json")).json()
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }

    assert {"promote_rollout", "rollback_rollout", "register_version"} <= set(operations)
    for name, operation in operations.items():
        assert operation.get("summary"), name
        assert len(operation.get("description", "")) > 30, name
