import base64
import json
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.gates.people import As
from tests.registry.requests import VERSIONS, refused, register
from turnout.gates import examples

POLICY = "models/fraud-detection/gate-policy"
ACCURATE: dict[str, Any] = {"kind": "metric", "metric": "accuracy", "min": 0.85}


async def put(client: AsyncClient, *gates: dict[str, Any], **stage: Any) -> dict[str, Any]:
    body = {"production": {"gates": list(gates), **stage}}
    response = await client.put(POLICY, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def move(client: AsyncClient, to: str, version: str = "1.0.0", **body: Any) -> Response:
    return await client.post(f"{VERSIONS}/{version}/transitions", json={"to": to, **body})


async def stage(client: AsyncClient, version: str = "1.0.0") -> str:
    found: str = (await client.get(f"{VERSIONS}/{version}")).json()["stage"]
    return found


async def staged(client: AsyncClient, version: str = "1.0.0", **fields: Any) -> None:
    await register(client, version, **fields)
    assert (await move(client, "staging", version)).status_code == 200


def results(report: dict[str, Any]) -> dict[str, str]:
    return {
        check["name"]: check["result"] for found in report["findings"] for check in found["checks"]
    }


async def test_without_a_policy_nothing_stands_in_the_way(client: AsyncClient) -> None:
    await staged(client)
    moved = await move(client, "production")

    assert moved.json() == {
        "model": "fraud-detection",
        "version": "1.0.0",
        "from_stage": "staging",
        "stage": "production",
        "report": None,
    }
    assert "has a gate policy" in refused(await client.get(POLICY), 404)
    assert "no default" in refused(await client.get("gate-policy"), 404)


async def test_a_version_that_passes_moves_and_answers_its_report(client: AsyncClient) -> None:
    await staged(client, metrics={"accuracy": 0.9})
    policy = await put(client, ACCURATE)
    moved = (await move(client, "production", reason="looks good")).json()

    report = moved["report"]
    assert (moved["stage"], report["verdict"], report["outcome"]) == ("production", "pass", "moved")
    assert (report["policy_model"], report["policy_revision"]) == ("fraud-detection", 1)
    assert (report["actor"], report["reason"]) == ("developer", "looks good")
    assert report["findings"] == [
        {
            "gate": policy["production"]["gates"][0],
            "checks": [
                {
                    "name": "accuracy at least 0.85",
                    "result": "pass",
                    "value": 0.9,
                    "limit": 0.85,
                    "reason": "accuracy is 0.9, at least 0.85",
                }
            ],
            "ran_at": None,
        }
    ]
    listed = (await client.get(f"{VERSIONS}/1.0.0/gates")).json()
    assert listed == {"items": [report], "next_cursor": None}


async def test_a_version_that_fails_stays_where_it_is(client: AsyncClient) -> None:
    await staged(client, metrics={"accuracy": 0.8})
    await put(client, ACCURATE)
    response = await move(client, "production")

    assert refused(response, 409) == (
        "fraud-detection 1.0.0 may not enter production."
        " accuracy at least 0.85: accuracy is 0.8, not at least 0.85"
    )
    assert response.json()["type"] == "urn:turnout:problem:gates-not-passed"
    assert response.json()["report"]["outcome"] == "stayed"
    assert await stage(client) == "staging"
    listed = (await client.get(f"{VERSIONS}/1.0.0/gates")).json()["items"]
    assert listed == [response.json()["report"]]


async def test_a_version_that_fails_is_rejected_where_the_policy_says_so(
    client: AsyncClient, session: AsyncSession
) -> None:
    await staged(client, metrics={"accuracy": 0.8})
    await put(client, ACCURATE, on_failure="reject")
    response = await move(client, "production")

    assert "may not enter production and is rejected" in refused(response, 409)
    assert response.json()["stage"] == await stage(client) == "rejected"
    history = (await client.get(f"{VERSIONS}/1.0.0")).json()["history"]
    assert history[-1]["reason"].startswith("gates before production not passed: accuracy is 0.8")


@pytest.mark.parametrize(
    "gate",
    [
        pytest.param({"kind": "approvals", "owner": True}, id="a sign-off is still to come"),
        pytest.param({"kind": "evidence"}, id="evidence is still to come"),
        pytest.param({"kind": "entry_point", "name": "not-installed"}, id="a gate could not say"),
    ],
)
async def test_nobody_is_rejected_for_what_is_not_their_fault(
    client: AsyncClient, gate: dict[str, Any]
) -> None:
    await staged(client, metrics={"accuracy": 0.9})
    await put(client, gate, ACCURATE, on_failure="reject")

    assert (await move(client, "production")).status_code == 409
    assert await stage(client) == "staging"


async def test_a_version_is_compared_with_the_one_in_production(client: AsyncClient) -> None:
    await staged(client, "1.0.0", metrics={"auc": 0.9})
    await move(client, "production", "1.0.0")
    await staged(client, "2.0.0", metrics={"auc": 0.85})
    await put(client, {"kind": "no_regression", "metric": "auc", "margin": 0.01})
    report = (await move(client, "production", "2.0.0")).json()["report"]

    assert report["compared_with"] == "1.0.0"
    assert report["findings"][0]["checks"][0]["reason"] == (
        "auc is 0.85, 0.05 worse than 0.9 of 1.0.0 in production"
    )


async def test_a_dry_run_moves_nothing_and_is_kept(client: AsyncClient) -> None:
    await staged(client, metrics={"accuracy": 0.8})
    await put(client, ACCURATE, on_failure="reject")
    ran = await client.post(f"{VERSIONS}/1.0.0/gates", json={"to": "production"})

    assert ran.status_code == 200
    assert (ran.json()["verdict"], ran.json()["outcome"]) == ("fail", "dry_run")
    assert await stage(client) == "staging"
    assert len((await client.get(f"{VERSIONS}/1.0.0/gates")).json()["items"]) == 1


async def test_a_dry_run_needs_gates(client: AsyncClient) -> None:
    await register(client)
    asked = f"{VERSIONS}/1.0.0/gates"

    assert "no gate stands" in refused(await client.post(asked, json={"to": "production"}), 409)
    assert "not for archived" in refused(await client.post(asked, json={"to": "archived"}), 422)


async def test_reports_are_listed_page_by_page_newest_first(client: AsyncClient) -> None:
    await staged(client)
    await put(client, ACCURATE)
    ids = [
        (await client.post(f"{VERSIONS}/1.0.0/gates", json={"to": "production"})).json()["id"]
        for _ in range(3)
    ]
    first = (await client.get(f"{VERSIONS}/1.0.0/gates?limit=2")).json()
    rest = (
        await client.get(f"{VERSIONS}/1.0.0/gates?limit=2&cursor={first['next_cursor']}")
    ).json()

    assert [row["id"] for row in first["items"] + rest["items"]] == ids[::-1]


async def test_a_cursor_of_another_list_is_refused(client: AsyncClient) -> None:
    await register(client)
    for position in ([2**40], [-1], ["x"]):
        cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
        listed = await client.get(f"{VERSIONS}/1.0.0/gates?cursor={cursor}")
        assert "not one of this list" in refused(listed, 422)


async def test_a_report_never_changes(client: AsyncClient, session: AsyncSession) -> None:
    await staged(client, metrics={"accuracy": 0.9})
    await put(client, ACCURATE)
    await move(client, "production")

    with pytest.raises(DBAPIError, match="never changed"):
        await session.execute(text("UPDATE gate_report SET outcome = 'moved'"))


async def test_a_models_policy_stands_in_the_place_of_the_default(client: AsyncClient) -> None:
    await register(client)
    default = await client.put("gate-policy", json={"production": "standard", "reason": "usual"})
    assert default.json()["model"] is None
    assert default.json()["reason"] == "usual"
    assert (await client.get(POLICY)).json() == default.json()

    own = await put(client, ACCURATE)
    assert (await client.get(POLICY)).json() == own
    assert (await put(client, ACCURATE))["revision"] == 2

    assert (await client.delete(f"{POLICY}?reason=gone")).status_code == 204
    assert (await client.get(POLICY)).json() == default.json()
    refused(await client.delete(POLICY), 404)
    assert (await put(client, ACCURATE))["revision"] == 4
    assert (await client.get("gate-policy")).json() == default.json()


async def test_the_standard_policy_is_what_it_says(client: AsyncClient) -> None:
    await staged(
        client,
        metrics={"accuracy": 0.9, "auc": 0.95},
        group_metrics={"young": {"accuracy": 0.81}},
        description="Scores payments.",
        owner="payments-ml",
        dataset_version="2026-02",
        signature={"inputs": [{"name": "x", "dtype": "float32", "shape": [None, 3]}]},
    )
    await client.put("gate-policy", json={"production": "standard"})
    moved = (await move(client, "production")).json()

    assert results(moved["report"]) == {
        "accuracy at least 0.85": "pass",
        "auc at least 0.8": "pass",
        "accuracy not worse than production by more than 0.01": "skipped",
        "auc not worse than production by more than 0.01": "skipped",
        "accuracy of each group at least 0.8": "pass",
        "signature present": "pass",
        "signature compatible with production": "skipped",
        "description, owner, dataset_version given": "pass",
        "p99 latency at most 100 ms": "skipped",
    }


@pytest.mark.parametrize("name", [*examples.POLICY])
async def test_the_documented_policies_work_as_sent(client: AsyncClient, name: str) -> None:
    await staged(client, owner="ml", description="d")
    for path in (POLICY, "gate-policy"):
        put = await client.put(path, json=examples.POLICY[name]["value"])
        assert put.status_code == 200, put.text
    for example in examples.DRY_RUN.values():
        ran = await client.post(f"{VERSIONS}/1.0.0/gates", json=example["value"])
        assert ran.status_code == 200, ran.text
    for example in examples.APPROVAL.values():
        signed = await client.post(f"{VERSIONS}/1.0.0/approvals", json=example["value"])
        assert signed.status_code == 201, signed.text


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({"production": "strict"}, "no ready-made policy", id="an unknown name"),
        pytest.param({"archived": {"gates": []}}, "body.archived: unknown field", id="a stage"),
        pytest.param({"production": {"gates": [{"kind": "magic"}]}}, "gates[0]", id="a kind"),
        pytest.param(
            {"production": {"gates": [{"kind": "metric", "metric": "auc"}]}},
            "a metric gate has a limit",
            id="no limit",
        ),
        pytest.param(
            {"production": {"gates": [ACCURATE, ACCURATE]}}, "gates[1] is there twice", id="twice"
        ),
        pytest.param(
            {"production": {"gates": [{"kind": "metadata", "fields": ["colour"]}]}},
            "'colour' is not said of a version",
            id="an unknown field",
        ),
        pytest.param(
            {"production": {"gates": [{"kind": "webhook", "name": "x", "url": "ftp://x"}]}},
            "write http:// or https://",
            id="no address",
        ),
        pytest.param(
            {"production": {"gates": [{"kind": "latency", "p99_ms": 0}]}}, "p99_ms", id="no time"
        ),
        pytest.param(
            {"production": {"gates": [{"kind": "entry_point", "name": "x", "timeout": "1h"}]}},
            "at most 5 minutes",
            id="for ever",
        ),
    ],
)
async def test_a_malformed_policy(client: AsyncClient, body: dict[str, Any], sentence: str) -> None:
    await register(client)

    assert sentence in refused(await client.put(POLICY, json=body), 422)


async def test_a_policy_is_answered_as_it_can_be_sent_again(client: AsyncClient) -> None:
    await register(client)
    first = (await client.put(POLICY, json=examples.POLICY["your own"]["value"])).json()
    again = {name: first[name] for name in ("staging", "production")}
    second = (await client.put(POLICY, json=again)).json()

    assert again == {name: second[name] for name in ("staging", "production")}


async def test_the_owner_and_another_sign_off(client: AsyncClient, acting: As) -> None:
    with acting("ada"):
        await staged(client, owner="bob")
        await put(client, {"kind": "approvals", "owner": True, "others": 1})
        own = await client.post(f"{VERSIONS}/1.0.0/approvals", json={"to": "production"})
        assert own.status_code == 201
        refusal = refused(await move(client, "production"), 409)
        assert "bob has not approved" in refusal
        assert "only ada approved, who cannot count" in refusal
    for person in ("bob", "kim"):
        with acting(person):
            await client.post(f"{VERSIONS}/1.0.0/approvals", json={"reason": f"by {person}"})
    with acting("ada"):
        moved = await move(client, "production")

    assert results(moved.json()["report"]) == {
        "approved by the owner": "pass",
        "approved by 1 others": "pass",
        "seen by four eyes": "pass",
    }


async def test_the_owner_of_the_model_stands_in_for_that_of_the_version(
    client: AsyncClient, acting: As
) -> None:
    await staged(client)
    await client.patch("models/fraud-detection", json={"owner": "bob"})
    await put(client, {"kind": "approvals", "owner": True})
    with acting("bob"):
        await client.post(f"{VERSIONS}/1.0.0/approvals", json={})

    assert (await move(client, "production")).status_code == 200


async def test_an_approval_is_of_one_version_and_one_stage(client: AsyncClient, acting: As) -> None:
    await staged(client, "1.0.0")
    await staged(client, "2.0.0")
    await put(client, {"kind": "approvals", "others": 1})
    with acting("kim"):
        await client.post(f"{VERSIONS}/1.0.0/approvals", json={"to": "production"})
        await client.post(f"{VERSIONS}/2.0.0/approvals", json={"to": "staging"})

    assert (await move(client, "production", "2.0.0")).status_code == 409
    assert (await move(client, "production", "1.0.0")).status_code == 200


async def test_an_approval_is_withdrawn_by_who_gave_it(
    client: AsyncClient, acting: As, session: AsyncSession
) -> None:
    await staged(client)
    await put(client, {"kind": "approvals", "others": 1})
    given = f"{VERSIONS}/1.0.0/approvals"
    with acting("kim"):
        approval = (await client.post(given, json={})).json()
        assert "kim has approved 1.0.0" in refused(await client.post(given, json={}), 409)
    assert "of kim" in refused(await client.delete(f"{given}/{approval['id']}"), 409)
    with acting("kim"):
        withdrawn = await client.delete(f"{given}/{approval['id']}?reason=second+thoughts")
        assert "already" in refused(await client.delete(f"{given}/{approval['id']}"), 409)

    assert withdrawn.json() == approval | {"withdrawn_at": "2026-03-02T12:00:00Z"}
    assert (await move(client, "production")).status_code == 409
    assert (await client.get(given)).json() == {"items": [withdrawn.json()]}
    refused(await client.delete(f"{given}/{approval['id'] + 1}"), 404)
    with acting("kim"):
        assert (await client.post(given, json={})).status_code == 201  # a third thought


async def test_every_change_is_audited(
    client: AsyncClient, session: AsyncSession, acting: As
) -> None:
    await register(client)
    await client.put(POLICY, json={"production": "standard", "reason": "one"})
    await client.delete(f"{POLICY}?reason=two")
    with acting("kim"):
        given = f"{VERSIONS}/1.0.0/approvals"
        approval = (await client.post(given, json={"reason": "three"})).json()
        await client.delete(f"{given}/{approval['id']}?reason=four")
    await client.put("gate-policy", json={"reason": "five"})

    rows = await session.execute(
        text("SELECT actor, action, subject, reason FROM audit_entry ORDER BY id OFFSET 2")
    )
    version = "models/fraud-detection/versions/1.0.0"
    assert [tuple(row) for row in rows] == [
        ("developer", "gate_policy.set", POLICY, "one"),
        ("developer", "gate_policy.removed", POLICY, "two"),
        ("kim", "version.approved", version, "three"),
        ("kim", "version.approval_withdrawn", version, "four"),
        ("developer", "gate_policy.set", "gate-policy", "five"),
    ]
