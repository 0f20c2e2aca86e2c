"""Flags over HTTP, as the specification of OFREP says."""

import asyncio
from typing import Any
from urllib.parse import unquote

from httpx2 import AsyncClient, Response

URL = "http://test/ofrep/v1/evaluate/flags"
USER = {"targetingKey": "user-42"}


async def evaluate(client: AsyncClient, key: str = "", **context: object) -> Response:
    return await client.post(f"{URL}/{key}" if key else URL, json={"context": context})


async def test_a_flag_is_the_version_that_the_unit_gets(flags: AsyncClient) -> None:
    assigned = await flags.post("models/fraud-detection/assign", json={"unit": "user-42"})
    found = (await evaluate(flags, "fraud-detection", **USER)).json()

    metadata = found.pop("metadata")
    assert found == {
        "key": "fraud-detection",
        "value": assigned.json()["version"],
        "reason": "SPLIT",
        "variant": assigned.json()["variant"],
    }
    report = {name: metadata[name] for name in ("prediction_id", "split_id")}
    report |= {"version": found["value"], "unit": "user-42", "at": "2026-03-02T12:00:00Z"}
    kept = await flags.post(
        "models/fraud-detection/observations", json={"batch_id": "1", "predictions": [report]}
    )
    assert kept.json()["accepted"] == 1, kept.text


async def test_the_reason_tells_how_it_was_chosen(flags: AsyncClient) -> None:
    aimed = {"country": "DE"}
    for key, context, found in (
        ("churn", {}, ("1.0.0", "STATIC", "1.0.0")),
        ("fraud-detection", {**USER, **aimed}, ("2.0.0", "TARGETING_MATCH", "2.0.0")),
        # without a unit, and with what no rule can aim at
        ("fraud-detection", {**aimed, "cart": {}}, ("2.0.0", "TARGETING_MATCH", "2.0.0")),
    ):
        answer = (await evaluate(flags, key, **context)).json()

        assert (answer["value"], answer["reason"], answer["variant"]) == found


async def test_an_experiment_is_a_flag_also_when_it_is_over(flags: AsyncClient) -> None:
    running = (await evaluate(flags, "ranking-test", **USER)).json()
    (listed,) = (await flags.get("experiments")).json()["items"]
    stopped = await flags.post(f"experiments/{listed['id']}/stop", json={"reason": "enough"})
    assert stopped.is_success, stopped.text
    over = await evaluate(flags, "ranking-test", **USER)

    assert running["metadata"]["experiment"] == "ranking-test"
    assert running["variant"] in {"control", "treatment", "2.0.0"}
    assert over.status_code == 200, over.text


REFUSALS: list[tuple[str, Any, int, str]] = [
    ("nothing", {"context": USER}, 404, "FLAG_NOT_FOUND"),
    ("a%00", {"context": USER}, 404, "FLAG_NOT_FOUND"),
    ("idle", {"context": USER}, 404, "FLAG_NOT_FOUND"),
    ("fraud-detection", {}, 400, "TARGETING_KEY_MISSING"),
    ("fraud-detection", {"context": {"targetingKey": ""}}, 400, "TARGETING_KEY_MISSING"),
    ("churn", {"context": {"targetingKey": 42}}, 400, "INVALID_CONTEXT"),
    ("churn", {"context": {"targetingKey": "x" * 201}}, 400, "INVALID_CONTEXT"),
    ("churn", {"context": {"targetingKey": "\x00"}}, 400, "INVALID_CONTEXT"),
    ("churn", {"context": "user"}, 400, "INVALID_CONTEXT"),
    ("churn", b"{", 400, "PARSE_ERROR"),
    ("churn", b"", 400, "PARSE_ERROR"),
    ("churn", b'{"context": {"a": ' + b"[" * 100_000, 400, "PARSE_ERROR"),
]


async def test_a_refusal_has_the_codes_of_openfeature(flags: AsyncClient) -> None:
    for key, body, status, code in REFUSALS:
        content: Any = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = await flags.post(f"{URL}/{key}", **content)

        assert answer.status_code == status, (key, body, answer.text)
        found = answer.json()
        assert (found["key"], found["errorCode"]) == (unquote(key), code)
        assert found["errorDetails"] == found["detail"]


async def test_all_flags_are_asked_for_at_once_and_kept(flags: AsyncClient) -> None:
    first = await evaluate(flags, **USER)
    again = await evaluate(flags, **USER)
    # One may be given by chance what user-42 is given; not all of them.
    others = [await evaluate(flags, targetingKey=f"user-{n}") for n in range(40)]
    tag = first.headers["etag"]
    known = await flags.post(
        URL, json={"context": USER}, headers={"If-None-Match": f'"x", W/{tag}'}
    )
    split = {"variants": [{"version": "2.0.0", "weight": 100}]}
    moved = await flags.put("models/churn/split", json=split)
    assert moved.status_code == 200, moved.text
    async with asyncio.timeout(60):
        while (await flags.post("models/churn/assign", json={})).json()["version"] != "2.0.0":
            await asyncio.sleep(0.01)
    changed = await flags.post(URL, json={"context": USER}, headers={"If-None-Match": tag})

    keys = [found["key"] for found in first.json()["flags"]]
    assert keys == ["churn", "fraud-detection", "ranking", "ranking-test", "turns"]
    assert first.content == again.content
    assert "prediction_id" not in first.text
    assert {other.headers["etag"] for other in others} - {tag}
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert changed.json()["flags"][0]["value"] == "2.0.0"


async def test_in_bulk_what_is_split_needs_a_unit(flags: AsyncClient) -> None:
    found = {one["key"]: one for one in (await evaluate(flags)).json()["flags"]}

    assert found["churn"]["reason"] == "STATIC"
    for key in ("fraud-detection", "turns", "ranking-test"):
        assert found[key]["errorCode"] == "TARGETING_KEY_MISSING"


async def test_bulk_evaluations_take_no_turns(flags: AsyncClient) -> None:
    async def turn() -> str:
        version: str = (await evaluate(flags, "turns", **USER)).json()["value"]
        return version

    first = await turn()
    await evaluate(flags, **USER)

    assert await turn() != first


async def test_a_key_for_some_models_sees_their_flags(flags: AsyncClient) -> None:
    async def made(**wanted: object) -> dict[str, str]:
        key = await flags.post("api-keys", json=wanted, headers=headers)
        assert key.status_code == 201, key.text
        return {"X-API-Key": key.json()["key"]}

    headers: dict[str, str] = {}
    headers = await made(name="admin", role="admin")
    confined = await made(name="web", role="recorder", models=["churn"])

    answers = {
        key: await flags.post(f"{URL}/{key}", json={"context": USER}, headers=confined)
        for key in ("churn", "fraud-detection", "ranking-test", "nothing")
    }
    every = await flags.post(URL, json={"context": USER}, headers=confined)
    nobody = await flags.post(URL, json={"context": USER})

    assert {key: answer.status_code for key, answer in answers.items()} == {
        "churn": 200,
        "fraud-detection": 403,
        "ranking-test": 403,
        "nothing": 403,
    }
    assert answers["nothing"].json()["errorCode"] == "GENERAL"
    hidden = answers["ranking-test"]  # what it is about is nobody's business who may not see it
    assert hidden.text.replace("ranking-test", "nothing").count("ranking") == 0
    assert hidden.json()["errorCode"] == answers["nothing"].json()["errorCode"]
    assert [flag["key"] for flag in every.json()["flags"]] == ["churn"]
    assert nobody.status_code == 401
