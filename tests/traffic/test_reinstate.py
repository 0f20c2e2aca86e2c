"""A former split put in force again."""

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, version
from tests.traffic.splits import OTHER_ROLLOUT, ROLLOUT, reject, set_split
from turnout.observations import commands as observations
from turnout.observations.queries import evidence
from turnout.observations.wire import read_json
from turnout.registry import commands as registry
from turnout.registry.domain.version import StillUsed, VersionRef
from turnout.traffic import commands, queries
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import NoSuchSplit, Owner, Split, SplitOwned, VersionRejected

HOUR = timedelta(hours=1)
LATER = NOON + HOUR


async def paused(session: AsyncSession, one: VersionRef, two: VersionRef) -> tuple[Split, Split]:
    """A split of 50/50, and the one that followed it while its owner had all go to one version."""
    running = await set_split(session, (two, 5_000), (one, 5_000), owner=ROLLOUT)
    halted = await set_split(session, (two, 0), (one, 10_000), owner=ROLLOUT, now=NOON + HOUR / 2)
    return running, halted


async def reinstate(
    session: AsyncSession, split: Split, *, owner: Owner = ROLLOUT, now: datetime = LATER
) -> Split:
    return await commands.reinstate(
        session, split.model_id, split.id, owner=owner, actor="ada", now=now, reason="go on"
    )


async def test_a_former_split_comes_back_as_it_was(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    running, _ = await paused(session, one, two)

    again = await reinstate(session, running)

    assert again == replace(running, reinstated_at=(LATER,))
    assert await queries.active_split(session, one.model_id) == again
    assert again.owned
    assert await reinstate(session, running, now=LATER + HOUR) == again


async def test_a_split_that_came_back_holds_its_versions(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    running = await set_split(session, (two, 5_000), (one, 5_000), owner=ROLLOUT)
    await set_split(session, (one, 10_000), owner=ROLLOUT)

    await reinstate(session, running)

    with pytest.raises(StillUsed):
        await registry.delete_version(session, two.id, actor="ada", now=NOON, reason=None)


async def test_only_the_owner_of_a_split_brings_it_back(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    foreign = await set_split(session, (await version(session, model="other"), 10_000))
    running, halted = await paused(session, one, two)

    with pytest.raises(SplitOwned):
        await reinstate(session, running, owner=OTHER_ROLLOUT)
    for unknown in (replace(running, id=foreign.id), replace(running, id=0)):
        with pytest.raises(NoSuchSplit):
            await reinstate(session, unknown)
    await commands.release(session, one.model_id, owner=ROLLOUT, actor="ada", now=NOON)
    with pytest.raises(NoSuchSplit):
        await reinstate(session, running, owner=OTHER_ROLLOUT)

    assert await queries.active_split(session, one.model_id) == replace(halted, owned=False)


async def test_a_version_rejected_meanwhile_does_not_come_back(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    running, halted = await paused(session, one, two)
    await reject(session, two)

    with pytest.raises(VersionRejected):
        await reinstate(session, running)

    assert await queries.active_split(session, one.model_id) == halted


async def test_the_audit_log_tells_that_a_split_came_back(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    running, halted = await paused(session, one, two)
    await reinstate(session, running)
    await session.flush()

    found = await session.execute(
        text("SELECT reason, before, after FROM audit_entry WHERE action = 'split.reinstated'")
    )
    reason, before, after = found.one()

    assert (reason, before["split_id"], after["split_id"]) == ("go on", halted.id, running.id)


def answers(split: Split, unit: str) -> int:
    return assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=0).version_id


async def test_evidence_goes_on_where_it_stopped(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    running, halted = await paused(session, one, two)
    await reinstate(session, running)
    unit = next(u for u in map(str, range(99)) if answers(running, u) == two.id)

    async def report(prediction_id: str, at: datetime) -> None:
        body = [{"prediction_id": prediction_id, "version": two.version, "unit": unit, "at": at}]
        await observations.record(
            session,
            one.model_id,
            read_json(msgspec.json.encode({"predictions": body}), None),
            atomic=True,
            retention=timedelta(days=30),
            now=LATER + HOUR,
        )
        await observations.fold(session, now=LATER + HOUR)

    await report("before", NOON)
    await report("after", LATER + HOUR)

    keys = [(one.model_id, split.id) for split in (running, halted)]
    found = await evidence(session, keys)
    totals = found[running.id][two.id].metrics["error_rate"]
    assert (totals.units, totals.n) == (1, 2)
    assert halted.id not in found
