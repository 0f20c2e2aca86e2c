"""One function carries out every decision about an experiment, whoever took it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.experiments import queries
from turnout.experiments.commands import alarm
from turnout.experiments.domain.machine import Event, Transition
from turnout.experiments.domain.plan import plan_hash
from turnout.experiments.domain.state import Conclusion, Progress, Status
from turnout.experiments.domain.traffic import variants
from turnout.experiments.tables import Experiment, ExperimentAnalysis, ExperimentStep
from turnout.gates import commands as gates
from turnout.gates.domain.policy import Feat
from turnout.gates.moves import admit
from turnout.observations import commands as observations
from turnout.registry import commands as registry
from turnout.registry.domain.version import ModelRef
from turnout.registry.queries import models_by_id, versions_by_id
from turnout.traffic import commands as traffic
from turnout.traffic.domain.split import Owner, OwnerKind, Split

NEWS: Final[Mapping[Event, EventType]] = {
    Event.STARTED: EventType.EXPERIMENT_STARTED,
    Event.CONCLUDED: EventType.EXPERIMENT_CONCLUDED,
    Event.STOPPED: EventType.EXPERIMENT_STOPPED,
}
"""The steps that others are told of."""

SHOWN: Final = frozenset({Feat.EXPERIMENT})
"""What a winner has shown, for a gate policy that asks for it."""


async def apply(
    session: AsyncSession,
    experiment: Experiment,
    transition: Transition,
    analysis: ExperimentAnalysis | None,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Write progress, traffic, history, audit row and event: all are committed, or none.

    The caller holds the lock of the experiment's row. Refused when the traffic cannot be moved,
    because a version was rejected since, or because a rollout owns it.
    """
    change = await _change(session, experiment, transition, actor=actor, now=now)
    before, progress = experiment.progress, transition.progress
    split = await _move_traffic(session, change)
    if progress.split_id is None:
        progress = replace(progress, split_id=split.id)
    if progress.status.terminal:
        await _finish(session, change)
        experiment.finished_at = now
    if transition.event is Event.STARTED:
        _lock_plan(experiment, progress)
    experiment.progress = progress
    experiment.started_at = progress.started_at
    experiment.step += 1
    experiment.fence += 1
    experiment.due_at = now
    experiment.lease_until = None
    session.add(
        ExperimentStep(
            experiment_id=experiment.id,
            step=experiment.step,
            event=transition.event,
            from_status=before.status,
            to_status=progress.status,
            conclusion=transition.conclusion,
            winner=transition.winner,
            serves=transition.serves,
            reason=transition.reason,
            actor=actor,
            at=now,
            split_id=split.id,
            analysis=None if analysis is None else analysis.number,
        )
    )
    seen = None if analysis is None else analysis.analysis
    of = change.model.name
    await alarm.stepped(session, experiment, of, before, transition, analysis=seen, now=now)
    _audit(session, change, before.status)
    _tell(session, change)
    await session.flush()


def _lock_plan(experiment: Experiment, progress: Progress) -> None:
    """From now on the plan is what its fingerprint says, the settled sample size included."""
    target = progress.target_sample_size
    experiment.plan = replace(experiment.plan, target_sample_size=target)
    experiment.plan_hash = plan_hash(experiment.plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    experiment: Experiment
    transition: Transition
    model: ModelRef
    version_ids: Mapping[str, int]
    actor: str
    now: datetime

    @property
    def owner(self) -> Owner:
        return Owner(kind=OwnerKind.EXPERIMENT, id=str(self.experiment.id))

    @property
    def by(self) -> Mapping[str, Any]:
        """Who does it, when and why, as the commands of other slices take it."""
        return {"actor": self.actor, "now": self.now, "reason": self.transition.reason}


async def _change(
    session: AsyncSession, experiment: Experiment, transition: Transition, **by: Any
) -> _Change:
    models = await models_by_id(session, [experiment.model_id])
    version_ids = (await queries.arms(session, [experiment.id]))[experiment.id]
    return _Change(
        experiment=experiment,
        transition=transition,
        model=models[experiment.model_id],
        version_ids=version_ids,
        **by,
    )


async def _move_traffic(session: AsyncSession, change: _Change) -> Split:
    """A resumed experiment gets its own split back, with the evidence so far."""
    experiment, progress = change.experiment, change.transition.progress
    if progress.status is Status.RUNNING and progress.split_id is not None:
        return await traffic.reinstate(
            session, experiment.model_id, progress.split_id, owner=change.owner, **change.by
        )
    split = await traffic.set_split(
        session,
        experiment.model_id,
        owner=change.owner,
        strategy=experiment.plan.strategy,
        variants=variants(experiment.plan, change.transition, change.version_ids),
        salt=str(experiment.id),
        **change.by,
    )
    asked = experiment.plan.followed
    await observations.follow(session, experiment.model_id, split.id, asked)
    return split


async def _finish(session: AsyncSession, change: _Change) -> None:
    """Let go of the traffic. Nothing leads any more to a treatment that was not promoted."""
    experiment, serves = change.experiment, change.transition.serves
    transition = change.transition
    if transition.conclusion is Conclusion.SHIP and transition.winner is not None:
        won = change.version_ids[transition.winner]
        where = subject(change.model, experiment)
        await gates.note_feat(session, won, Feat.EXPERIMENT, where, now=change.now)
    if serves is not None and serves != experiment.plan.control:
        version_id = change.version_ids[serves]
        winner = (await versions_by_id(session, [version_id]))[version_id]
        await admit(session, winner, requester=experiment.created_by, promised=SHOWN)
        await registry.enter_production(session, version_id, **change.by)
    for arm in experiment.plan.treatments:
        if arm.version != serves:
            version_id = change.version_ids[arm.version]
            await traffic.drop_overrides(session, experiment.model_id, version_id, **change.by)
    await traffic.release(session, experiment.model_id, owner=change.owner, **change.by)


def _audit(session: AsyncSession, change: _Change, before: Status) -> None:
    transition = change.transition
    audit(
        session,
        action=f"experiment.{transition.event}",
        subject=subject(change.model, change.experiment),
        before={"status": before},
        after={
            "status": transition.progress.status,
            "conclusion": transition.conclusion,
            "winner": transition.winner,
            "serves": transition.serves,
        },
        **change.by,
    )


def _tell(session: AsyncSession, change: _Change) -> None:
    experiment, transition, model = change.experiment, change.transition, change.model
    kind = NEWS.get(transition.event)
    if kind is None:
        return
    told = {
        "experiment": experiment.id,
        "step": experiment.step,
        "model": model.name,
        "key": experiment.key,
        "control": experiment.plan.control,
        "treatments": [arm.version for arm in experiment.plan.treatments],
        "status": transition.progress.status,
        "conclusion": transition.conclusion,
        "winner": transition.winner,
        "serves": transition.serves,
        "reason": transition.reason,
        "actor": change.actor,
    }
    of = subject(model, experiment)
    emit(session, kind, subject=of, model=model.name, data=told, now=change.now)


def subject(model: ModelRef, experiment: Experiment) -> str:
    """The experiment's path in the audit log."""
    return f"models/{model.name}/experiments/{experiment.id}"
