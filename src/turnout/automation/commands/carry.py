"""Carries updates from their turn to their rollout: what takes its time runs between two
transactions, under a lease, and counts only if the fence is as it was left."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.automation import queries, validation
from turnout.automation.commands.lease import Claim, free, held, take
from turnout.automation.commands.pipeline import call_pipeline
from turnout.automation.commands.record import step
from turnout.automation.domain.checks import RuleFinding, obstacles
from turnout.automation.domain.update import LATEST, UpdateState
from turnout.automation.tables import Update
from turnout.db import Sessions, transaction
from turnout.errors import Refusal
from turnout.gates.moves import Request, clear
from turnout.gates.runs import Runner
from turnout.quantities import Clock
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import VersionRef
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands.refusals import FrozenNow, RolloutUnderWay
from turnout.rollouts.commands.start import start
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import SplitOwned

LOCK: Final = 0x6175746F
AGAIN: Final = timedelta(seconds=30)
"""How long one that has to wait for others is left alone."""

MOST: Final = 100
ATTEMPTS: Final = 4
"""At checking the rules of one update: what has ended so many workers would end the next one."""


async def carry(
    sessions: Sessions, runner: Runner, *, clock: Clock, at_once: int, claiming: asyncio.Lock
) -> None:
    """Take what is due a step further, no more than `at_once` updates under way at a time. What
    fails for one is raised after the others have had their turn.

    A process may do this again while checks go on, but only one in it is `claiming`: the others
    would each keep a connection waiting.
    """
    if claiming.locked():
        return
    async with claiming, transaction(sessions) as session:
        claims = await _claim(session, now=clock(), at_once=at_once)
    results = await asyncio.gather(
        *(_carry(sessions, runner, claim, clock) for claim in claims), return_exceptions=True
    )
    failures = [found for found in results if isinstance(found, Exception)]
    if failures:
        raise ExceptionGroup("updates that could not be taken further", failures)


async def _claim(session: AsyncSession, *, now: datetime, at_once: int) -> list[Claim]:
    """Under one lock, because how many are under way is counted."""
    await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    under_way = [state for state in UpdateState if state.under_way]
    busy = set(await session.scalars(select(Update.model_id).where(Update.state.in_(under_way))))
    due = (
        select(Update)
        .where(
            Update.finished_at.is_(None),
            Update.due_at <= now,
            free(),
            Update.state.in_([UpdateState.REQUESTING, UpdateState.QUEUED, UpdateState.VALIDATING]),
            or_(Update.state != UpdateState.QUEUED, Update.model_id.not_in(busy)),
        )
        .order_by(Update.state == UpdateState.QUEUED, Update.seq)  # those who wait free no place
        .limit(MOST)
        .with_for_update(skip_locked=True)
    )
    claims = []
    for update in await session.scalars(due):
        if update.state is UpdateState.QUEUED:
            if len(busy) >= at_once or update.model_id in busy:
                continue
            if (waits_for := await _obstacle(session, update, now)) is not None:
                update.reason, update.due_at = waits_for, now + AGAIN
                continue
            busy.add(update.model_id)
            await step(session, update, UpdateState.VALIDATING, "its rules are checked", now=now)
        elif update.state is UpdateState.VALIDATING:
            if not await _taken_up_again(session, update, now):
                continue
        else:
            update.fence += 1
        claims.append(take(update))
    return claims


async def _taken_up_again(session: AsyncSession, update: Update, now: datetime) -> bool:
    """Go on with what a worker has left in the middle, and give up what none gets through."""
    attempts = await queries.attempts_at_validating(session, update.id)
    if attempts >= ATTEMPTS:
        reason = f"given up: {attempts} times, checking its rules ended without a result"
        await step(session, update, UpdateState.FAILED, reason, now=now)
        return False
    reason = "taken up again: whoever checked its rules was gone"
    await step(session, update, UpdateState.VALIDATING, reason, now=now)
    return True


async def _obstacle(session: AsyncSession, update: Update, now: datetime) -> str | None:
    """What has to end before a rollout of this model can begin."""
    live = await rollouts.live(session, update.model_id)
    if live is not None:
        return f"waits for rollout {live.id} to end"
    windows = (await rollouts.freeze_windows(session, [update.model_id])).get(update.model_id)
    if windows is not None and (frozen := windows.frozen(now)) is not None:
        return str(frozen)
    split = await traffic.active_split(session, update.model_id)
    if split is not None and split.owned:
        return f"waits for {split.owner.kind} {split.owner.id} to end"
    return None


async def _carry(sessions: Sessions, runner: Runner, claim: Claim, clock: Clock) -> None:
    if claim.state is UpdateState.REQUESTING:
        work = call_pipeline(sessions, runner.calls, claim.update_id, claim.fence, clock=clock)
    else:
        work = _validate(sessions, runner, claim, clock)
    await held(sessions, claim, work)


async def _validate(sessions: Sessions, runner: Runner, claim: Claim, clock: Clock) -> None:
    async with transaction(sessions) as session:
        update = await queries.locked(session, claim.update_id)
        if update.fence != claim.fence:
            return
        version = await _target(session, update, now=clock())
        if version is None:
            return
        rules = (await queries.policy(session, update.model_id)).rules
        wish, requester = update.wish, update.requested_by
        about = await validation.candidate(session, version, wish, requester=requester)
        found = await validation.built_in(session, about, rules)
    found |= await validation.custom(runner, about.facts.version, rules)
    findings = tuple(found[place] for place in sorted(found))
    if not obstacles(findings):
        asked = Request(version=version, to=Lifecycle.PRODUCTION, actor=requester)
        await clear(sessions, runner, asked, clock=clock)
    async with transaction(sessions) as session:
        update = await queries.locked(session, claim.update_id)
        if update.fence == claim.fence:
            await _begin(session, update, version, findings, now=clock())


async def _target(session: AsyncSession, update: Update, *, now: datetime) -> VersionRef | None:
    """The version it leads to; None where the update has ended, because there is nothing to do."""
    try:
        version = await _named(session, update)
    except Refusal as refusal:
        await step(session, update, UpdateState.REFUSED, refusal.detail, now=now)
        return None
    if version is None:
        reason = "there is no version to update to that may serve and is no prerelease"
        await step(session, update, UpdateState.REFUSED, reason, now=now)
        return None
    serving = await rollouts.answering(session, update.model_id)
    if [one.id for one in serving] == [version.id] or (
        update.wish.target == LATEST and any(_newer(one, version) for one in serving)
    ):
        answers = " and ".join(one.version for one in serving)
        reason = f"{answers} answers already, and the target is {version.version}"
        update.version_id = version.id
        await step(session, update, UpdateState.UNNEEDED, reason, now=now)
        return None
    return version


async def _named(session: AsyncSession, update: Update) -> VersionRef | None:
    if update.version_id is not None:
        return (await registry.versions_by_id(session, [update.version_id]))[update.version_id]
    if update.wish.retrain:
        return None
    if update.wish.target == LATEST:
        return await registry.latest_release(session, update.model_id)
    return await registry.version(session, update.model_id, update.wish.target)


def _newer(one: VersionRef, other: VersionRef) -> bool:
    return SemVer.parse(one.version).precedence > SemVer.parse(other.version).precedence


async def _begin(
    session: AsyncSession,
    update: Update,
    version: VersionRef,
    findings: tuple[RuleFinding, ...],
    *,
    now: datetime,
) -> None:
    """Start the rollout in the transaction that says so, or write down why it does not start."""
    update.findings = findings
    if found := obstacles(findings):
        update.version_id = version.id
        await step(session, update, UpdateState.REFUSED, "; ".join(found), now=now)
        return
    launch = update.wish.launch(version.version)
    try:
        async with session.begin_nested():
            rollout = await start(
                session, version.model, launch, actor=update.requested_by, now=now
            )
    except (RolloutUnderWay, FrozenNow, SplitOwned) as busy:
        await step(session, update, UpdateState.QUEUED, busy.detail, now=now, due_at=now + AGAIN)
    except Refusal as refusal:
        update.version_id = version.id
        await step(session, update, UpdateState.REFUSED, refusal.detail, now=now)
    else:
        update.version_id, update.rollout_id = version.id, rollout.id
        reason = f"rollout {rollout.id} of {version.version} has started"
        await step(session, update, UpdateState.ROLLING_OUT, reason, now=now)
