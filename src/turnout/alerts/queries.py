from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.alerts.domain import Severity, Silence, State
from turnout.alerts.tables import Alert, AlertChange, SilenceRow
from turnout.db import among
from turnout.errors import NotFound


class AlertNotFound(NotFound):
    def __init__(self, alert_id: int) -> None:
        super().__init__(f"there is no alert {alert_id}", alert=alert_id)


class SilenceNotFound(NotFound):
    def __init__(self, silence_id: int) -> None:
        super().__init__(f"there is no silence {silence_id} in force", silence=silence_id)


async def alert(session: AsyncSession, alert_id: int) -> Alert:
    found = await session.get(Alert, alert_id)
    if found is None:
        raise AlertNotFound(alert_id)
    return found


async def models_of(session: AsyncSession, alert_id: int) -> list[str] | None:
    """The model that an alert concerns; None when it concerns the service."""
    if not 0 < alert_id < 2**63:
        return []
    found = (await session.scalars(select(Alert.model).where(Alert.id == alert_id))).all()
    return None if None in found else [model for model in found if model is not None]


async def locked(session: AsyncSession, alert_id: int) -> Alert:
    query = select(Alert).where(Alert.id == alert_id).with_for_update()
    found = await session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise AlertNotFound(alert_id)
    return found


async def locked_open(session: AsyncSession, cause: str) -> Alert | None:
    """The one alert of a cause that is not over."""
    query = select(Alert).where(Alert.cause == cause, Alert.state != State.RESOLVED)
    query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def alerts(
    session: AsyncSession,
    *,
    states: Sequence[State],
    model: str | None,
    severity: Severity | None,
    limit: int,
    before: int | None,
) -> Sequence[Alert]:
    """Newest first, fired before number `before`."""
    query = select(Alert).where(Alert.state.in_(states)).order_by(Alert.id.desc()).limit(limit)
    if model is not None:
        query = query.where(Alert.model == model)
    if severity is not None:
        query = query.where(Alert.severity == severity)
    if before is not None:
        query = query.where(Alert.id < before)
    return (await session.scalars(query)).all()


async def history(session: AsyncSession, alert_id: int) -> Sequence[AlertChange]:
    query = select(AlertChange).where(AlertChange.alert_id == alert_id)
    return sorted(await session.scalars(query), key=lambda change: list(State).index(change.state))


async def silences(session: AsyncSession, *, now: datetime) -> list[Silence]:
    """Those in force, the last to end first."""
    query = select(SilenceRow).where(SilenceRow.until > now)
    rows = await session.scalars(query.order_by(SilenceRow.until.desc(), SilenceRow.id))
    return [silence(row) for row in rows]


def silence(row: SilenceRow) -> Silence:
    return Silence(
        id=row.id,
        alert=row.alert_id,
        model=row.model,
        kind=row.kind,
        until=row.until,
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
    )


async def newest_open(
    session: AsyncSession, *, models: Collection[str] | None, limit: int
) -> Sequence[Alert]:
    """The alerts that are not over, critical ones first, then the newest."""
    critical = Alert.severity == Severity.CRITICAL
    query = select(Alert).where(Alert.state != State.RESOLVED)
    if models is not None:
        query = query.where(among(Alert.model, models))
    return (
        await session.scalars(query.order_by(critical.desc(), Alert.id.desc()).limit(limit))
    ).all()


async def open_causes(session: AsyncSession, prefix: str) -> Sequence[str]:
    """The causes of open alerts that begin so, in order."""
    query = select(Alert.cause).where(
        Alert.state != State.RESOLVED, Alert.cause.startswith(prefix, autoescape=True)
    )
    return (await session.scalars(query.order_by(Alert.cause))).all()


async def open_by_model(
    session: AsyncSession, models: Collection[str] | None
) -> dict[str | None, dict[Severity, int]]:
    """How many alerts are not over, by model and severity; None stands for the service."""
    counted = select(Alert.model, Alert.severity, func.count()).where(Alert.state != State.RESOLVED)
    if models is not None:
        counted = counted.where(among(Alert.model, models))
    found: dict[str | None, dict[Severity, int]] = {}
    for model, severity, count in await session.execute(
        counted.group_by(Alert.model, Alert.severity)
    ):
        found.setdefault(model, {})[severity] = count
    return found


async def unresolved(session: AsyncSession) -> dict[tuple[Severity, State], int]:
    """How many alerts are not resolved, by severity and state."""
    counted = (
        select(Alert.severity, Alert.state, func.count())
        .where(Alert.state != State.RESOLVED)
        .group_by(Alert.severity, Alert.state)
    )
    return {(severity, state): count for severity, state, count in await session.execute(counted)}
