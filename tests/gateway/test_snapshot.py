"""The snapshot of routes, and how it follows the database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests import factories
from tests.gateway.waiting import eventually
from turnout import db
from turnout.db import Sessions
from turnout.gateway.snapshot import LiveRoute, Snapshot, SnapshotKeeper
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef
from turnout.traffic.commands import reinstate, set_split_by_hand
from turnout.traffic.domain.assignment import Route
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Owner, OwnerKind, Share, Split, Spread

NEVER = timedelta(hours=1)


def route(model_id: int, split: Split) -> Route:
    return Route(
        model=ModelRef(id=model_id, name=f"model-{model_id}"),
        split=split,
        overrides=NO_OVERRIDES,
        versions={},
    )


TURNS = factories.split({"a": 5_000, "b": 5_000}, strategy=Spread.ROUND_ROBIN)


def holding(*routes: Route) -> Snapshot:
    return Snapshot(
        routes={found.model.name: LiveRoute.of(found, None) for found in routes},
        revisions={found.model.id: (found.split.id, 0) for found in routes},
    )


@pytest.mark.parametrize(
    ("revisions", "differing"),
    [
        pytest.param({1: (7, 0), 2: (7, 0)}, set(), id="nothing changed"),
        pytest.param({1: (8, 0), 2: (7, 0)}, {1}, id="another split"),
        pytest.param({1: (7, 0), 2: (7, 1)}, {2}, id="other overrides"),
        pytest.param({1: (7, 0)}, {2}, id="a model is gone"),
        pytest.param({1: (7, 0), 2: (7, 0), 3: (9, 0)}, {3}, id="a model has come"),
    ],
)
def test_what_differs_is_found_by_revisions(revisions, differing):
    assert holding(route(1, TURNS), route(2, TURNS)).differing(revisions) == differing


def test_only_the_named_models_are_renewed():
    before = holding(route(1, TURNS), route(2, TURNS), route(3, TURNS))

    after = before.renewed({1, 3}, [route(1, TURNS)], {1: (7, 1), 2: (7, 0)})

    assert after.routes.keys() == {"model-1", "model-2"}
    assert after.routes["model-2"] is before.routes["model-2"]


def test_turns_count_on_while_the_split_stays():
    before = holding(route(1, TURNS))
    first = before.routes["model-1"].draw()

    after = before.renewed({1}, [route(1, TURNS)], {1: (7, 1)})

    assert after.routes["model-1"].draw() != first


@pytest.fixture
async def keeper(engine: AsyncEngine) -> AsyncIterator[SnapshotKeeper]:
    keeper = SnapshotKeeper(engine, poll=NEVER, on_change=lambda _: None)
    yield keeper
    await keeper.stop()


async def split_between(sessions: Sessions, model: str, weights: dict[str, int]) -> None:
    """Set a split by hand; its versions are registered when they are new."""
    async with db.transaction(sessions) as session:
        ref = await registry.model(session, model)
        shares = [Share(version=v, weight=weight * 100) for v, weight in weights.items()]
        await set_split_by_hand(
            session,
            ref,
            strategy=Spread.STICKY,
            shares=shares,
            actor="ada",
            now=factories.NOON,
        )


async def register(sessions: Sessions, model: str) -> None:
    async with db.transaction(sessions) as session:
        await factories.version(session, "1.0.0", model=model)
        await factories.version(session, "2.0.0", model=model)


def weights(keeper: SnapshotKeeper, model: str) -> list[int]:
    live = keeper.current.routes.get(model)
    return [] if live is None else [variant.weight for variant in live.route.split.variants]


async def test_what_is_in_the_database_is_there_after_the_start(keeper, sessions):
    await register(sessions, "fraud-detection")
    await split_between(sessions, "fraud-detection", {"1.0.0": 70, "2.0.0": 30})

    await keeper.start()

    assert keeper.loaded
    assert weights(keeper, "fraud-detection") == [7_000, 3_000]


async def test_a_committed_change_arrives_without_polling(keeper, sessions):
    await register(sessions, "fraud-detection")
    await keeper.start()
    assert keeper.loaded
    assert not keeper.current.routes

    await split_between(sessions, "fraud-detection", {"1.0.0": 100})
    await eventually(lambda: weights(keeper, "fraud-detection") == [10_000])
    await split_between(sessions, "fraud-detection", {"1.0.0": 0, "2.0.0": 100})
    await eventually(lambda: weights(keeper, "fraud-detection") == [0, 10_000])


async def test_a_split_that_comes_back_arrives_too(keeper, sessions):
    owner = Owner(kind=OwnerKind.PERSON, id="ada")
    await register(sessions, "fraud-detection")
    await split_between(sessions, "fraud-detection", {"1.0.0": 70, "2.0.0": 30})
    await keeper.start()
    first = keeper.current.routes["fraud-detection"].route.split
    await split_between(sessions, "fraud-detection", {"1.0.0": 100})
    await eventually(lambda: weights(keeper, "fraud-detection") == [10_000])

    async with db.transaction(sessions) as session:
        again = await reinstate(
            session, first.model_id, first.id, owner=owner, actor="ada", now=factories.NOON
        )

    await eventually(lambda: weights(keeper, "fraud-detection") == [7_000, 3_000])
    assert keeper.current.routes["fraud-detection"].route.split == again
    assert again.id == first.id


async def test_who_waits_for_a_route_has_it_when_it_arrives(keeper, sessions):
    await register(sessions, "fraud-detection")
    await keeper.start()
    waiting = asyncio.create_task(keeper.awaited("fraud-detection"))

    await split_between(sessions, "fraud-detection", {"1.0.0": 100})
    live = await waiting

    assert live is keeper.current.routes["fraud-detection"]


async def test_a_burst_of_changes_ends_with_the_last_of_each(keeper, sessions):
    models = [f"model-{n}" for n in range(3)]
    for model in models:
        await register(sessions, model)
    await keeper.start()

    for weight in range(1, 6):
        for model in models:
            await split_between(sessions, model, {"1.0.0": 100 - weight, "2.0.0": weight})

    await eventually(lambda: all(weights(keeper, m) == [9_500, 500] for m in models))


async def test_a_change_that_no_notification_told_is_found_by_the_poll(engine, sessions):
    await register(sessions, "fraud-detection")
    await split_between(sessions, "fraud-detection", {"1.0.0": 100})
    keeper = SnapshotKeeper(engine, poll=timedelta(seconds=0.01), on_change=lambda _: None)
    await keeper.start()

    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE split SET active = false"))

    await eventually(lambda: not keeper.current.routes)
    await keeper.stop()


async def test_the_last_routes_serve_while_the_listener_is_cut_off_and_then_it_catches_up(
    keeper, sessions
):
    await register(sessions, "fraud-detection")
    await split_between(sessions, "fraud-detection", {"1.0.0": 100})
    await keeper.start()
    before = keeper.current

    async with db.transaction(sessions) as session:
        cut = await session.scalars(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        assert any(cut)
    assert keeper.current is before
    await split_between(sessions, "fraud-detection", {"1.0.0": 50, "2.0.0": 50})

    await eventually(lambda: weights(keeper, "fraud-detection") == [5_000, 5_000])


async def test_without_a_database_it_starts_with_nothing():
    away = db.create_engine("postgresql://nobody@127.0.0.1:9/nowhere")
    keeper = SnapshotKeeper(away, poll=NEVER, on_change=lambda _: None)

    await keeper.start()

    assert not keeper.loaded
    await keeper.stop()
    await away.dispose()
