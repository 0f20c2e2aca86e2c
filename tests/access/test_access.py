"""Keys at work: who gets in, what is refused, and what a replica does without its database."""

import asyncio
from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from tests.access.conftest import Made, bearer, make
from tests.conftest import Clock
from tests.gateway.waiting import eventually
from turnout import db
from turnout.access import key_commands
from turnout.access.domain.keys import NewKey
from turnout.access.gate import Gatekeeper
from turnout.access.keyring import Keyring, KeysUnknown
from turnout.api import create_app
from turnout.callers import Role
from turnout.db import Sessions
from turnout.settings import Settings

OTHER = f"trn_0123456789abcdef_{'A' * 43}"
POLL = timedelta(seconds=3600)


async def test_without_keys_everybody_is_the_developer(live_client: AsyncClient) -> None:
    me = (await live_client.get("me")).json()
    document = (await live_client.get("http://test/openapi.json")).json()

    assert me == {"name": "developer", "role": "admin", "models": None, "development": True}
    assert "Development mode" in document["info"]["description"]
    assert "development mode" in (await live_client.get("http://test/docs")).text


async def test_the_first_key_ends_that_and_its_revocation_does_not_bring_it_back(
    live_client: AsyncClient,
) -> None:
    first = await make(live_client, name="admin", role="admin")
    anonymous = await live_client.get("me")
    known = await live_client.get("me", headers=bearer(first))
    document = (await live_client.get("http://test/openapi.json")).json()
    revoked = await live_client.delete(f"api-keys/{first['id']}", headers=bearer(first))
    again = await live_client.get("me", headers=bearer(first))

    assert anonymous.status_code == 401
    assert known.json()["name"] == "admin"
    assert "Development mode" not in document["info"]["description"]
    assert revoked.json()["revoked_by"] == "admin"
    assert (again.status_code, "revoked" in again.json()["detail"]) == (401, True)
    assert (await live_client.get("models")).status_code == 401


async def test_a_key_comes_in_each_of_three_ways_and_in_no_other(
    live_client: AsyncClient, admin: dict[str, str]
) -> None:
    key = admin["Authorization"].removeprefix("Bearer ")

    async def status(query: str = "", **arguments: object) -> int:
        return (await live_client.get(f"me{query}", **arguments)).status_code  # type: ignore[arg-type]

    assert await status(headers={"Authorization": f"bearer {key}"}) == 200
    assert await status(headers={"X-API-Key": key}) == 200
    assert await status(auth=("whoever", key)) == 200
    assert await status(f"?api_key={key}&access_token={key}&x-api-key={key}") == 401
    assert await status(headers={"Cookie": f"X-API-Key={key}; Authorization=Bearer {key}"}) == 401
    assert await status(auth=(key, "")) == 401
    assert await status(headers=[("X-API-Key", key), ("X-API-Key", OTHER)]) == 401


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key: key[:-1], id="truncated"),
        pytest.param(lambda key: key[:-1] + ("B" if key[-1] != "B" else "C"), id="altered"),
        pytest.param(lambda key: key[:21] + "A" * 43, id="another secret for its id"),
        pytest.param(lambda key: OTHER, id="of nobody"),
        pytest.param(lambda key: "", id="empty"),
        pytest.param(lambda key: key.swapcase(), id="in the other case"),
        pytest.param(lambda key: key + " " + key, id="twice"),
        pytest.param(lambda key: "' OR 1=1 --", id="an injection"),
        pytest.param(lambda key: "eyJhbGciOiJub25lIn0.e30.", id="a token, without an issuer"),
    ],
)
async def test_what_is_not_a_key_of_this_service_is_refused(live_client, admin, change) -> None:
    key = change(admin["Authorization"].removeprefix("Bearer "))

    answer = await live_client.get("me", headers={"X-API-Key": key})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="turnout"'


async def test_a_key_expires(live_client: AsyncClient, holder: Made, clock: Clock) -> None:
    headers = await holder(name="guest", role="viewer", expires_in="1h")
    before = await live_client.get("me", headers=headers)
    clock.advance(timedelta(hours=1))
    after = await live_client.get("me", headers=headers)

    assert (before.status_code, after.status_code) == (200, 401)
    assert "expired" in after.json()["detail"]


async def test_a_key_is_kept_as_a_hash_and_shown_once(
    live_client: AsyncClient, admin: dict[str, str], sessions: Sessions
) -> None:
    headers = admin | {"Idempotency-Key": "k-1"}
    wanted = {"name": "ci", "role": "operator"}
    made = await live_client.post("api-keys", json=wanted, headers=headers)
    again = await live_client.post("api-keys", json=wanted, headers=headers)
    listed = await live_client.get("api-keys", headers=admin)
    secret = made.json()["key"].split("_", 2)[2]

    assert made.headers["cache-control"] == "no-store"
    assert (again.status_code, again.json()["type"]) == (409, "urn:turnout:problem:answer-lost")
    assert {key["name"] for key in listed.json()["items"]} == {"ci", "admin"}
    assert secret not in listed.text
    async with sessions() as session:
        for table in ("api_key", "audit_entry", "idempotency_key"):
            rows = await session.execute(text(f"SELECT {table}::text FROM {table}"))
            assert secret not in str(rows.all())


async def test_the_key_is_the_actor_and_repeated_requests_are_told_apart_by_it(
    live_client: AsyncClient, holder: Made, sessions: Sessions
) -> None:
    anna, ben = [await holder(name=name, role="operator") for name in ("anna", "ben")]
    headers = {"Idempotency-Key": "same"}
    first = await live_client.post("models", json={"name": "a"}, headers=anna | headers)
    second = await live_client.post("models", json={"name": "b"}, headers=ben | headers)
    replayed = await live_client.post("models", json={"name": "a"}, headers=anna | headers)

    assert (first.status_code, second.status_code, replayed.status_code) == (201, 201, 201)
    assert replayed.headers["idempotency-replayed"] == "true"
    async with sessions() as session:
        actors = await session.execute(
            text("SELECT actor FROM audit_entry WHERE action = 'model.registered' ORDER BY id")
        )
        assert actors.scalars().all() == ["anna", "ben"]


async def test_a_key_that_calls_too_often_is_told_when_to_come_again(
    live_client: AsyncClient, holder: Made
) -> None:
    headers = await holder(
        name="eager", role="viewer", rate_limit={"per_second": 0.001, "burst": 2}
    )
    answers = [await live_client.get("me", headers=headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 100
    assert answers[-1].headers["ratelimit"].startswith('"key";r=0;t=')


async def test_who_is_refused_is_in_the_log_and_no_key_is(
    live_client: AsyncClient, holder: Made
) -> None:
    headers = await holder(name="wallboard", role="viewer")
    wrong = {"Authorization": f"Bearer {OTHER}"}
    with capture_logs() as logged:
        await live_client.get("models", headers=wrong)
        await live_client.post("models", json={"name": "mine"}, headers=headers)
        await live_client.get("models/nowhere", headers=headers)

    refused = [one for one in logged if one["event"] == "refused"]
    assert [(one["method"], one["path"], one["reason"]) for one in refused] == [
        ("GET", "/api/v1/models", "there is no such API key"),
        (
            "POST",
            "/api/v1/models",
            "this needs the role operator, and 'wallboard' has the role viewer",
        ),
    ]
    assert "trn_" not in str(logged)


async def test_a_name_is_free_again_once_its_key_is_revoked(
    live_client: AsyncClient, admin: dict[str, str]
) -> None:
    wanted = {"name": "ci", "role": "operator"}
    first = await live_client.post("api-keys", json=wanted, headers=admin)
    taken = await live_client.post("api-keys", json=wanted, headers=admin)
    await live_client.delete(f"api-keys/{first.json()['id']}", headers=admin)
    free = await live_client.post("api-keys", json=wanted, headers=admin)

    assert (taken.status_code, free.status_code) == (409, 201)


async def test_the_last_use_is_noted_off_the_path_and_once_a_minute(
    engine: AsyncEngine, sessions: Sessions, clock: Clock, settings: Settings
) -> None:
    async def last_used() -> object:
        async with sessions() as session:
            return await session.scalar(text("SELECT last_used_at FROM api_key"))

    quick = settings.model_copy(update={"split_poll_seconds": 0.01})
    app = create_app(quick, engine, clock=clock)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client,
    ):
        headers = bearer(await make(client, name="admin", role="admin"))
        used = clock.now
        await client.get("me", headers=headers)
        for _ in range(1000):
            if await last_used() is not None:
                break
        clock.advance(timedelta(seconds=59))
        await client.get("me", headers=headers)
        assert await last_used() == used


@pytest.fixture
async def replicas(engine: AsyncEngine, sessions: Sessions):
    """Two that never poll: what they learn, a notification told."""
    both = [Keyring(engine, sessions, poll=POLL) for _ in range(2)]
    for keyring in both:
        await keyring.start()
    yield both
    for keyring in both:
        await keyring.stop()


async def known(keyring: Keyring, key_id: str, *, revoked: bool) -> None:
    def told() -> bool:
        live = keyring._keys.get(key_id)
        return live is not None and (live.key.revoked_at is not None) == revoked

    await eventually(told)


async def test_every_replica_is_told_of_a_key_and_of_its_revocation(
    replicas: list[Keyring], sessions: Sessions, clock: Clock
) -> None:
    async with db.transaction(sessions) as session:
        row, _ = await key_commands.create_key(
            session, NewKey(name="ci", role=Role.RECORDER), actor="test", now=clock.now
        )
    for keyring in replicas:
        await known(keyring, row.id, revoked=False)

    async with db.transaction(sessions) as session:
        await key_commands.revoke_key(session, row.id, actor="test", now=clock.now, reason=None)
    for keyring in replicas:
        await known(keyring, row.id, revoked=True)


async def test_a_change_while_the_keys_are_read_is_read_as_well(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    keyring = Keyring(engine, sessions, poll=POLL)
    async with sessions() as other:
        await other.execute(text("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE"))
        async with db.transaction(sessions) as session:
            reading = asyncio.create_task(keyring._read(session))
            await asyncio.sleep(0)  # it has begun, and cannot end before the lock does
            keyring.expect_change()
            await other.rollback()
            await reading

    assert keyring.loaded
    assert keyring.outdated
    await keyring.catch_up()
    assert not keyring.outdated


async def test_without_the_database_known_keys_go_on_and_others_are_503(
    engine: AsyncEngine, sessions: Sessions, clock: Clock, settings: Settings
) -> None:
    away = db.create_engine("postgresql://nobody@127.0.0.1:9/nowhere")
    keyring = Keyring(away, db.sessions(away), poll=POLL)
    async with db.transaction(sessions) as session:
        _, made = await key_commands.create_key(
            session, NewKey(name="app", role=Role.RECORDER), actor="test", now=clock.now
        )
        await keyring._read(session)
    gate = Gatekeeper(
        settings=settings,
        engine=away,
        sessions=db.sessions(away),
        clock=clock,
        may_be_open=True,
        models_of={},
    )
    gate._keys = keyring

    caller = await gate.admit([(b"x-api-key", str(made).encode())])

    assert caller.name == "app"
    with pytest.raises(KeysUnknown) as unknown:
        await gate.admit([(b"x-api-key", OTHER.encode())])
    assert unknown.value.headers == {"Retry-After": "1"}
    await away.dispose()


async def test_while_it_cannot_tell_whether_there_are_keys_it_is_closed(
    settings: Settings,
) -> None:
    away = db.create_engine("postgresql://nobody@127.0.0.1:9/nowhere")
    app = create_app(settings, away)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client:
        answer = await client.get("me")
    await away.dispose()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_where_others_reach_it_it_is_never_open(
    engine: AsyncEngine, settings: Settings
) -> None:
    app = create_app(settings, engine, exposed=True)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client,
    ):
        assert (await client.get("models")).status_code == 401
