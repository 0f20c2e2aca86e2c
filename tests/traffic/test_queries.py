"""What a replica reads to know every route."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tests.factories import NOON, PERSON, version
from turnout.registry import commands as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.traffic import commands, queries
from turnout.traffic.domain.overrides import NO_OVERRIDES, Pin, Rule
from turnout.traffic.domain.split import Share, Spread


def model_of(found: VersionRef) -> ModelRef:
    return ModelRef(id=found.model_id, name=found.model)


async def share(session: AsyncSession, model: ModelRef, **weights: int) -> None:
    """Set a split by the versions' major numbers: `v1=7_000, v2=3_000`."""
    await commands.set_split_by_hand(
        session,
        model,
        strategy=Spread.STICKY,
        shares=[Share(version=f"{v[1:]}.0.0", weight=weight) for v, weight in weights.items()],
        actor=PERSON.id,
        now=NOON,
    )


async def pin(session: AsyncSession, model: ModelRef, **pinned: str) -> None:
    await commands.set_overrides(
        session,
        model,
        pins=[Pin(unit=unit, version=text) for unit, text in pinned.items()],
        rules=[Rule(attribute="country", values=("DE",), version=text) for text in pinned.values()],
        actor=PERSON.id,
        now=NOON,
    )


@contextmanager
def statements(connection: AsyncConnection) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        seen.append(statement)

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    yield seen
    event.remove(connection.sync_connection, "before_cursor_execute", note)


async def test_a_route_has_all_that_a_replica_needs(session: AsyncSession):
    one, two, three = [await version(session, f"{n}.0.0") for n in (1, 2, 3)]
    model = model_of(one)
    await share(session, model, v1=9_000, v2=1_000)
    await pin(session, model, tester="3.0.0")

    (route,) = await queries.routes(session, [model.id])

    assert route.model == model
    assert route.split == await queries.active_split(session, model.id)
    assert route.overrides == await queries.overrides(session, model.id)
    assert route.versions == {"1.0.0": one, "2.0.0": two, "3.0.0": three}


async def test_overrides_to_a_version_rejected_meanwhile_are_passed_over(session: AsyncSession):
    one, two = [await version(session, f"{n}.0.0") for n in (1, 2)]
    model = model_of(one)
    await share(session, model, v1=10_000)
    await pin(session, model, tester="2.0.0", other="1.0.0")
    await registry.transition(
        session, two.id, Lifecycle.REJECTED, actor="ada", now=NOON, reason=None
    )

    (route,) = await queries.routes(session, [model.id])

    assert route.overrides.pinned == {"other": "1.0.0"}
    assert set(route.versions) == {"1.0.0"}


async def test_models_without_a_split_have_no_route(session: AsyncSession):
    routed, idle = await version(session), await version(session, model="churn-predictor")
    await share(session, model_of(routed), v1=10_000)

    assert [route.model.name for route in await queries.routes(session)] == ["fraud-detection"]
    assert await queries.routes(session, [idle.model_id]) == []
    assert await queries.active_split(session, idle.model_id) is None
    assert await queries.overrides(session, idle.model_id) == NO_OVERRIDES


async def test_the_routes_of_all_models_take_as_few_statements_as_one(
    session: AsyncSession, connection: AsyncConnection
):
    for n in range(20):
        one = await version(session, "1.0.0", model=f"model-{n}")
        await version(session, "2.0.0", model=f"model-{n}")
        await share(session, model_of(one), v1=5_000, v2=5_000)
        await pin(session, model_of(one), tester="2.0.0")

    with statements(connection) as seen:
        routes = await queries.routes(session)

    assert len(routes) == 20
    assert len(seen) == 2


async def test_every_change_makes_another_revision(session: AsyncSession):
    one, two = [await version(session, f"{n}.0.0") for n in (1, 2)]
    model = model_of(one)
    await share(session, model, v1=10_000)
    seen = [await queries.revisions(session)]

    for change in (
        share(session, model, v1=9_000, v2=1_000),
        pin(session, model, tester="1.0.0"),
        share(session, model, v1=10_000),
        pin(session, model, tester="2.0.0"),
        registry.transition(
            session, two.id, Lifecycle.REJECTED, actor="ada", now=NOON, reason=None
        ),
    ):
        await change
        seen.append(await queries.revisions(session))

    assert len({revision[model.id] for revision in seen}) == len(seen)
