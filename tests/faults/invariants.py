"""What must hold of the stored rows at any moment, whatever was killed, stopped or raced before.

Each function reads what has been committed, and asserts.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.tables import AuditEntry
from turnout.db import Sessions
from turnout.events.tables import EventRow
from turnout.experiments.commands.apply import NEWS
from turnout.experiments.domain.machine import Transition as ExperimentTransition
from turnout.experiments.domain.traffic import variants as experiment_variants
from turnout.experiments.queries import arms
from turnout.experiments.tables import Experiment, ExperimentAnalysis, ExperimentStep
from turnout.registry.queries import versions_by_id
from turnout.rollouts.domain.evidence import judge
from turnout.rollouts.domain.news import news as news_of
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import exposure
from turnout.rollouts.domain.traffic import variants as rollout_variants
from turnout.rollouts.domain.transitions import Event
from turnout.rollouts.queries import plans
from turnout.rollouts.tables import Quarantine, Rollout, RolloutLook, RolloutStep
from turnout.stats.verdict import Verdict
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import Split, check_arms
from turnout.traffic.tables import SplitRow


async def check(sessions: Sessions) -> None:
    """Check everything in the database."""
    async with sessions() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for rollout in (await session.scalars(select(Rollout))).all():
            await _check_rollout(session, rollout)
        for experiment in (await session.scalars(select(Experiment))).all():
            await _check_experiment(session, experiment)
        for split_id in (await session.scalars(select(SplitRow.id).where(SplitRow.active))).all():
            split = (await traffic.splits(session, [split_id]))[split_id]
            check_arms(split.variants)
            await _check_owner_lives(session, split)
        await _check_one_in_production(session)
        await _check_versions(session)


async def _check_rollout(session: AsyncSession, rollout: Rollout) -> None:
    taken = select(RolloutStep).where(RolloutStep.rollout_id == rollout.id)
    steps = (await session.scalars(taken.order_by(RolloutStep.step))).all()
    assert [step.step for step in steps] == list(range(1, rollout.step + 1))
    assert all(after.from_phase is before.to_phase for before, after in pairwise(steps))
    assert not any(step.to_phase.terminal for step in steps[:-1])
    last = steps[-1]
    assert (last.to_phase, last.stage) == (rollout.phase, rollout.progress.stage)
    assert last.split_id == rollout.progress.split_id
    assert last.weight == exposure(rollout.plan, rollout.progress).weight
    assert (rollout.finished_at is not None) is rollout.phase.terminal
    events = [f"rollout.{step.event}" for step in steps]
    assert await _audited(session, f"%/rollouts/{rollout.id}") == events
    news = [(step.step, news_of(step.event, step.to_phase)) for step in steps]
    assert await _told(session, f"%/rollouts/{rollout.id}") == [told for told in news if told[1]]
    await _check_splits(session, "rollout", rollout.id, [step.split_id for step in steps])
    if rollout.phase.live:
        await _check_traffic_of_rollout(session, rollout)
    await _check_looks(session, rollout, steps)


async def _check_traffic_of_rollout(session: AsyncSession, rollout: Rollout) -> None:
    split = await traffic.active_split(session, rollout.model_id)
    assert split is not None
    assert split.owned
    assert (split.owner.id, split.id) == (str(rollout.id), rollout.progress.split_id)
    assert rollout.baseline_id is not None
    found = await versions_by_id(session, [rollout.candidate_id, rollout.baseline_id])
    wanted = rollout_variants(
        exposure(rollout.plan, rollout.progress),
        found[rollout.candidate_id],
        found[rollout.baseline_id],
        ended=False,
    )
    assert set(split.variants) == set(wanted)


async def _check_looks(
    session: AsyncSession, rollout: Rollout, steps: Sequence[RolloutStep]
) -> None:
    """A stored verdict is what its evidence says, and a failure has led to the one rollback."""
    stored = select(RolloutLook).where(RolloutLook.rollout_id == rollout.id)
    looks = {look.id: look for look in await session.scalars(stored.order_by(RolloutLook.id))}
    decided_on = [step.look_id for step in steps if step.look_id is not None]
    assert decided_on == sorted(set(decided_on))
    known = await plans(session, rollout)
    for look in looks.values():
        plan = known[look.plan_version]
        judgement, _ = judge(plan, look.progress, look.evidence, look.sequences, look.at)
        assert judgement == look.judgement, (judgement, look.judgement)
    failed = [id_ for id_, look in looks.items() if look.judgement.verdict is Verdict.FAIL]
    ends = {Event.ROLLING_BACK, Event.ROLLED_BACK, Event.FAILED, Event.ABORTED}
    assert set(failed) <= {step.look_id for step in steps if step.event in ends}
    if rollout.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
        lifted = select(AuditEntry.id).where(AuditEntry.action == "version.quarantine_lifted")
        held = await session.get(Quarantine, rollout.candidate_id)
        assert held is not None or (await session.scalars(lifted)).first() is not None


async def _check_experiment(session: AsyncSession, experiment: Experiment) -> None:
    taken = select(ExperimentStep).where(ExperimentStep.experiment_id == experiment.id)
    steps = (await session.scalars(taken.order_by(ExperimentStep.step))).all()
    assert [step.step for step in steps] == list(range(1, experiment.step + 1))
    assert all(after.from_status is before.to_status for before, after in pairwise(steps))
    assert not any(step.to_status.terminal for step in steps[:-1])
    assert steps[-1].to_status is experiment.status
    assert (experiment.finished_at is not None) is experiment.status.terminal
    numbers = select(ExperimentAnalysis.number).where(
        ExperimentAnalysis.experiment_id == experiment.id
    )
    stored = (await session.scalars(numbers.order_by(ExperimentAnalysis.number))).all()
    assert list(stored) == list(range(1, experiment.analyses + 1))
    events = [f"experiment.{step.event}" for step in steps]
    assert await _audited(session, f"%/experiments/{experiment.id}") == events
    news = [(step.step, NEWS.get(step.event)) for step in steps]
    told = await _told(session, f"%/experiments/{experiment.id}")
    assert told == [wanted for wanted in news if wanted[1]]
    await _check_splits(session, "experiment", experiment.id, [step.split_id for step in steps])
    if experiment.status.live:
        await _check_traffic_of_experiment(session, experiment, steps[-1])


async def _check_traffic_of_experiment(
    session: AsyncSession, experiment: Experiment, last: ExperimentStep
) -> None:
    split = await traffic.active_split(session, experiment.model_id)
    assert split is not None
    assert split.owned
    assert (split.owner.id, split.id) == (str(experiment.id), last.split_id)
    version_ids = (await arms(session, [experiment.id]))[experiment.id]
    standing = ExperimentTransition(
        event=last.event, progress=experiment.progress, reason=last.reason, serves=last.serves
    )
    assert set(split.variants) == set(experiment_variants(experiment.plan, standing, version_ids))


async def _audited(session: AsyncSession, subject: str) -> list[str]:
    """What was done to a subject, in order; that nobody looked at a rollout is done by nobody."""
    rows = select(AuditEntry.action).where(
        AuditEntry.subject.like(subject), AuditEntry.action != "rollout.missed"
    )
    return list((await session.scalars(rows.order_by(AuditEntry.id))).all())


async def _told(session: AsyncSession, subject: str) -> list[tuple[int, str]]:
    """What others were told of a subject, and of which of its steps."""
    rows = select(EventRow.data, EventRow.type).where(EventRow.subject.like(subject))
    found = await session.execute(rows.order_by(EventRow.id))
    return [(row.data["step"], row.type) for row in found if "step" in row.data]


async def _check_versions(session: AsyncSession) -> None:
    """Every change in a version's life was told once."""
    query = text("""
        SELECT count(*) FROM (
            SELECT action, subject, count(*) FROM audit_entry
            WHERE action IN ('version.registered', 'version.transitioned') GROUP BY 1, 2
        ) AS noted FULL JOIN (
            SELECT type, subject, count(*) FROM event
            WHERE type IN ('version.registered', 'version.transitioned') GROUP BY 1, 2
        ) AS told ON (noted.action, noted.subject) = (told.type, told.subject)
        WHERE noted.count IS DISTINCT FROM told.count
    """)
    assert await session.scalar(query) == 0


async def _check_splits(
    session: AsyncSession, kind: str, owner: UUID, in_history: Sequence[int | None]
) -> None:
    """Every split that an owner has set belongs to a step, and was set by it once."""
    owned = select(SplitRow.id).where(SplitRow.owner_kind == kind, SplitRow.owner_id == str(owner))
    splits = set((await session.scalars(owned)).all())
    assert splits == {split_id for split_id in in_history if split_id is not None}
    noted = text("""
        SELECT (after ->> 'split_id')::bigint FROM audit_entry
        WHERE action = 'split.set' AND after -> 'owner' ->> 'id' = :owner
    """)
    told = Counter((await session.scalars(noted, {"owner": str(owner)})).all())
    assert told == Counter(splits)


async def _check_owner_lives(session: AsyncSession, split: Split) -> None:
    """Nobody holds traffic who is over, and who is under way holds it."""
    live = select(Rollout.id).where(
        Rollout.model_id == split.model_id,
        Rollout.finished_at.is_(None),
        Rollout.phase.not_in([phase for phase in Phase if phase.waiting]),
    )
    running = select(Experiment.id).where(
        Experiment.model_id == split.model_id,
        Experiment.started_at.is_not(None),
        Experiment.finished_at.is_(None),
    )
    holders = [*await session.scalars(live), *await session.scalars(running)]
    assert [str(holder) for holder in holders] == ([split.owner.id] if split.owned else [])


async def _check_one_in_production(session: AsyncSession) -> None:
    query = text("SELECT model_id FROM version WHERE stage = 'production'")
    counted = Counter((await session.scalars(query)).all())
    assert set(counted.values()) <= {1}
