from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.interop.quickstart.domain import MODEL, Entry, entry
from turnout.observations import queries as observations
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.figures import LONGEST_WINDOW, Figures, whole_minutes
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, ModelRef
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import Split

WINDOW: Final[timedelta] = LONGEST_WINDOW
MOST_VERSIONS: Final = 10_000
MOST_SPLITS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said of a version at its registration."""

    description: str
    accuracy: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """All that the quick start shows of its model, as it is now; newest versions first."""

    entries: Sequence[Entry] = ()
    said: Mapping[int, Said] = field(default_factory=dict)
    split: Split | None = None
    figures: Mapping[int, Figures] = field(default_factory=dict)


async def model(session: AsyncSession) -> ModelRef | None:
    """None before the first registration."""
    try:
        return await registry.model(session, MODEL)
    except ModelNotFound:
        return None


async def entries(session: AsyncSession, model: ModelRef) -> list[Entry]:
    rows = await registry.versions(session, model.id, limit=MOST_VERSIONS)
    return [entry(row.id, row.version, row.details) for row in rows]


async def split(session: AsyncSession, model: ModelRef) -> Split | None:
    return await traffic.active_split(session, model.id)


async def stand(session: AsyncSession, now: datetime) -> Stand:
    found = await model(session)
    if found is None:
        return Stand()
    rows = await registry.versions(session, found.id, limit=MOST_VERSIONS)
    since, until = whole_minutes(now - WINDOW, now)
    performance = await observations.performance(session, found.id, since=since, until=until)
    return Stand(
        entries=[entry(row.id, row.version, row.details) for row in rows],
        said={
            row.id: Said(
                description=row.details.description,
                accuracy=row.details.metrics.get("accuracy"),
                created_at=row.created_at,
            )
            for row in rows
        },
        split=await split(session, found),
        figures={one.version_id: one.figures for one in performance if not one.shadow},
    )


async def shared(session: AsyncSession, now: datetime) -> list[Mapping[int, ArmEvidence]]:
    """What the versions have shown in the latest splits, each with its arms."""
    found = await model(session)
    if found is None:
        return []
    splits = await traffic.splits_since(session, found.id, now - WINDOW)
    keys = [(found.id, one.id) for one in splits[-MOST_SPLITS:]]
    return list((await observations.evidence(session, keys)).values())
