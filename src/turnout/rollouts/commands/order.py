"""What a person says to a rollout under way: lock, decide, apply."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.rollouts import queries
from turnout.rollouts.commands.apply import apply, look_at, situations
from turnout.rollouts.domain import verbs
from turnout.rollouts.domain.orders import Advance, Emergency, Order, Promotion
from turnout.rollouts.domain.replan import Replan
from turnout.rollouts.domain.replan import replan as decide_anew
from turnout.rollouts.domain.transitions import Situation, Transition
from turnout.rollouts.tables import Rollout

Verb = Callable[[Situation], Transition | None]


async def approve(
    session: AsyncSession, rollout_id: UUID, order: Advance, *, actor: str, now: datetime
) -> Rollout:
    return await _obey(
        session, rollout_id, lambda at: verbs.approve(at, order), actor=actor, now=now
    )


async def pause(
    session: AsyncSession, rollout_id: UUID, order: Order, *, actor: str, now: datetime
) -> Rollout:
    return await _obey(session, rollout_id, lambda at: verbs.pause(at, order), actor=actor, now=now)


async def resume(
    session: AsyncSession, rollout_id: UUID, order: Order, *, actor: str, now: datetime
) -> Rollout:
    return await _obey(
        session, rollout_id, lambda at: verbs.resume(at, order), actor=actor, now=now
    )


async def replan(
    session: AsyncSession, rollout_id: UUID, order: Replan, *, actor: str, now: datetime
) -> Rollout:
    return await _obey(session, rollout_id, lambda at: decide_anew(at, order), actor=actor, now=now)


async def promote(
    session: AsyncSession, rollout_id: UUID, order: Promotion, *, actor: str, now: datetime
) -> Rollout:
    return await _obey_together(
        session, rollout_id, lambda at: verbs.promote(at, order), actor=actor, now=now
    )


async def skip(
    session: AsyncSession, rollout_id: UUID, order: Emergency, *, actor: str, now: datetime
) -> Rollout:
    return await _obey_together(
        session, rollout_id, lambda at: verbs.skip(at, order), actor=actor, now=now
    )


async def abort(
    session: AsyncSession, rollout_id: UUID, order: Order, *, actor: str, now: datetime
) -> Rollout:
    return await _obey_together(
        session, rollout_id, lambda at: verbs.abort(at, order), actor=actor, now=now
    )


async def roll_back(
    session: AsyncSession, rollout_id: UUID, order: Order, *, actor: str, now: datetime
) -> Rollout:
    return await _obey_together(
        session, rollout_id, lambda at: verbs.roll_back(at, order), actor=actor, now=now
    )


async def roll_back_at_once(
    session: AsyncSession, rollout_id: UUID, order: Order, *, actor: str, now: datetime
) -> Rollout:
    """The others of its group take the time that their plans give them."""
    members = await queries.locked_together(session, rollout_id)
    one = next(member for member in members if member.id == rollout_id)
    others = [each for each in members if each is not one and each.progress.retreat is None]
    await _tell(session, [one], lambda at: verbs.roll_back_at_once(at, order), actor=actor, now=now)
    await _tell(session, others, lambda at: verbs.roll_back(at, order), actor=actor, now=now)
    return one


async def _obey(
    session: AsyncSession, rollout_id: UUID, verb: Verb, *, actor: str, now: datetime
) -> Rollout:
    rollout = await queries.locked(session, rollout_id)
    await _tell(session, [rollout], verb, actor=actor, now=now)
    return rollout


async def _obey_together(
    session: AsyncSession, rollout_id: UUID, verb: Verb, *, actor: str, now: datetime
) -> Rollout:
    """Tell the whole group of a rollout that has one. What one member refuses, none does."""
    members = await queries.locked_together(session, rollout_id)
    await _tell(session, members, verb, actor=actor, now=now)
    return next(member for member in members if member.id == rollout_id)


async def _tell(
    session: AsyncSession, rollouts: Sequence[Rollout], verb: Verb, *, actor: str, now: datetime
) -> None:
    looks = await look_at(session, rollouts, now)
    at = await situations(session, rollouts, looks, now)
    for rollout in rollouts:
        if (transition := verb(at[rollout.id])) is not None:
            await apply(session, rollout, transition, looks[rollout.id], actor=actor, now=now)
