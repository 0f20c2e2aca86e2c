"""What becomes of rollouts that nobody looks at."""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from turnout import telemetry
from turnout.access.commands import audit
from turnout.db import Sessions, transaction
from turnout.registry.queries import models_by_id
from turnout.rollouts.commands import alarm
from turnout.rollouts.commands.tick import BATCH, WORKER, patience
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.tables import Rollout


async def report_missed(sessions: Sessions, *, now: datetime, interval: timedelta) -> int:
    """Report the live rollouts that were not evaluated for three intervals, each once.

    No claim of another worker keeps them from being taken up again: should that worker wake up, it
    finds its fence outdated.
    """
    missed = (
        select(Rollout.id)
        .where(
            Rollout.finished_at.is_(None),
            Rollout.phase.not_in([phase for phase in Phase if phase.waiting]),
            Rollout.missed_at.is_(None),
            Rollout.due_at < now - patience(interval),
        )
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    mark = (
        update(Rollout)
        .where(Rollout.id.in_(missed))
        .values(missed_at=now, lease_until=None)
        .returning(Rollout.id, Rollout.model_id, Rollout.due_at)
        .execution_options(synchronize_session=False)
    )
    async with transaction(sessions) as session:
        rows = (await session.execute(mark)).all()
        models = await models_by_id(session, [row.model_id for row in rows]) if rows else {}
        for row in sorted(rows, key=lambda row: row.id):
            model = models[row.model_id].name
            await alarm.missed(session, row.id, model, since=row.due_at, now=now)
            audit(
                session,
                actor=WORKER,
                action="rollout.missed",
                subject=f"models/{model}/rollouts/{row.id}",
                reason=f"nobody has looked at it since {row.due_at:%Y-%m-%d %H:%M:%S} UTC",
                now=now,
            )
    for row in rows:
        telemetry.ROLLOUTS_MISSED.inc()
        late = (now - row.due_at).total_seconds()
        telemetry.log.warning("rollout missed", rollout=str(row.id), seconds=late)
    return len(rows)
