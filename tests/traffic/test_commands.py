"""Changing where traffic goes, on a database."""

import asyncio
import random
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from tests.factories import NOON, PERSON, version
from tests.traffic.splits import OTHER_ROLLOUT, ROLLOUT, reject, set_split
from turnout.db import Sessions, transaction
from turnout.errors import Refusal
from turnout.quantities import BASIS_POINTS
from turnout.registry import commands as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import OnnxRuntime
from turnout.registry.domain.version import ModelRef, StillUsed, VersionNotFound
from turnout.traffic import commands, queries
from turnout.traffic.domain.overrides import NO_OVERRIDES, Pin, Rule
from turnout.traffic.domain.split import (
    ArtifactMissing,
    Owner,
    Share,
    Split,
    SplitOwned,
    Spread,
    VersionRejected,
)
from turnout.traffic.route import CHANNEL


async def test_a_new_split_replaces_the_one_in_force(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    first = await set_split(session, (one, 10_000))

    second = await set_split(session, (two, 1_000), (one, 9_000))

    assert await queries.active_split(session, one.model_id) == second
    assert await queries.splits(session, [first.id, second.id]) == {
        first.id: first,
        second.id: second,
    }


async def test_units_stay_where_they_are_while_a_candidate_grows(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    small = await set_split(session, (two, 500), (one, 9_500), owner=ROLLOUT)

    large = await set_split(session, (one, 7_500), (two, 2_500), owner=ROLLOUT)

    assert large.id != small.id
    assert large.salt == small.salt
    assert [variant.version for variant in large.variants] == ["2.0.0", "1.0.0"]


async def test_a_new_comparison_shuffles_the_units(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    first = await set_split(session, (two, 500), (one, 9_500), owner=ROLLOUT)
    await commands.release(session, one.model_id, owner=ROLLOUT, actor="ada", now=NOON)

    second = await set_split(session, (two, 500), (one, 9_500), owner=OTHER_ROLLOUT)

    assert second.salt != first.salt


async def test_a_live_rollout_holds_the_split_until_it_lets_go(session: AsyncSession):
    one = await version(session)
    await set_split(session, (one, 10_000), owner=ROLLOUT)
    for owner in (PERSON, OTHER_ROLLOUT):
        with pytest.raises(SplitOwned):
            await set_split(session, (one, 10_000), owner=owner)
    await commands.release(session, one.model_id, owner=OTHER_ROLLOUT, actor="ada", now=NOON)
    with pytest.raises(SplitOwned):
        await set_split(session, (one, 10_000))

    await commands.release(session, one.model_id, owner=ROLLOUT, actor="ada", now=NOON)

    assert (await set_split(session, (one, 10_000))).owner == PERSON


async def test_a_split_that_is_withdrawn_leaves_no_route(session: AsyncSession):
    one = await version(session)
    model = ModelRef(id=one.model_id, name=one.model)
    await set_split(session, (one, 10_000), owner=ROLLOUT)
    with pytest.raises(SplitOwned):
        await commands.withdraw(session, model, actor="ada", now=NOON)
    await commands.release(session, one.model_id, owner=ROLLOUT, actor="ada", now=NOON)

    for _ in range(2):  # the second time there is nothing to withdraw
        await commands.withdraw(session, model, actor="ada", now=NOON)

    assert await queries.active_split(session, one.model_id) is None
    assert await queries.routes(session, [one.model_id]) == []
    await registry.delete_version(session, one.id, actor="ada", now=NOON, reason=None)


async def test_letting_go_leaves_the_traffic_as_it_is(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    held = await set_split(session, (two, 500), (one, 9_500), owner=ROLLOUT)

    await commands.release(session, one.model_id, owner=ROLLOUT, actor="ada", now=NOON)

    free = await queries.active_split(session, one.model_id)
    assert free is not None
    assert (held.owned, free.owned) == (True, False)
    assert (free.id, free.salt, free.variants) == (held.id, held.salt, held.variants)


async def test_versions_that_cannot_serve_get_no_traffic(session: AsyncSession):
    one = await version(session, "1.0.0")
    rejected, unfinished = (
        await version(session, "2.0.0"),
        await version(session, "3.0.0", runtime=OnnxRuntime()),
    )
    foreign = await version(session, "1.0.0", model="churn-predictor")
    await reject(session, rejected)

    for other, refusal in (
        (rejected, VersionRejected),
        (unfinished, ArtifactMissing),
        (foreign, VersionNotFound),
    ):
        with pytest.raises(refusal):
            await set_split(session, (one, 9_000), (other, 1_000))


async def test_a_version_rejected_meanwhile_can_be_taken_off_the_road(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    await set_split(session, (two, 1_000), (one, 9_000), owner=ROLLOUT)
    await reject(session, two)

    after = await set_split(session, (two, 0), (one, 10_000), owner=ROLLOUT)

    assert [(v.version, v.weight) for v in after.variants] == [("2.0.0", 0), ("1.0.0", 10_000)]


async def test_a_wish_that_is_fulfilled_already_changes_nothing(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    model = ModelRef(id=one.model_id, name=one.model)
    shares = (Share(version="1.0.0", weight=7_000), Share(version="2.0.0", weight=3_000))

    async def wish(*wanted: Share) -> Split:
        return await commands.set_split_by_hand(
            session, model, strategy=Spread.STICKY, shares=wanted, actor="ada", now=NOON
        )

    first = await wish(*shares)

    assert await wish(*shares) == first
    assert await wish(*reversed(shares)) == first
    assert (await wish(Share(version="2.0.0", weight=10_000))).id != first.id
    assert {variant.version_id for variant in first.variants} == {one.id, two.id}


async def test_a_version_with_traffic_cannot_be_deleted(session: AsyncSession):
    one, two, three = [await version(session, text) for text in ("1.0.0", "2.0.0", "3.0.0")]
    model = ModelRef(id=one.model_id, name=one.model)
    await set_split(session, (two, 1_000), (one, 9_000))
    pin = Pin(unit="tester", version="3.0.0")
    await commands.set_overrides(session, model, pins=[pin], rules=[], actor="ada", now=NOON)

    for used in (one, two, three):
        with pytest.raises(StillUsed):
            await registry.delete_version(session, used.id, actor="ada", now=NOON, reason=None)

    await set_split(session, (one, 10_000))
    await registry.delete_version(session, two.id, actor="ada", now=NOON, reason=None)
    with pytest.raises(StillUsed):
        await registry.delete_version(session, three.id, actor="ada", now=NOON, reason=None)
    await commands.drop_overrides(session, model.id, three.id, actor="ada", now=NOON)
    await registry.delete_version(session, three.id, actor="ada", now=NOON, reason=None)


async def test_the_audit_log_tells_before_and_after(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    first = await set_split(session, (one, 10_000))
    second = await set_split(session, (two, 550), (one, 9_450))
    await session.flush()

    found = await session.execute(
        text(
            "SELECT actor, reason, subject, before, after FROM audit_entry"
            " WHERE action = 'split.set' ORDER BY id DESC LIMIT 1"
        )
    )
    entry = found.one()

    assert entry[:3] == ("ada", "because", "models/fraud-detection/split")
    assert (entry.before["split_id"], entry.after["split_id"]) == (first.id, second.id)
    assert [variant["weight"] for variant in entry.after["variants"]] == [5.5, 94.5]


async def test_overrides_are_replaced_as_a_whole_and_dropped_by_version(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    model = ModelRef(id=one.model_id, name=one.model)
    pins = [Pin(unit="a", version="1.0.0"), Pin(unit="b", version="2.0.0")]
    rules = [Rule(attribute="country", values=("DE", 1, True), version="2.0.0")]

    before = await commands.set_overrides(
        session, model, pins=pins, rules=rules, actor="ada", now=NOON
    )
    assert await queries.overrides(session, model.id) == before
    assert before.version_ids == {"1.0.0": one.id, "2.0.0": two.id}
    await commands.drop_overrides(session, model.id, two.id, actor="ada", now=NOON)

    after = await queries.overrides(session, model.id)
    assert (after.pins, after.rules) == ((pins[0],), ())
    await commands.set_overrides(session, model, pins=[], rules=[], actor="ada", now=NOON)
    assert await queries.overrides(session, model.id) == NO_OVERRIDES


async def test_overrides_lead_only_to_versions_that_can_serve(session: AsyncSession):
    one = await version(session, "1.0.0")
    await reject(session, one)
    model = ModelRef(id=one.model_id, name=one.model)

    for named, refusal in (("1.0.0", VersionRejected), ("9.0.0", VersionNotFound)):
        with pytest.raises(refusal):
            await commands.set_overrides(
                session,
                model,
                pins=[Pin(unit="a", version=named)],
                rules=[],
                actor="ada",
                now=NOON,
            )


async def test_any_sequence_of_changes_leaves_weights_that_sum_and_versions_that_exist(
    session: AsyncSession,
):
    known = [await version(session, f"{n}.0.0") for n in range(1, 6)]
    chance = random.Random(20_260_302)
    done = 0
    for _ in range(80):
        some = chance.sample(known, chance.randint(1, 4))
        cuts = sorted(chance.randint(0, BASIS_POINTS) for _ in some[1:])
        edges = [0, *cuts, BASIS_POINTS]
        owner = chance.choice([PERSON, ROLLOUT, OTHER_ROLLOUT])
        try:
            match chance.randrange(4):
                case 0:
                    await commands.release(
                        session, known[0].model_id, owner=owner, actor="ada", now=NOON
                    )
                case 1:
                    to = chance.choice(list(Lifecycle))
                    await registry.transition(
                        session, some[0].id, to, actor="ada", now=NOON, reason=None
                    )
                case _:
                    weights = (b - a for a, b in pairwise(edges))
                    await set_split(session, *zip(some, weights, strict=True), owner=owner)
                    done += 1
        except Refusal:
            continue
        active = await queries.active_split(session, known[0].model_id)
        assert active is None or sum(v.weight for v in active.variants) == BASIS_POINTS
        assert active is None or {v.version_id for v in active.variants} <= {v.id for v in known}
    assert done > 10


async def test_a_commit_tells_the_gateways_and_a_rollback_does_not(
    engine: AsyncEngine, sessions: Sessions
):
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with engine.connect() as listening:
        driver = (await listening.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.add_listener(CHANNEL, lambda *told: heard.put_nowait(told[3]))
        async with sessions() as abandoned:
            await set_split(abandoned, (await version(abandoned, "1.0.0"), 10_000))
        async with transaction(sessions) as session:
            one = await version(session, "1.0.0", model="churn-predictor")
            await set_split(session, (one, 10_000))
        async with transaction(sessions) as session:
            await commands.set_overrides(
                session,
                ModelRef(id=one.model_id, name=one.model),
                pins=[],
                rules=[],
                actor="ada",
                now=NOON,
            )

        told = [await asyncio.wait_for(heard.get(), timeout=5) for _ in range(2)]
        await driver.reset()

    assert told == [str(one.model_id)] * 2
    assert heard.empty()


async def test_two_changes_at_once_queue_up(sessions: Sessions):
    async with transaction(sessions) as session:
        one = await version(session, "1.0.0")

    async def change(owner: Owner) -> Split:
        async with transaction(sessions) as session:
            return await set_split(session, (one, 10_000), owner=owner)

    made = await asyncio.gather(*(change(PERSON) for _ in range(4)))
    results = await asyncio.gather(change(ROLLOUT), change(OTHER_ROLLOUT), return_exceptions=True)

    assert len({split.id for split in made}) == 4
    assert sorted(type(result).__name__ for result in results) == ["Split", "SplitOwned"]
