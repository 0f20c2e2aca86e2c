from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.conftest import Clock

URL = "http://127.0.0.1:9/hook"


async def made(client: AsyncClient, **given: Any) -> dict[str, Any]:
    answer = await client.post("webhooks", json={"url": URL, "events": ["rollout.*"], **given})
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def test_a_secret_is_shown_once_and_again_when_it_changes(client: AsyncClient, clock: Clock):
    webhook = await made(client)
    path = f"webhooks/{webhook['id']}"
    shown = (await client.get(path)).json()
    listed = (await client.get("webhooks")).json()["items"]
    other = (await client.patch(path, json={"description": "of ops"})).json()
    rotated = (await client.patch(path, json={"secret": None})).json()
    clock.advance(timedelta(seconds=1))
    same = (await client.patch(path, json={"format": "standard"})).json()

    assert webhook["secret"].startswith("whsec_")
    assert [shown["secret"], listed[0]["secret"], other["secret"]] == [None] * 3
    assert other["description"] == "of ops"
    assert other["events"] == ["rollout.*"]
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != webhook["secret"]
    assert same["secret"] is None


async def test_those_that_hear_of_a_model_are_listed(client: AsyncClient):
    every = await made(client)
    one = await made(client, models=["checkup", "other"])
    await made(client, models=["other"])
    listed = (await client.get("webhooks", params={"model": "checkup"})).json()["items"]

    assert [webhook["id"] for webhook in listed] == [one["id"], every["id"]]


async def test_the_path_of_slack_is_a_secret_too(client: AsyncClient):
    webhook = await made(client, url="https://127.0.0.1/services/T0/B0/token", format="slack")

    assert webhook["url"] == "https://127.0.0.1/…"
    assert webhook["secret"] is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param({"url": "ftp://x/y"}, "https://", id="another scheme"),
        pytest.param({"url": "https://u:p@example.com"}, "credentials", id="a password in the url"),
        pytest.param({"url": "http://169.254.169.254/"}, "link-local", id="a forbidden address"),
        pytest.param({"events": []}, "events", id="no events"),
        pytest.param({"events": ["rollout.rolledback"]}, "matches no event", id="a wrong type"),
        pytest.param({"secret": "hunter2"}, "whsec_", id="a weak secret"),
        pytest.param({"format": "pagerduty"}, "routing key", id="PagerDuty without its key"),
        pytest.param({"colour": "red"}, "unknown field", id="an unknown field"),
    ],
)
async def test_what_is_wrong_is_said(body: dict[str, Any], says: str, client: AsyncClient):
    answer = await client.post("webhooks", json={"url": URL, "events": ["*"], **body})

    assert answer.status_code == 422
    assert says in answer.text


async def test_a_test_is_a_delivery_like_any_other(client: AsyncClient):
    webhook = await made(client)
    path = f"webhooks/{webhook['id']}"
    sent = await client.post(f"{path}/test")
    log = (await client.get(f"{path}/deliveries")).json()["items"]
    again = await client.post(f"{path}/deliveries/{sent.json()['id']}/redeliver")

    assert sent.status_code == 202
    assert [(one["type"], one["state"], one["attempts"]) for one in log] == [
        ("webhook.test", "pending", [])
    ]
    assert log[0] == (await client.get(f"{path}/deliveries/{log[0]['id']}")).json()
    assert again.status_code == 409  # it is still to be sent by itself


async def test_what_is_not_active_cannot_be_tested_and_what_is_deleted_not_found(
    client: AsyncClient,
):
    webhook = await made(client)
    path = f"webhooks/{webhook['id']}"
    await client.patch(path, json={"active": False})
    assert (await client.post(f"{path}/test")).status_code == 409
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.get(f"{path}/deliveries")).status_code == 404
