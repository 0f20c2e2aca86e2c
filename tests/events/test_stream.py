"""The stream over a real socket: clients come, fall behind, leave, and come back."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories import NOON
from turnout.api import create_app
from turnout.cli.processes import Server
from turnout.db import Sessions, transaction
from turnout.events import feed
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.settings import Settings

LISTENING = (
    "FROM pg_stat_activity WHERE datname = current_database()"
    " AND query LIKE 'LISTEN%turnout_events%'"
)


@pytest.fixture
async def app(settings: Settings, engine: AsyncEngine) -> FastAPI:
    return create_app(settings, engine)


@pytest.fixture
async def service(app: FastAPI) -> AsyncIterator[Server]:
    async with serving(app) as running:
        yield running


@asynccontextmanager
async def serving(app: FastAPI, port: int = 0) -> AsyncIterator[Server]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        port = listener.getsockname()[1]
        running = Server(
            uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=60)
        )
        task = asyncio.create_task(running.serve(sockets=[listener]))
        while not running.started:
            await asyncio.sleep(0.01)
        running.config.port = port
        yield running
        running.should_exit = True
        await asyncio.wait_for(task, 30)


@pytest.fixture
async def browser(service: Server) -> AsyncIterator[httpx2.AsyncClient]:
    url = f"http://127.0.0.1:{service.config.port}/api/v1/"
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        yield client


class Stream:
    beginning = ""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str] | None:
        """The fields of the next event or comment; None at the end."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        return None

    async def ids(self, many: int) -> list[str]:
        return [(await self.next() or {})["id"] for _ in range(many)]


@asynccontextmanager
async def opened(client: httpx2.AsyncClient, **arguments: object) -> AsyncIterator[Stream]:
    async with client.stream("GET", "events", **arguments) as response:  # type: ignore[arg-type]
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        first = await stream.next() or {}
        stream.beginning = first.pop("id")
        assert first == {"": "following", "retry": "1000"}
        yield stream


async def happen(
    sessions: Sessions,
    *models: str,
    kind: EventType = EventType.ROLLOUT_STARTED,
) -> None:
    async with transaction(sessions) as session:
        for model in models:
            subject = f"models/{model}/rollouts/1"
            emit(session, kind, subject=subject, model=model, data={"stage": 0}, now=NOON)
            await session.flush()


async def test_an_event_comes_as_soon_as_it_is_committed(
    browser: httpx2.AsyncClient, sessions: Sessions
):
    await happen(sessions, "before")
    async with opened(browser) as stream:
        await happen(sessions, "checkup")
        event = await stream.next()

    assert event is not None
    assert (event["id"], event["event"]) == ("2", "rollout.started")
    assert json.loads(event["data"]) == {
        "type": "rollout.started",
        "timestamp": "2026-03-02T12:00:00Z",
        "data": {"subject": "models/checkup/rollouts/1", "model": "checkup", "stage": 0},
    }


async def test_a_stream_ends_with_its_key_and_its_events_are_not_counted(
    browser: httpx2.AsyncClient, sessions: Sessions
):
    async def made(**wanted: object) -> tuple[str, dict[str, str]]:
        answer = await browser.post("api-keys", json=wanted, headers=admin)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], {"X-API-Key": answer.json()["key"]}

    admin: dict[str, str] = {}
    _, admin = await made(name="admin", role="admin")
    once = {"per_second": 0.001, "burst": 1}
    key, headers = await made(name="wallboard", role="viewer", rate_limit=once)
    async with opened(browser, headers=headers) as stream:
        await happen(sessions, "checkup", "checkup")
        assert await stream.ids(2) == ["1", "2"]

        assert (await browser.delete(f"api-keys/{key}", headers=admin)).status_code == 200
        await happen(sessions, "checkup")
        assert await stream.next() is None


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"headers": {"Last-Event-ID": "2"}}, id="as a browser does"),
        pytest.param({"params": {"after": "2"}}, id="as one asks by hand"),
        pytest.param({"params": {"after": "1"}, "headers": {"Last-Event-ID": "2"}}, id="by both"),
    ],
)
async def test_who_comes_back_misses_nothing(
    how: dict[str, object], browser: httpx2.AsyncClient, sessions: Sessions
):
    await happen(sessions, "one", "two", "three", "four")
    async with opened(browser, **how) as stream:
        await happen(sessions, "five")
        assert await stream.ids(3) == ["3", "4", "5"]


async def test_who_leaves_before_the_first_event_misses_nothing_either(
    browser: httpx2.AsyncClient, sessions: Sessions
):
    await happen(sessions, "before")
    async with opened(browser) as stream:
        left = stream.beginning
    await happen(sessions, "in the meantime")
    async with opened(browser, headers={"Last-Event-ID": left}) as stream:
        assert await stream.ids(1) == ["2"]


async def test_a_type_of_a_later_release_is_told_like_any_other(
    browser: httpx2.AsyncClient, sessions: Sessions
):
    async with opened(browser) as stream:
        await happen(sessions, "checkup")
        async with transaction(sessions) as session:
            await session.execute(
                text(
                    "INSERT INTO event (at, type, subject, model, data)"
                    " SELECT at, 'rollout.teleported', subject, model, data FROM event"
                )
            )
        await happen(sessions, "checkup")
        events = [await stream.next() or {} for _ in range(3)]

    assert [event["event"] for event in events] == [
        "rollout.started",
        "rollout.teleported",
        "rollout.started",
    ]


async def test_only_what_was_asked_for_comes(browser: httpx2.AsyncClient, sessions: Sessions):
    query = {"model": "checkup", "type": ["rollout.*", "alert.firing"]}
    async with opened(browser, params=query) as stream:
        await happen(sessions, "other", "checkup")
        await happen(sessions, "checkup", kind=EventType.EXPERIMENT_STARTED)
        await happen(sessions, "checkup", kind=EventType.ALERT_FIRING)
        assert await stream.ids(2) == ["2", "4"]


async def test_who_falls_behind_what_is_in_memory_reads_on_from_the_database(
    browser: httpx2.AsyncClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feed, "KEPT", 3)
    monkeypatch.setattr(feed, "PAGE", 4)
    async with opened(browser) as ahead:
        await happen(sessions, *["checkup"] * 10)
        assert await ahead.ids(10) == [str(n) for n in range(1, 11)]
        async with opened(browser, params={"after": 0}) as behind:
            await happen(sessions, "checkup")
            assert await behind.ids(11) == [str(n) for n in range(1, 12)]


async def test_all_streams_of_a_process_share_one_connection(
    browser: httpx2.AsyncClient, sessions: Sessions
):
    async with opened(browser) as one, opened(browser) as two, opened(browser) as three:
        async with sessions() as session:
            listening = await session.scalar(text(f"SELECT count(*) {LISTENING}"))
        await happen(sessions, "checkup")
        assert [await stream.ids(1) for stream in (one, two, three)] == [["1"]] * 3
    assert listening == 1


async def test_a_client_that_left_is_noticed(browser: httpx2.AsyncClient, service: Server):
    async with opened(browser):
        assert service.server_state.tasks
    async with asyncio.timeout(30):
        while service.server_state.tasks:
            await asyncio.sleep(0.01)


async def test_a_stop_does_not_wait_for_open_streams(browser: httpx2.AsyncClient, service: Server):
    async with opened(browser) as stream:
        service.should_exit = True  # its grace is a minute, the test's is half of it
        async with asyncio.timeout(30):
            assert await stream.next() is None


@pytest.fixture
def never_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", timedelta(hours=1))


async def test_a_stream_outlives_the_connection_that_listens(
    never_polled: None, browser: httpx2.AsyncClient, sessions: Sessions
):
    """Another one listens in its place; it is not only the poll that goes on."""
    async with opened(browser) as stream:
        await happen(sessions, "one")
        assert await stream.ids(1) == ["1"]
        async with sessions() as session:
            ended = await session.scalars(text(f"SELECT pg_terminate_backend(pid) {LISTENING}"))
            assert ended.all() == [True]
        await until_somebody_listens(sessions)
        await happen(sessions, "two")
        assert await stream.ids(1) == ["2"]


async def until_somebody_listens(sessions: Sessions) -> None:
    async with asyncio.timeout(60):
        while True:
            async with sessions() as session:
                if await session.scalar(text(f"SELECT count(*) {LISTENING}")):
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("query", "headers", "says"),
    [
        pytest.param({"type": "rollout.rolledback"}, {}, "matches no event", id="a wrong type"),
        pytest.param({"after": "-1"}, {}, "after", id="a negative position"),
        pytest.param({}, {"Last-Event-ID": "x"}, "Last-Event-ID", id="an id of somebody else"),
    ],
)
async def test_what_is_asked_wrongly_is_said(
    query: dict[str, str], headers: dict[str, str], says: str, browser: httpx2.AsyncClient
):
    answer = await browser.get("events", params=query, headers=headers)

    assert answer.status_code == 422
    assert says in answer.json()["detail"]


async def test_the_log_has_what_happened_newest_first(
    browser: httpx2.AsyncClient, sessions: Sessions
):
    await happen(sessions, "one", "two", "one")
    async with opened(browser, params={"after": 0}) as stream:
        await stream.ids(3)  # reading is what numbers them
    page = (await browser.get("events/log", params={"limit": 2})).json()
    rest = (await browser.get("events/log", params={"cursor": page["next_cursor"]})).json()
    of_one = (await browser.get("events/log", params={"model": "one", "type": "rollout.*"})).json()
    none = (await browser.get("events/log", params={"type": "alert.*"})).json()

    assert [event["id"] for event in page["items"]] == [3, 2]
    assert [event["id"] for event in rest["items"]] == [1]
    assert [event["id"] for event in of_one["items"]] == [3, 1]
    assert none["items"] == []
