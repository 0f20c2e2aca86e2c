"""Back to a version that proved itself, by hand and at once."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.quantities import BASIS_POINTS
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.rollouts import queries
from turnout.rollouts.commands import order
from turnout.rollouts.commands.apply import apply
from turnout.rollouts.commands.refusals import Quarantined
from turnout.rollouts.commands.start import lock, open_rollout
from turnout.rollouts.domain import transitions
from turnout.rollouts.domain.orders import Order, Restoration
from turnout.rollouts.domain.plan import Plan, Stage, Strategy
from turnout.rollouts.domain.transitions import Event
from turnout.rollouts.tables import Rollout
from turnout.traffic.domain.split import check_servable

AT_ONCE: Final = Plan(
    strategy=Strategy.REPLACE,
    stages=(Stage(weight=BASIS_POINTS, bake=timedelta(), guardrails=()),),
)


class NoProvenVersion(Conflict):
    def __init__(self, model: ModelRef) -> None:
        super().__init__(
            f"no other version of {model.name} has proven itself in a rollout: say which one is"
            f" to answer, with to_version",
            model=model.name,
        )


class AnswersAlready(Conflict):
    def __init__(self, version: VersionRef) -> None:
        super().__init__(
            f"{version.version} answers all requests of {version.model} already: name another"
            f" version",
            version=version.version,
        )


class CandidateUnderWay(Conflict):
    def __init__(self, candidate: VersionRef, rollout: Rollout) -> None:
        super().__init__(
            f"{candidate.version} is the candidate of the rollout under way: promote that instead",
            version=candidate.version,
            rollout=str(rollout.id),
        )


async def restore(
    session: AsyncSession,
    model_name: str,
    wish: Restoration,
    *,
    actor: str,
    now: datetime,
    leaving: VersionRef | None = None,
) -> Rollout:
    """Take the version that answers off the road, and let an earlier one answer at once.

    A rollout under way is rolled back, to its baseline: in the time that its plan takes for that,
    or at once where another version is to answer. What is taken off the road is quarantined; where
    several versions answer, that is the one that is `leaving`, if anybody says which.
    """
    model = await registry.model(session, model_name)
    await lock(session, model)
    target = None
    if wish.to_version is not None:
        target = await registry.version(session, model.id, wish.to_version)
    if (live := await queries.live(session, model.id)) is not None:
        if target is not None and target.id == live.candidate_id:
            raise CandidateUnderWay(target, live)
        said = Order(reason=wish.reason)
        if target is None or target.id == live.baseline_id:
            return await order.roll_back(session, live.id, said, actor=actor, now=now)
        await order.roll_back_at_once(session, live.id, said, actor=actor, now=now)
    return await _switch(session, model, target, wish.reason, leaving=leaving, actor=actor, now=now)


async def concerned(session: AsyncSession, model_name: str) -> list[str]:
    """The models concerned when what is under way is ended: all those of its release group, which
    ends together. This stays so until the transaction does."""
    model = await registry.model(session, model_name)
    await lock(session, model)
    live = await queries.live(session, model.id)
    return [model.name] if live is None else await queries.models_of(session, live.id)


async def destination(
    session: AsyncSession, model: ModelRef, target: VersionRef | None
) -> tuple[VersionRef, VersionRef | None]:
    """Where a rollback without a rollout under way leads to, and which version it takes off.

    The last proven version, unless one is named; refused where it could not answer.
    """
    serving = await queries.answering(session, model.id)
    leaving = serving[0] if len(serving) == 1 else None
    target = target or await _proven(session, model, leaving)
    if leaving is not None and leaving.id == target.id:
        raise AnswersAlready(target)
    check_servable(target)
    if (quarantine := await queries.quarantine(session, target.id)) is not None:
        raise Quarantined(target, quarantine)
    return target, leaving


async def _switch(
    session: AsyncSession,
    model: ModelRef,
    target: VersionRef | None,
    reason: str,
    *,
    leaving: VersionRef | None,
    actor: str,
    now: datetime,
) -> Rollout:
    target, alone = await destination(session, model, target)
    leaving = leaving or alone
    rollout = await open_rollout(
        session, AT_ONCE, target, leaving, reason=reason, actor=actor, now=now, restores=True
    )
    transition = transitions.go_live(AT_ONCE, now, reason, event=Event.ROLLED_BACK)
    await apply(session, rollout, transition, None, actor=actor, now=now)
    return rollout


async def _proven(session: AsyncSession, model: ModelRef, leaving: VersionRef | None) -> VersionRef:
    found = await queries.last_proven(session, model.id, but=leaving.id if leaving else None)
    if found is None:
        raise NoProvenVersion(model)
    return (await registry.versions_by_id(session, [found]))[found]
