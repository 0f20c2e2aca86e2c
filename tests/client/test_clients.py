"""Both clients against the service: it runs in the tests' event loop, they in their own thread."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import administer, on
from tests.events.test_stream import serving
from tests.processes import free_port
from turnout import db
from turnout.api import create_app
from turnout.client import (
    AsyncTurnout,
    Choice,
    Conflict,
    Event,
    ModelUnclear,
    NotFound,
    Reason,
    Scored,
    Turnout,
    TurnoutError,
    Unavailable,
    Unit,
    Unreachable,
    Unsent,
)
from turnout.settings import Settings

CANARY = [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1m"}]
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
async def engine(server: str, template: str) -> AsyncIterator[AsyncEngine]:
    """One database for all tests here: each has a model of its own."""
    name = f"turnout_client_{os.getpid()}"
    await administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    engine = db.create_engine(on(server, name), pool_size=4)
    yield engine
    await engine.dispose()
    await administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def url(engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("data"))  # type: ignore[call-arg]
    async with serving(create_app(settings, engine)) as running:
        yield f"http://127.0.0.1:{running.config.port}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncTurnout]:
    async with AsyncTurnout(url) as client:
        yield client


@pytest.fixture
def model() -> str:
    return f"ticket-router-{next(NUMBERS)}"


@pytest.fixture
async def served(client: AsyncTurnout, model: str) -> str:
    """The name of a model of which 1.0.0 answers everything, and there is a 2.0.0."""
    await client.register_version(model, "1.0.0", metrics={"accuracy": 0.8})
    await client.promote(model, "1.0.0")
    await client.register_version(model, "2.0.0", metrics={"accuracy": 0.9})
    await until(lambda: known(client, model))
    return model


async def known(client: AsyncTurnout, model: str) -> Choice | None:
    try:
        return await client.select_version(model, "user-1")
    except Unavailable:  # a moment ago nothing served
        return None


async def until(find: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await find():
            await asyncio.sleep(0.005)


async def test_a_version_is_registered_compared_promoted_and_rolled_back(
    client: AsyncTurnout, model: str
):
    first = await client.register_version(model, "1.0.0", metrics={"accuracy": 0.8}, owner="ada")
    live = await client.promote(model, "1.0.0", reason="the first")
    await client.register_version(model, await client.next_version(model, "major"))
    compared = await client.compare(model, ["1.0.0", "2.0.0"])
    canary = await client.promote(model, "2.0.0", strategy="canary", stages=CANARY)
    back = await client.rollback(model, "customers complain")

    assert (first["stage"], first["owner"]) == ("development", "ada")
    assert (live["phase"], canary["phase"], back["phase"]) == (
        "succeeded",
        "running",
        "rolled_back",
    )
    assert [row["metric"] for row in compared["metrics"]] == ["accuracy"]
    assert [move["to_stage"] for move in await client.history(model, "1.0.0")] == [
        "staging",
        "production",
    ]
    assert (await client.current_version(model))["version"] == "1.0.0"
    shares = (await client.distribution(model, simulate=100))["variants"]
    assert [share["count"] for share in shares] == [100]
    report = await client.import_registry(await client.export_registry())
    assert (report["models"], report["versions"]) == (0, 0)


async def test_a_refusal_is_raised_with_its_problem(client: AsyncTurnout, served: str):
    with pytest.raises(Conflict, match="is registered already") as caught:
        await client.register_version(served, "1.0.0")
    with pytest.raises(NotFound, match="there is no model 'nobody'"):
        await client.select_version("nobody", "user-1")

    assert caught.value.problem.facts["version"] == "1.0.0"


async def test_the_blocking_client_does_the_same(url: str, served: str):
    def use() -> tuple[str, Choice]:
        with Turnout(url) as client:
            return client.next_version(served), client.select_version(served, "user-1")

    suggested, choice = await asyncio.to_thread(use)

    assert suggested == "2.0.1"
    assert (choice.version, choice.reason) == ("1.0.0", Reason.SINGLE)


async def test_a_change_of_traffic_arrives_by_itself(client: AsyncTurnout, served: str):
    before = await client.select_version(served, "user-1")
    await client.promote(served, "2.0.0", strategy="canary", stages=CANARY)

    async def moved() -> bool:
        return (await client.select_version(served, "user-1")).split_id != before.split_id

    await until(moved)
    choices = [await client.select_version(served, f"user-{n}") for n in range(100)]
    assert {choice.variant for choice in choices} == {"baseline", "candidate"}


async def test_a_model_that_nothing_serves_yet_has_a_default(client: AsyncTurnout, model: str):
    await client.register_version(model, "1.0.0")

    choice = await client.select_version(model, "user-1", default="0.9.0")

    assert (choice.version, choice.reason, choice.split_id) == ("0.9.0", Reason.DEFAULT, None)
    with pytest.raises(Unavailable, match="nothing serves"):
        await client.select_version(model, "user-1")


async def test_a_service_that_is_away_is_said_to_be():
    async with AsyncTurnout(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(Unreachable, match="no answer from"):
            await client.select_version("anything", "user-1")
        assert (await client.select_version("anything", default="1.0.0")).version == "1.0.0"


async def recorded(engine: AsyncEngine, model: str, columns: str) -> list[tuple[object, ...]]:
    query = (
        f"SELECT {columns} FROM prediction WHERE model_id = "
        "(SELECT id FROM model WHERE name = :model) ORDER BY unit"
    )
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query), {"model": model})]


async def test_what_is_recorded_arrives_as_it_was_said(
    client: AsyncTurnout, served: str, engine: AsyncEngine
):
    choice = await client.select_version(served, "user-1", attributes={"country": "DE"})
    id_ = client.record_prediction(choice, latency_ms=3, confidence=0.9, label="billing")
    client.record_feedback(served, prediction_id=id_, label="billing")
    client.record_feedback(served, unit="user-1", metric="revenue", value=12.5)
    await client.flush()

    assert client.recordings.taken == 3
    assert await recorded(
        engine,
        served,
        "prediction_id, split_id, unit, latency_ms, label, features ->> 'country'",
    ) == [(id_, choice.split_id, "user-1", 3.0, "billing", "DE")]


async def test_what_is_left_is_sent_at_the_end(url: str, served: str, engine: AsyncEngine):
    client = AsyncTurnout(url)
    client.record_prediction(await client.select_version(served, "user-1"))

    await client.close()

    assert client.recordings.taken == 1
    assert await recorded(engine, served, "unit") == [("user-1",)]
    client.record_prediction(Choice.forced(served, "1.0.0"))
    assert client.recordings.shed == 1
    with pytest.raises(TurnoutError, match="this client is closed"):
        await client.next_version(served)


async def test_what_cannot_be_sent_in_time_is_said():
    client = AsyncTurnout(f"http://127.0.0.1:{free_port()}")
    client.record_prediction(Choice.forced("anything", "1.0.0"))

    with pytest.raises(Unsent, match="1 recordings still wait"):
        await client.flush(timeout=0.1)

    client._core.buffer = type(client._core.buffer)(0)  # or closing would try for seconds
    await client.close()


async def test_callbacks_hear_of_rollbacks_and_of_nothing_else(client: AsyncTurnout, served: str):
    heard: list[Event] = []

    async def note(event: Event) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise ValueError("a callback that fails is called again")

    await client.on_rollback(note, model=served)
    for version in ("2.0.0", await register_next(client, served)):
        await client.promote(served, version, strategy="canary", stages=CANARY)
        await client.rollback(served, f"{version} is bad")

    async def both() -> bool:
        return len(heard) == 2

    await until(both)
    assert [event.data["reason"] for event in heard] == ["2.0.0 is bad", "2.0.1 is bad"]


async def register_next(client: AsyncTurnout, model: str) -> str:
    version = await client.next_version(model)
    await client.register_version(model, version)
    return version


class TestTheDecorator:
    async def test_gives_the_function_the_model_of_the_version(
        self, client: AsyncTurnout, served: str, engine: AsyncEngine
    ):
        loaded: list[str] = []

        async def load(version: str) -> Callable[[str], str]:
            loaded.append(version)
            return str.upper

        @client.experiment("key", load=load, model=served)
        async def route(model: Callable[[str], str], text: str) -> Scored[str]:
            """Where a ticket goes."""
            return Scored(model(text), label=model(text), confidence=0.75)

        answers = await asyncio.gather(*(route(f"user-{n}", "billing") for n in range(3)))
        await client.flush()

        assert {answer.value for answer in answers} == {"BILLING"}
        assert {(answer.version, answer.variant) for answer in answers} == {("1.0.0", "candidate")}
        assert (loaded, route.__doc__) == (["1.0.0"], "Where a ticket goes.")
        assert await recorded(engine, served, "prediction_id, label, confidence, error") == [
            (answer.prediction_id, "BILLING", 0.75, None) for answer in answers
        ]

    async def test_loads_in_each_loop_that_comes_while_another_loads(
        self, client: AsyncTurnout, served: str
    ):
        loading: list[str] = []

        async def load(version: str) -> str:
            loading.append(version)
            async with asyncio.timeout(30):
                while len(loading) < 2:
                    await asyncio.sleep(0.001)
            return version

        @client.experiment("key", load=load, model=served)
        async def route(version: str) -> str:
            return version

        there = asyncio.to_thread(lambda: asyncio.run(route("user-1")))
        answers = await asyncio.gather(there, route("user-2"))

        assert [answer.value for answer in answers] == ["1.0.0", "1.0.0"]

    async def test_drops_the_models_of_versions_that_are_gone(
        self, client: AsyncTurnout, served: str
    ):
        loaded: list[str] = []

        def load(version: str) -> str:
            loaded.append(version)
            return version

        decorate = client.experiment("key", load=load, model=served)

        @decorate
        async def route(version: str) -> str:
            return version

        async def serves(version: str) -> None:
            async def moved() -> bool:
                return (await route("user-1")).value == version

            await until(moved)

        await serves("1.0.0")
        await client.promote(served, "2.0.0")
        await serves("2.0.0")
        before = set(decorate._loaded)
        await client.rollback(served, "back to what is known")
        third = await register_next(client, served)
        await client.promote(served, third)
        await serves(third)

        assert loaded == ["1.0.0", "2.0.0", third]
        assert before == {"1.0.0", "2.0.0"}  # the way back stays loaded
        assert decorate._loaded.keys() == {"1.0.0", third}

    async def test_names_the_experiment_and_finds_its_model(
        self, client: AsyncTurnout, served: str, url: str
    ):
        await begin_experiment(url, served, "ticket-router-2.0")

        @client.experiment("ticket-router-2.0", load=lambda version: version)
        async def route(version: str) -> str:
            return version

        async def drawn() -> bool:
            return (await route("user-1")).experiment is not None

        await until(drawn)
        answers = [await route(f"user-{n}") for n in range(50)]
        assert {answer.experiment for answer in answers} == {"ticket-router-2.0"}
        assert {(a.value, a.version, a.variant) for a in answers} == {
            ("1.0.0", "1.0.0", "control"),
            ("2.0.0", "2.0.0", "2.0.0"),
        }

    async def test_a_key_that_no_experiment_has_is_said(self, client: AsyncTurnout):
        @client.experiment("nothing", load=lambda version: version)
        async def route(version: str) -> str:
            return version

        with pytest.raises(ModelUnclear, match="no model has an experiment 'nothing'"):
            await route("user-1")

    async def test_records_failures_and_raises_them(
        self, client: AsyncTurnout, served: str, engine: AsyncEngine
    ):
        def load(version: str) -> str:
            raise OSError(f"no file of {version}")

        @client.experiment("key", load=str, model=served)
        async def fail(model: str) -> str:
            raise ValueError("cannot")

        @client.experiment("key", load=load, model=served)
        async def unloadable(model: str) -> str:
            return model

        with pytest.raises(ValueError, match="cannot"):
            await fail(Unit("user-1", {"country": "DE"}))
        with pytest.raises(OSError, match="no file"):
            await unloadable("user-2")
        await client.flush()

        assert await recorded(engine, served, "unit, error, latency_ms IS NULL") == [
            ("user-1", "ValueError: cannot", False),
            ("user-2", "OSError: no file of 1.0.0", True),
        ]

    async def test_works_for_functions_that_wait(self, url: str, served: str):
        def use() -> tuple[object, ...]:
            with Turnout(url) as client:

                @client.experiment("key", load=str.title, model=served)
                def route(model: str, text: str) -> str:
                    return model + text

                answer = route("user-1", "!")
                client.flush()
                return answer.value, answer.version, client.recordings.taken

        assert await asyncio.to_thread(use) == ("1.0.0!", "1.0.0", 1)


async def begin_experiment(url: str, model: str, key: str) -> None:
    plan = {
        "key": key,
        "control": "1.0.0",
        "treatments": [{"version": "2.0.0"}],
        "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.02},
        "target_sample_size": 6000,
    }
    async with AsyncClient(base_url=f"{url}/api/v1/") as http:
        made = await http.post(f"models/{model}/experiments", json=plan)
        started = await http.post(f"experiments/{made.json()['id']}/start", json={})
        assert started.status_code == 200, started.text
