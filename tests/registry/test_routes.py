from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.registry.requests import UPLOAD, VERSIONS, refused, register
from turnout.gates import examples as gate_examples
from turnout.registry import examples


async def test_a_model_from_registration_to_deletion(client: AsyncClient, clock: Any) -> None:
    body = {"name": "churn-predictor", "owner": "growth", "tags": ["weekly"], "reason": "new"}
    created = await client.post("models", json=body)
    assert created.status_code == 201
    clock.advance(timedelta(hours=1))

    patch = {"description": "Who leaves next.", "owner": None, "tags": ["daily"]}
    edited = await client.patch("models/churn-predictor", json=patch)

    assert edited.json() == created.json() | {
        "description": "Who leaves next.",
        "owner": None,
        "tags": ["daily"],
        "updated_at": "2026-03-02T13:00:00Z",
    }
    assert (await client.get("models/churn-predictor")).json() == edited.json()
    assert (await client.delete("models/churn-predictor?reason=done")).status_code == 204
    assert "no model 'churn-predictor'" in refused(await client.get("models/churn-predictor"), 404)


async def test_models_are_listed_by_name_page_by_page(client: AsyncClient) -> None:
    for name in ("b", "a", "B", "c"):
        await client.post("models", json={"name": name})
    names, cursor = [], ""
    while cursor is not None:
        page = (await client.get(f"models?limit=3{cursor and f'&cursor={cursor}'}")).json()
        names += [model["name"] for model in page["items"]]
        cursor = page["next_cursor"]

    assert names == ["B", "a", "b", "c"]


async def test_a_version_is_answered_in_full(client: AsyncClient) -> None:
    answer = await register(
        client, "v1.0", metrics={"auc": 0.9}, metadata={"deep": [1]}, reason="first one"
    )

    assert answer == {
        "id": answer["id"],
        "model": "fraud-detection",
        "version": "1.0.0",
        "stage": "development",
        "description": "",
        "owner": None,
        "tags": [],
        "metrics": {"auc": 0.9},
        "group_metrics": {},
        "run_id": None,
        "dataset_version": None,
        "dependencies": [],
        "changelog": "",
        "metadata": {"deep": [1]},
        "aliases": [],
        "parent_version": None,
        "signature": None,
        "artifact": None,
        "uploaded": False,
        "runtime": {"kind": "external"},
        "created_at": "2026-03-02T12:00:00Z",
        "created_by": "developer",
        "updated_at": "2026-03-02T12:00:00Z",
    }
    shown = await client.get(f"{VERSIONS}/v1.0")
    assert shown.json() == answer | {"history": []}


@pytest.mark.parametrize("name", [*examples.VERSION])
async def test_the_documented_registrations_work_as_sent(client: AsyncClient, name: str) -> None:
    response = await client.post(VERSIONS, json=examples.VERSION[name]["value"])

    assert response.status_code == 201, response.text


async def test_the_documented_edits_and_moves_work_as_sent(client: AsyncClient) -> None:
    assert (
        await client.post("models", json=examples.MODEL["fraud detection"]["value"])
    ).status_code == 201
    await register(client)
    for example in gate_examples.TRANSITION.values():
        moved = await client.post(f"{VERSIONS}/1.0.0/transitions", json=example["value"])
        assert moved.status_code == 200, moved.text
    for path, example in (
        ("models/fraud-detection", examples.MODEL_EDIT),
        (f"{VERSIONS}/1.0.0", examples.VERSION_EDIT),
    ):
        for edit in example.values():
            edited = await client.patch(path, json=edit["value"])
            assert edited.status_code == 200, edited.text


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        pytest.param(
            VERSIONS, {"version": "1.0"}, 409, "1.0.0 is registered already", id="registered twice"
        ),
        pytest.param(
            VERSIONS, {"version": "1"}, 422, "body.version: '1' is not a semantic", id="no version"
        ),
        pytest.param(
            VERSIONS,
            {"version": "2.0.0", "licence": "MIT"},
            422,
            "body.licence: unknown field",
            id="unknown field",
        ),
        pytest.param(
            "models/-bad/versions",
            {"version": "1.0.0"},
            422,
            "path.model: a model's name has",
            id="malformed model name",
        ),
        pytest.param("models", {"name": "fraud-detection"}, 409, "already", id="model twice"),
        pytest.param("models", {"name": "a b"}, 422, "body.name", id="malformed name of a model"),
    ],
)
async def test_registrations_that_are_refused(
    client: AsyncClient, path: str, body: dict[str, Any], status: int, sentence: str
) -> None:
    await register(client)

    assert sentence in refused(await client.post(path, json=body), status)


async def test_nan_is_not_json(client: AsyncClient) -> None:
    body = b'{"version": "1.0.0", "metrics": {"auc": NaN}}'
    response = await client.post(
        VERSIONS, content=body, headers={"content-type": "application/json"}
    )

    assert "NaN is not JSON" in response.text
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        pytest.param("", ["2.0.0", "2.0.0-rc.1", "1.0.0"], id="all"),
        pytest.param("?stage=staging", ["2.0.0-rc.1"], id="stage"),
        pytest.param("?tag=a", ["2.0.0", "1.0.0"], id="tag"),
        pytest.param("?tag=a&tag=b", ["2.0.0"], id="two tags"),
        pytest.param("?metric.auc.min=0.9", ["2.0.0", "2.0.0-rc.1"], id="smallest value"),
        pytest.param("?metric.auc.min=0.85&metric.auc.max=0.9", ["2.0.0-rc.1"], id="range"),
        pytest.param("?metric.top.1.min=0.5", ["1.0.0"], id="a dot in the metric's name"),
        pytest.param("?tag=a&metric.auc.max=0.9&stage=development", ["1.0.0"], id="all at once"),
    ],
)
async def test_versions_by_condition(client: AsyncClient, query: str, versions: list[str]) -> None:
    await register(client, "1.0.0", tags=["a"], metrics={"auc": 0.8, "top.1": 0.6})
    await register(client, "2.0.0-rc.1", metrics={"auc": 0.9})
    await register(client, "2.0.0", tags=["b", "a"], metrics={"auc": 0.95})
    await client.post(f"{VERSIONS}/2.0.0-rc.1/transitions", json={"to": "staging"})

    page = (await client.get(VERSIONS + query)).json()

    assert [version["version"] for version in page["items"]] == versions
    assert page["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("stage=retired", "query.stage"),
        ("metric.auc.least=1", "query.metric.auc.least is not a filter"),
        ("metric.auc=1", "query.metric.auc is not a filter"),
        ("stagee=staging", "query.stagee is not a filter"),
        ("metric.auc.min=high", "query.metric.auc.min is a number, such as 0.9, not 'high'"),
        ("metric.auc.min=nan", "query.metric.auc.min is a number"),
        ("metric.auc.min=1e999", "query.metric.auc.min is a number"),
        ("metric.a%00.min=1", "is not a filter"),
        ("&".join(["metric.auc.min=0"] * 51), "at most 50 conditions on metrics"),
        ("tag=%00", "query.tag[0]: control"),
        ("limit=0", "query.limit"),
        ("limit=501", "query.limit"),
        ("cursor=x", "query.cursor"),
        ("cursor=WzFd", "cursor is not one of this list"),
        ("cursor=WyJhIiw5OTk5OTk5OTk5OTk5XQ", "cursor is not one of this list"),
    ],
)
async def test_filters_that_are_refused(client: AsyncClient, query: str, sentence: str) -> None:
    await register(client)
    response = await client.get(f"{VERSIONS}?{query}")

    told = refused(response, 422)
    assert sentence in told or sentence in str(response.json())


async def test_versions_page_by_page(client: AsyncClient) -> None:
    for version in ("1.0.0", "1.0.0+b", "1.10.0", "1.9.0"):
        await register(client, version)
    first = (await client.get(f"{VERSIONS}?limit=2")).json()
    rest = (await client.get(f"{VERSIONS}?limit=2&cursor={first['next_cursor']}")).json()

    listed = [version["version"] for page in (first, rest) for version in page["items"]]
    assert listed == ["1.10.0", "1.9.0", "1.0.0+b", "1.0.0"]
    assert rest["next_cursor"] is None


async def test_suggestions_follow_the_newest_version(client: AsyncClient) -> None:
    await client.post("models", json={"name": "fraud-detection"})
    assert (await client.get(f"{VERSIONS}/next")).json() == {
        "major": "1.0.0",
        "minor": "0.1.0",
        "patch": "0.0.1",
        "prerelease": "0.0.1-rc.1",
    }

    for version in ("1.10.0", "1.9.0"):
        await register(client, version)

    assert (await client.get(f"{VERSIONS}/next")).json() == {
        "major": "2.0.0",
        "minor": "1.11.0",
        "patch": "1.10.1",
        "prerelease": "1.10.1-rc.1",
    }


async def test_the_life_of_a_version(client: AsyncClient) -> None:
    await register(client)
    assert "no version in production" in refused(await client.get(f"{VERSIONS}/current"), 404)

    moves = [
        await client.post(
            f"{VERSIONS}/1.0.0/transitions", json={"to": stage, "reason": f"to {stage}"}
        )
        for stage in ("staging", "production")
    ]

    assert [move.json()["stage"] for move in moves] == ["staging", "production"]
    current = (await client.get(f"{VERSIONS}/current")).json()
    history = current["history"]
    assert [(step["from_stage"], step["to_stage"], step["reason"]) for step in history] == [
        ("development", "staging", "to staging"),
        ("staging", "production", "to production"),
    ]
    assert current["version"] == "1.0.0"
    assert "in production" in refused(await client.delete(f"{VERSIONS}/1.0.0"), 409)


async def test_a_refused_move_says_which_are_allowed(client: AsyncClient) -> None:
    await register(client)
    response = await client.post(f"{VERSIONS}/1.0.0/transitions", json={"to": "production"})

    refused(response, 409)
    assert response.json()["allowed"] == ["staging", "rejected", "archived"]
    assert response.json()["stage"] == "development"


async def test_an_edit_merges_objects_and_replaces_lists(client: AsyncClient) -> None:
    await register(client, metrics={"auc": 0.9, "f1": 0.8}, tags=["a", "b"], owner="ml")
    response = await client.patch(
        f"{VERSIONS}/1.0.0",
        json={"metrics": {"auc": 0.91, "f1": None, "recall": 1}, "tags": ["c"], "owner": None},
    )

    assert response.status_code == 200
    edited = response.json()
    assert edited["metrics"] == {"auc": 0.91, "recall": 1.0}
    assert edited["tags"] == ["c"]
    assert edited["owner"] is None
    found = (await client.get(f"{VERSIONS}?tag=c")).json()["items"]
    assert [version["version"] for version in found] == ["1.0.0"]


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        pytest.param({"metrics": {"auc": "high"}}, "body.metrics.auc: a metric is", id="no number"),
        pytest.param(
            {"runtime": {"kind": "onnx"}}, "body.runtime: unknown field", id="the runtime"
        ),
        pytest.param({"version": "2.0.0"}, "body.version: unknown field", id="the version"),
        pytest.param({"stage": "production"}, "body.stage: unknown field", id="the stage"),
        pytest.param({"reason": 7}, "body.reason", id="a reason that is no text"),
        pytest.param({"metrics": []}, "body.metrics", id="a list for an object"),
        pytest.param([1], "body", id="a list"),
    ],
)
async def test_edits_that_are_refused(client: AsyncClient, patch: Any, sentence: str) -> None:
    before = await register(client, metrics={"auc": 0.9})
    response = await client.patch(f"{VERSIONS}/1.0.0", json=patch)

    assert sentence in refused(response, 422)
    assert (await client.get(f"{VERSIONS}/1.0.0")).json() == before | {"history": []}


async def test_every_change_is_audited(client: AsyncClient, session: AsyncSession) -> None:
    await register(client, reason="one")
    await client.patch(f"{VERSIONS}/1.0.0", json={"owner": "ml", "reason": "two"})
    await client.put(f"{UPLOAD}?reason=three", content=b"file")
    await client.post(f"{VERSIONS}/1.0.0/transitions", json={"to": "archived", "reason": "four"})
    await client.patch("models/fraud-detection", json={"owner": "ml", "reason": "five"})
    await client.delete(f"{VERSIONS}/1.0.0?reason=six")
    await client.delete("models/fraud-detection?reason=seven")

    rows = await session.execute(text("SELECT action, reason FROM audit_entry ORDER BY id"))
    assert [tuple(row) for row in rows] == [
        ("model.registered", "one"),
        ("version.registered", "one"),
        ("version.edited", "two"),
        ("version.artifact_attached", "three"),
        ("version.transitioned", "four"),
        ("model.edited", "five"),
        ("version.deleted", "six"),
        ("model.deleted", "seven"),
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "models/none"),
        ("GET", "models/none%00"),
        ("PATCH", "models/none"),
        ("DELETE", "models/none"),
        ("GET", "models/none/versions"),
        ("GET", "models/none/versions/next"),
        ("GET", "models/none/versions/current"),
        ("GET", "models/fraud-detection/versions/9.9.9"),
        ("PATCH", "models/fraud-detection/versions/9.9.9"),
        ("DELETE", "models/fraud-detection/versions/9.9.9"),
        ("PUT", "models/fraud-detection/versions/9.9.9/artifact"),
        ("GET", "models/fraud-detection/versions/9.9.9/artifact"),
    ],
)
async def test_what_is_not_there(client: AsyncClient, method: str, path: str) -> None:
    await register(client)
    body = {"owner": "ml"} if method == "PATCH" else None

    refused(await client.request(method, path, json=body), 404)


async def test_a_path_with_a_malformed_version(client: AsyncClient) -> None:
    await register(client)

    assert "write major.minor.patch" in refused(await client.get(f"{VERSIONS}/latest"), 422)
