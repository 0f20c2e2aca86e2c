"""Every route there is, and every one to come: who gets in, and with which role and models."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient

from tests.access.conftest import Made, bearer, make
from tests.conftest import Clock
from tests.factories import NOON
from turnout import api, db
from turnout.alerts.commands import fire
from turnout.alerts.domain import Kind, Severity
from turnout.api import MODELS_OF, OPEN, create_app
from turnout.callers import COVERED, Role, Scoping, need_of
from turnout.http import GuardedRoute
from turnout.interop.doors import DOORS
from turnout.settings import Settings

MLFLOW = "/api/2.0/mlflow/"


class Operation(NamedTuple):
    method: str
    path: str
    roles: tuple[Role, ...]
    scoping: Scoping

    @property
    def url(self) -> str:
        """A path where nothing is, for models that nobody has."""
        filled = self.path.replace("{model}", "nobodys-model").replace("{version}", "1.0.0")
        for name in MODELS_OF:
            nothing = "999" if name == "alert_id" else "00000000-0000-7000-8000-000000000000"
            filled = filled.replace(f"{{{name}}}", nothing)
        return "http://test" + filled.replace("{", "").replace("}", "")


def operations() -> Iterator[Operation]:
    app = create_app(
        Settings(_env_file=None),  # type: ignore[call-arg]
        db.create_engine("postgresql://nobody@127.0.0.1:1/nothing"),
    )
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, GuardedRoute):
            assert route.path is not None
            for method in route.methods or ():
                need = need_of(route.original_route.endpoint, method)
                yield Operation(method, route.path, need.roles, need.scoping)


OPERATIONS = sorted(operations())
OF_DOORS = {
    route.path
    for routers in DOORS.values()
    for router in routers
    for route in iter_route_contexts(router.routes)
}


async def test_only_these_are_open(live_client: AsyncClient, admin: dict[str, str]) -> None:
    found = {operation.path for operation in OPERATIONS}
    assert {"/metrics", "/api/v1/models", "/api/v1/models/{model}/predict"} <= found
    assert found.isdisjoint(OPEN)
    assert {
        "/",
        "/docs",
        "/openapi.json",
        "/static",
        "/healthz",
        "/readyz",
    } == OPEN
    for path in OPEN - {"/static"}:
        answer = await live_client.get(f"http://test{path}")
        assert answer.status_code in {200, 307}, path


async def test_no_operation_is_carried_out_for_nobody(
    live_client: AsyncClient, admin: dict[str, str]
) -> None:
    for operation in OPERATIONS:
        answer = await live_client.request(operation.method, operation.url)

        assert answer.status_code == 401, operation
        assert answer.headers["www-authenticate"].startswith("Bearer"), operation
        assert answer.headers["content-type"] == "application/problem+json", operation


async def test_every_operation_is_for_the_roles_it_names(
    live_client: AsyncClient, holder: Made
) -> None:
    for role in Role:
        headers = await holder(name=f"a-{role}", role=role)
        for operation in OPERATIONS:
            if COVERED[role].isdisjoint(operation.roles):
                answer = await live_client.request(operation.method, operation.url, headers=headers)
                assert answer.status_code == 403, (role, operation)
                assert answer.json()["type"] == "urn:turnout:problem:role-missing"


async def test_no_operation_gives_a_key_what_belongs_to_other_models(
    live_client: AsyncClient, holder: Made
) -> None:
    headers = await holder(name="confined", role="operator", models=["fraud-detection"])
    for operation in OPERATIONS:
        if operation.scoping is Scoping.OWN or Role.ADMIN in operation.roles:
            continue
        query = "?model=nobodys-model" if "{" not in operation.path else ""
        answer = await live_client.request(operation.method, operation.url + query, headers=headers)
        by_id = any(f"{{{name}}}" in operation.path for name in MODELS_OF)
        # An id that is not there belongs to no model: the operation says so, or what is malformed.
        assert answer.status_code in ({404, 422} if by_id else {403}), (operation, answer.text)


async def test_the_doors_give_a_key_nothing_of_other_models(
    live_client: AsyncClient, admin: dict[str, str], holder: Made
) -> None:
    """Of those that keep to a caller's models by themselves: no path of theirs names a model."""
    await live_client.post("models", json={"name": "churn-predictor"}, headers=admin)
    headers = await holder(name="confined", role="operator", models=["fraud-detection"])
    for operation in OPERATIONS:
        if "/mlflow/" in operation.path or operation.path.startswith(("/ofrep/", "/v2")):
            continue  # which go by what is sent, or are of no model: see the tests of those doors
        if operation.path in OF_DOORS and operation.scoping is Scoping.OWN:
            answer = await live_client.request(operation.method, operation.url, headers=headers)
            assert answer.status_code == 403, (operation, answer.text)


def test_what_keeps_to_a_callers_models_by_itself_is_known() -> None:
    """Each of these has a test of its own below."""
    own = {
        f"{o.method} {o.path}"
        for o in OPERATIONS
        if o.scoping is Scoping.OWN and o.path not in OF_DOORS
    }

    assert own == {
        "GET /api/v1/gate-policy",  # what counts for models without one of their own
        "GET /api/v1/me",
        "GET /api/v1/models",
        "GET /api/v1/overview",
        "POST /api/v1/experiments/plan",
        "POST /api/v1/release-groups",
    }


def test_an_open_route_keeps_the_application_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forgotten = APIRouter()

    @forgotten.get("/forgotten")
    async def forget() -> None: ...

    monkeypatch.setattr(api, "ROUTERS", (*api.ROUTERS, forgotten))
    with pytest.raises(TypeError, match="/forgotten is open to anybody"):
        next(operations())


@pytest.mark.parametrize(
    "spelling", ["1", "01", "+1", "1_0", "1.0", "%201", "\N{FULLWIDTH DIGIT ONE}"]
)
async def test_an_id_belongs_to_its_model_however_it_is_spelt(
    live_client: AsyncClient, sessions: db.Sessions, holder: Made, spelling: str
) -> None:
    async with db.transaction(sessions) as session:
        for number in range(10):
            await fire(
                session,
                cause=f"cause {number}",
                kind=Kind.THRESHOLD,
                severity=Severity.CRITICAL,
                subject="models/churn-predictor/versions/1.0.0",
                model="churn-predictor",
                summary="1.0.0 fails 7 % of the time",
                data={},
                now=NOON,
            )
    headers = await holder(name="confined", role="viewer", models=["fraud-detection"])

    answer = await live_client.get(f"alerts/{spelling}", headers=headers)

    assert answer.status_code in {403, 422}, answer.text


async def test_lists_name_one_model_or_hold_only_a_keys_own(
    live_client: AsyncClient, admin: dict[str, str], holder: Made
) -> None:
    for name in ("fraud-detection", "churn-predictor"):
        await live_client.post("models", json={"name": name}, headers=admin)
    headers = await holder(name="confined", role="operator", models=["fraud-detection"])

    models = await live_client.get("models", headers=headers)
    every = await live_client.get("rollouts", headers=headers)
    own = await live_client.get("rollouts?model=fraud-detection", headers=headers)
    overview = await live_client.get("overview", headers=headers)
    both = await live_client.get(
        "rollouts?model=fraud-detection&model=churn-predictor", headers=headers
    )

    assert [model["name"] for model in models.json()["items"]] == ["fraud-detection"]
    assert [one["model"] for one in overview.json()["models"]] == ["fraud-detection"]
    assert overview.json()["totals"]["models"] == 1
    assert (every.status_code, own.status_code, both.status_code) == (403, 200, 403)
    assert "?model=" in every.json()["detail"]


async def test_things_with_an_id_belong_to_their_models(
    live_client: AsyncClient, admin: dict[str, str], holder: Made
) -> None:
    ids = {}
    for name in ("fraud-detection", "churn-predictor"):
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            await live_client.post(
                f"models/{name}/versions", json={"version": version}, headers=admin
            )
        started = await live_client.post(
            f"models/{name}/rollouts",
            json={"candidate": "1.0.0", "strategy": "replace"},
            headers=admin,
        )
        assert started.status_code == 201, started.text
        ids[name] = started.json()["id"]
    group = await live_client.post(
        "release-groups",
        json={"rollouts": [{"model": name, "candidate": "2.0.0"} for name in ids]},
        headers=admin,
    )
    assert group.status_code == 201, group.text
    headers = await holder(name="confined", role="operator", models=["fraud-detection"])

    async def status(rollout: str) -> int:
        answer = await live_client.get(f"rollouts/{rollout}", headers=headers)
        assert "churn-predictor" not in answer.text
        return answer.status_code

    assert await status(ids["fraud-detection"]) == 200
    assert await status(ids["churn-predictor"]) == 403
    for member in group.json()["rollouts"]:
        assert await status(member["id"]) == 403
    aborted = await live_client.post(
        "models/fraud-detection/rollouts",
        json={"candidate": "3.0.0", "on_conflict": "supersede", "starts_at": "2026-04-01T12:00Z"},
        headers=headers,
    )
    await live_client.post(f"rollouts/{aborted.json()['id']}/abort", headers=headers)
    # Each would end the other's rollout as well.
    for path, order in {
        "models/fraud-detection/rollback": {"reason": "mine"},
        "models/fraud-detection/rollouts": {"candidate": "3.0.0", "on_conflict": "supersede"},
        f"rollouts/{aborted.json()['id']}/retry": {},
    }.items():
        ended = await live_client.post(path, json=order, headers=headers)
        assert ended.status_code == 403, ended.text
        assert "churn-predictor" not in ended.text
    refused = await live_client.post(
        "release-groups",
        json={"rollouts": [{"model": name, "candidate": "2.0.0"} for name in ids]},
        headers=headers,
    )
    planned = await live_client.post(
        "experiments/plan",
        json={"model": "churn-predictor", "metric": "accuracy", "minimum_detectable_effect": 0.02},
        headers=headers,
    )
    assert (refused.status_code, planned.status_code) == (403, 403), planned.text


async def test_mlflows_door_keeps_to_a_keys_models(
    live_client: AsyncClient, admin: dict[str, str], holder: Made
) -> None:
    for name in ("fraud-detection", "churn-predictor"):
        await live_client.post(f"models/{name}/versions", json={"version": "1.0.0"}, headers=admin)
    headers = await holder(name="confined", role="operator", models=["fraud-detection"])
    named = {"name": "churn-predictor", "version": "1", "alias": "champion", "key": "a"}
    body = {**named, "source": "s3://b/1", "stage": "Staging"}
    for operation in OPERATIONS:
        if MLFLOW not in operation.path or operation.path.endswith(("search", "{path:path}")):
            continue
        answer = await live_client.request(
            operation.method, operation.url, params=named, json=body, headers=headers
        )
        assert answer.status_code == 403, (operation, answer.text)
        assert answer.json()["error_code"] == "PERMISSION_DENIED"
    for what in ("registered_models", "model_versions"):
        path = f"http://test{MLFLOW}{what.replace('_', '-')}/search"
        answer = await live_client.get(path, headers=headers)
        assert [one["name"] for one in answer.json()[what]] == ["fraud-detection"]
    copied = {"name": "fraud-detection", "source": "models:/churn-predictor/1"}
    answer = await live_client.post(
        f"http://test{MLFLOW}model-versions/create", json=copied, headers=headers
    )
    assert answer.status_code == 403, answer.text


OF_EACH_DOOR = {
    "GET /api/v1/versioning/api/models/versions": {},
    "POST /models": {},
    "GET /api/2.0/mlflow/registered-models/search": {"error_code": "UNAUTHENTICATED"},
    "POST /ofrep/v1/evaluate/flags": {"errorCode": "GENERAL"},
    "GET /v2/models/fraud-detection": {},
}


async def test_no_door_opens_to_what_is_no_key_any_more(
    live_client: AsyncClient, admin: dict[str, str], holder: Made, clock: Clock
) -> None:
    """Each says so in the words of its clients, and none takes it for a mistake of theirs."""
    revoked = await make(live_client, headers=admin, name="revoked", role="operator")
    await live_client.delete(f"api-keys/{revoked['id']}", headers=admin)
    expired = await holder(name="expired", role="operator", expires_in="1h")
    clock.advance(timedelta(hours=2))
    good = (await holder(name="good", role="operator"))["Authorization"]
    forged = good[:-1] + ("A" if good[-1] != "A" else "B")
    keys = {
        "missing": {},
        "expired": expired,
        "revoked": bearer(revoked),
        "truncated": {"Authorization": good[:-4]},
        "forged": {"Authorization": forged},
        "as a password": {"Authorization": good.replace("Bearer", "Basic")},
    }
    for operation, words in OF_EACH_DOOR.items():
        method, path = operation.split()
        for why, headers in keys.items():
            answer = await live_client.request(method, f"http://test{path}", headers=headers)
            assert answer.status_code == 401, (operation, why, answer.text)
            assert words.items() <= answer.json().items(), (operation, why)
