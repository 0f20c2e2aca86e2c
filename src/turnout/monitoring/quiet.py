"""Calls for somebody where a version that has had traffic has none, and off when it has again."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.alerts import commands as alerts
from turnout.alerts import queries as open_alerts
from turnout.alerts.domain import Kind, Severity
from turnout.db import Sessions, transaction
from turnout.observations import queries as observations
from turnout.observations.domain.pause import SHORTEST
from turnout.observations.pauses import pauses
from turnout.quantities import Clock
from turnout.traffic import queries as traffic

LOCK: Final = 0x71756965
PREFIX: Final = "quiet/"
LAGGING: Final = timedelta(minutes=1)
"""Whoever has not read what came so long ago does not know that nothing has come."""


async def watch_traffic(sessions: Sessions, *, clock: Clock) -> None:
    """One worker at a time does this; the others leave it to that one."""
    async with transaction(sessions) as session:
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
            return
        now = clock()
        _, unread_since = await observations.unfolded(session)
        if unread_since is not None and now - unread_since > LAGGING:
            return
        called_for = await _causes(session, now)
        for cause in await open_alerts.open_causes(session, PREFIX):
            if cause not in called_for:
                await alerts.resolve(
                    session, cause=cause, reason="it has traffic, or serves no more", now=now
                )
        for cause, (model, version, summary) in sorted(called_for.items()):
            await alerts.fire(
                session,
                cause=cause,
                kind=Kind.NO_DATA,
                severity=Severity.WARNING,
                subject=f"models/{model}/versions/{version}",
                model=model,
                summary=summary,
                data={"version": version},
                now=now,
            )


async def _causes(session: AsyncSession, now: datetime) -> dict[str, tuple[str, str, str]]:
    """The cause of each silence that calls for somebody: its model, its version, and words."""
    routes = await traffic.routes(session)
    serving = {
        (route.model.id, variant.version_id): (route.model.name, variant.version)
        for route in routes
        for variant in route.split.serving
        if variant.weight
    }
    found = {}
    for pause in await pauses(session, serving, since=now - SHORTEST, now=now):
        if pause.calls(now):
            model, version = serving[pause.model_id, pause.version_id]
            summary = (
                f"{model} {version} serves, and has had no prediction since"
                f" {pause.last_at:%Y-%m-%d %H:%M} UTC, after {pause.day:,} in a day"
            )
            found[f"{PREFIX}{model}/{pause.version_id}"] = (model, version, summary)
    return found
