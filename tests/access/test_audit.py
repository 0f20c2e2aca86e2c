"""The audit log: written once, sealed in a chain, verified, exported and sent on."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.gateway.model_servers import serving
from turnout import db
from turnout.access import audit_queries
from turnout.access.audit_commands import seal_entries
from turnout.access.audit_forwarding import forward
from turnout.access.audit_queries import Sought
from turnout.access.commands import audit
from turnout.access.domain.chain import (
    FIRST,
    Break,
    Chain,
    Entry,
    Head,
    Verification,
    seal,
)
from turnout.db import Sessions
from turnout.outgoing import Calls
from turnout.settings import Settings
from turnout.worker import Worker

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)


def chain_of(count: int) -> list[Entry]:
    entries, before = [], FIRST
    for number in range(1, count + 1):
        bare = Entry(
            id=10 * number,
            position=number,
            at=NOW + timedelta(seconds=number),
            actor="ann",
            action="model.edited",
            subject="models/fraud",
            before={"owner": "ann", "weight": 1.5},
            after=None,
            reason="because ü",
            request_id=f"r-{number}",
            hash=None,
        )
        before = seal(bare, number, before)
        entries.append(replace(bare, hash=before))
    return entries


def followed(entries: list[Entry], known: Head | None = None) -> tuple[int, Break] | None:
    chain = Chain(known)
    for entry in entries:
        if broken := chain.follow(entry):
            return broken.position, broken.kind
    broken = chain.end()
    return (broken.position, broken.kind) if broken else None


def moved(entry: Entry, position: int) -> Entry:
    return replace(entry, position=position)


ONE, TWO, THREE, FOUR, FIVE = chain_of(5)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([ONE, TWO, THREE], None, id="as sealed"),
        pytest.param([ONE, replace(TWO, reason="x"), THREE], (2, "changed"), id="a reason"),
        pytest.param([ONE, replace(TWO, actor="bob"), THREE], (2, "changed"), id="an actor"),
        pytest.param([ONE, replace(TWO, before=None), THREE], (2, "changed"), id="how it was"),
        pytest.param([ONE, replace(TWO, id=21), THREE], (2, "changed"), id="its number"),
        pytest.param([ONE, TWO, replace(THREE, reason="x")], (3, "changed"), id="the last one"),
        pytest.param([ONE, replace(TWO, hash=None), THREE], (2, "changed"), id="its hash is gone"),
        pytest.param([ONE, TWO, replace(THREE, hash=None)], (3, "changed"), id="the last hash"),
        pytest.param([ONE, THREE], (2, "missing"), id="one is gone"),
        pytest.param([TWO, THREE], (1, "missing"), id="the first is gone"),
        pytest.param(
            [ONE, moved(THREE, 2), moved(TWO, 3), FOUR],
            (2, "out_of_place"),
            id="two changed places",
        ),
        pytest.param(
            [ONE, moved(FIVE, 2), moved(TWO, 3), moved(THREE, 4)],
            (2, "out_of_place"),
            id="one was inserted",
        ),
        pytest.param(
            [ONE, moved(THREE, 2), moved(FOUR, 3)], (2, "out_of_place"), id="the rest closed ranks"
        ),
        pytest.param([moved(TWO, 0), ONE], (0, "out_of_place"), id="before the first"),
        pytest.param([moved(TWO, -7), ONE], (-7, "out_of_place"), id="long before the first"),
    ],
)
def test_what_is_wrong_with_a_chain(entries: list[Entry], found: tuple[int, str] | None) -> None:
    assert followed(entries) == found


def test_a_head_kept_elsewhere_shows_what_was_cut_off_or_rewritten() -> None:
    head = Head(position=3, hash=str(THREE.hash))

    assert followed([ONE, TWO, THREE, FOUR], head) is None
    assert followed([ONE, TWO], head) == (3, Break.TRUNCATED)
    assert followed([ONE, TWO, THREE], replace(head, hash=str(TWO.hash))) == (3, Break.CHANGED)


async def note(sessions: Sessions, *subjects: str, actor: str = "ann") -> None:
    async with db.transaction(sessions) as session:
        for subject in subjects:
            audit(
                session,
                actor=actor,
                action="model.edited",
                subject=subject,
                before={"weight": 1.0, "name": "\u2028ü", "none": None},
                after={"tags": [1, 2.5, 10**20]},
                reason="why",
                now=NOW,
            )
            await session.flush()


async def sealed(sessions: Sessions) -> None:
    async with db.transaction(sessions) as session:
        await seal_entries(session)


async def tampered(sessions: Sessions, *statements: str) -> Verification:
    """What the owner of the table can do, and what is said to it afterwards."""
    async with db.transaction(sessions) as session:
        await session.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER USER"))
        for statement in statements:
            await session.execute(text(statement))
        await session.execute(text("ALTER TABLE audit_entry ENABLE TRIGGER USER"))
    async with sessions() as session:
        return await audit_queries.verification(session)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET reason = 'another'",
        "UPDATE audit_entry SET position = 7, hash = repeat('0', 64)",
        "UPDATE audit_entry SET position = NULL, hash = NULL",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "TRUNCATE audit_entry CASCADE",
    ],
)
async def test_the_service_cannot_change_what_it_wrote(sessions: Sessions, statement: str):
    await note(sessions, "models/fraud")
    await sealed(sessions)

    with pytest.raises(DBAPIError, match="the audit log is append-only"):
        async with db.transaction(sessions) as session:
            await session.execute(text(statement))


async def test_an_entry_is_not_changed_while_it_is_sealed(sessions: Sessions):
    await note(sessions, "models/fraud")

    with pytest.raises(DBAPIError, match="append-only"):
        async with db.transaction(sessions) as session:
            await session.execute(
                text("UPDATE audit_entry SET position = 1, hash = 'x', reason = 'another'")
            )


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        pytest.param("SELECT 1", None, id="untouched"),
        pytest.param(
            "UPDATE audit_entry SET actor = 'bob' WHERE position = 2", (2, "changed"), id="an actor"
        ),
        pytest.param("DELETE FROM audit_entry WHERE position = 2", (2, "missing"), id="removed"),
        pytest.param(
            """INSERT INTO audit_entry (at, actor, action, subject, position, hash)
            VALUES (now(), 'ann', 'version.approved', 'models/a', 0, repeat('0', 64))""",
            (0, "out_of_place"),
            id="forged before the first",
        ),
        pytest.param(
            """UPDATE audit_entry SET after = '{"tags": [1.0, 2.5, 1e20]}' WHERE position = 1""",
            (1, "changed"),
            id="a number written otherwise",
        ),
    ],
)
async def test_verification_names_the_first_broken_entry(
    sessions: Sessions, statement: str, broken: tuple[int, str] | None
):
    await note(sessions, "models/a", "models/b", "models/c")
    await sealed(sessions)
    await note(sessions, "models/d")

    found = await tampered(sessions, statement)

    assert found.unsealed == 1
    assert (found.broken and (found.broken.position, found.broken.kind)) == broken
    assert found.intact is (broken is None)


async def test_who_seals_beside_another_goes_on_from_there(sessions: Sessions):
    await note(sessions, *(f"models/m{number}" for number in range(20)))
    async with db.transaction(sessions) as late:
        audit(late, actor="ann", action="a", subject="models/late", now=NOW)
        await late.flush()
        await note(sessions, "models/after")
        await asyncio.gather(*(sealed(sessions) for _ in range(4)))
    await sealed(sessions)

    async with sessions() as session:
        found = await audit_queries.verification(session)
        last = await audit_queries.sealed_after(session, 21, limit=10)
    assert (found.intact, found.sealed, found.unsealed) == (True, 22, 0)
    assert [one.subject for one in last] == ["models/late"]


async def test_the_list_is_filtered_and_paged(sessions: Sessions, live_client: AsyncClient):
    await note(sessions, "models/fraud", "models/fraud-2", "models/fraud/versions/1.0.0")
    await note(sessions, "models/fraud/split", actor="bob")

    async def subjects(**query: str | int) -> list[str]:
        answer = await live_client.get("audit", params=query)
        assert answer.status_code == 200, answer.text
        return [one["subject"] for one in answer.json()["items"]]

    assert await subjects(model="fraud") == [
        "models/fraud/split",
        "models/fraud/versions/1.0.0",
        "models/fraud",
    ]
    assert await subjects(actor="bob") == ["models/fraud/split"]
    assert await subjects(subject="models/fraud/v") == ["models/fraud/versions/1.0.0"]
    assert await subjects(action="nothing") == []
    assert await subjects(subject="models/%") == []
    assert await subjects(since="2026-03-02T12:00:01Z") == []
    assert len(await subjects(until="2026-03-02T12:00:01Z")) == 4
    first = (await live_client.get("audit", params={"limit": 3})).json()
    rest = await subjects(cursor=first["next_cursor"])
    assert rest == ["models/fraud"]


async def test_verify_and_export_over_http(sessions: Sessions, live_client: AsyncClient):
    await note(sessions, *(f"models/m{number}" for number in range(5)))
    await sealed(sessions)
    await note(sessions, "models/young")

    found = (await live_client.get("audit/verify")).json()
    head = found["head"]
    again = await live_client.get("audit/verify", params=head)
    other = await live_client.get("audit/verify", params={"position": 9, "hash": "0" * 64})
    half = await live_client.get("audit/verify", params={"position": 9})
    export = await live_client.get("audit/export", params={"until": "2027-01-01T00:00:00Z"})

    assert (found["intact"], found["sealed"], found["unsealed"]) == (True, 5, 1)
    assert again.json()["intact"]
    assert other.json()["broken"]["kind"] == "truncated"
    assert half.status_code == 422
    assert export.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in export.text.splitlines()]
    assert [one["position"] for one in lines] == [1, 2, 3, 4, 5, None]
    assert lines[4]["hash"] == head["hash"]


async def test_who_reads_the_export_slowly_holds_no_connection(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(audit_queries, "CHUNK", 2)
    await note(sessions, *(f"models/m{number}" for number in range(5)))
    pool = sessions.kw["bind"].pool

    read = []
    async for entry in audit_queries.every_entry(sessions, Sought()):
        read.append(entry.subject)
        assert pool.checkedout() == 0
    assert read == [f"models/m{number}" for number in range(5)]


async def test_the_log_is_sent_on_at_least_once_and_in_order(
    sessions: Sessions, settings: Settings
):
    received: list[str] = []
    statuses = [500, 200, 200]

    async def outside(request: web.Request) -> web.StreamResponse:
        lines = (await request.text()).splitlines()
        received.extend(json.loads(line)["subject"] for line in lines)
        return web.Response(status=statuses.pop(0))

    allowing = settings.model_copy(update={"allow_private_networks": True})
    await note(sessions, "models/a", "models/b")
    await sealed(sessions)
    async with Calls(allowing) as calls, serving(outside) as url:

        async def sent() -> int:
            async with db.transaction(sessions) as session:
                return await forward(session, calls, url)

        assert [await sent(), await sent(), await sent()] == [0, 2, 0]
        await note(sessions, "models/c")
        assert await sent() == 0, "it has no place in the chain yet"
        await sealed(sessions)
        assert await sent() == 1

    assert received == ["models/a", "models/b", "models/a", "models/b", "models/c"]


async def test_the_worker_seals_and_sends_on(sessions: Sessions, settings: Settings):
    received: list[bytes] = []

    async def outside(request: web.Request) -> web.StreamResponse:
        received.append(await request.read())
        return web.Response()

    await note(sessions, "models/a")
    async with serving(outside) as url:
        given = {"allow_private_networks": True, "audit_forward_url": url}
        worker = Worker(settings=settings.model_copy(update=given), sessions=sessions)
        await worker.seal_audit()
        await worker.forward_audit()
        await worker.calls.close()

    assert [json.loads(line)["position"] for line in received] == [1]
