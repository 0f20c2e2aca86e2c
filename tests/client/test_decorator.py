"""A function of the decorator gets the model of the version, and its answer is recorded."""

import asyncio
from collections.abc import Callable

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.client.conftest import recorded, register_next, until
from turnout.client import AsyncTurnout, ModelUnclear, Scored, Turnout, Unit


async def test_gives_the_function_the_model_of_the_version(
    client: AsyncTurnout, served: str, engine: AsyncEngine
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


async def test_loads_in_each_loop_that_comes_while_another_loads(client: AsyncTurnout, served: str):
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


async def test_drops_the_models_of_versions_that_are_gone(client: AsyncTurnout, served: str):
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
    client: AsyncTurnout, served: str, url: str
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


async def test_a_key_that_no_experiment_has_is_said(client: AsyncTurnout):
    @client.experiment("nothing", load=lambda version: version)
    async def route(version: str) -> str:
        return version

    with pytest.raises(ModelUnclear, match="no model has an experiment 'nothing'"):
        await route("user-1")


async def test_records_failures_and_raises_them(
    client: AsyncTurnout, served: str, engine: AsyncEngine
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


async def test_works_for_functions_that_wait(url: str, served: str):
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
