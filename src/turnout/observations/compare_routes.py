"""Versions side by side: by what was registered of them, and by what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.errors import Unprocessable
from turnout.http import Now, Session
from turnout.observations import queries
from turnout.observations.domain.figures import LONGEST_WINDOW, WindowTooLong, whole_minutes
from turnout.observations.schemas import VersionPerformance, version_performance
from turnout.problems import problems
from turnout.quantities import Duration
from turnout.registry import queries as registry
from turnout.registry.domain.comparison import MetricRow, compared, signature_differences
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import (
    ModelNotFound,
    ModelRef,
    NoProductionVersion,
    VersionDetails,
    VersionNotFound,
    VersionRef,
)

router = http.router("registry")

MOST: Final = 10
PRODUCTION: Final = "production"
DAY: Final = timedelta(days=1)


class NothingToCompare(Unprocessable):
    def __init__(self) -> None:
        super().__init__(
            f"name 2 to {MOST} versions, such as versions=1.0.0,2.0.0, or one of them and"
            " against=production",
            field="query.versions",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    version: str
    stage: Lifecycle
    predictions: int
    signature_differences: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionComparison:
    """`live` is what the versions did from `since` to `until`; the rest is what was registered."""

    model: str
    against: str
    versions: Sequence[Column]
    metrics: Sequence[MetricRow]
    group_metrics: Mapping[str, Sequence[MetricRow]]
    live: Sequence[MetricRow]
    since: datetime
    until: datetime


@router.get(
    "/models/{model}/compare",
    summary="Versions side by side",
    responses=problems(ModelNotFound, VersionNotFound, NoProductionVersion),
)
async def compare_versions(
    model: Annotated[str, Path(examples=["fraud-detection"])],
    session: Session,
    now: Now,
    *,
    versions: Annotated[
        str,
        Query(
            description=f"Up to {MOST}, separated by commas; `@` and an alias stand for a version",
            examples=["1.0.0,2.0.0"],
        ),
    ],
    against: Annotated[
        str | None,
        Query(description="What the others are held against: a version, or `production`"),
    ] = None,
    window: Annotated[Duration, Query(description="How far back `live` looks")] = DAY,
) -> VersionComparison:
    """Puts metrics of versions side by side: each value, its difference and relative difference to
    the first version (or to the one `against`), and whether that is better or worse.

    Which way a metric improves is known by its name (`accuracy` by an increase, `latency_p99` and
    `val_loss` by a decrease); of a name that is not known the difference is told, and no judgement.
    `live` holds what was measured of late, which differs also because the versions had different
    users at different times: what a rollout decides on stands in its evidence. Outcomes such as
    revenue are not in it: `compare_performance` has them.
    """
    if window > LONGEST_WINDOW:
        raise WindowTooLong
    found = await registry.model(session, model)
    chosen, reference = await _chosen(session, found, versions, against)
    details = await registry.details(session, [version.id for version in chosen])
    since, until = whole_minutes(now - window, now)
    performance = await _performance(session, found.id, chosen, since=since, until=until)
    return VersionComparison(
        model=found.name,
        against=reference.version,
        versions=[_column(version, reference, performance[version.version]) for version in chosen],
        metrics=compared(
            {version.version: details[version.id].metrics for version in chosen},
            against=reference.version,
        ),
        group_metrics=_groups(chosen, details, reference),
        live=compared(
            {version: _live(seen) for version, seen in performance.items()},
            against=reference.version,
        ),
        since=since,
        until=until,
    )


def _column(version: VersionRef, reference: VersionRef, seen: VersionPerformance | None) -> Column:
    return Column(
        version=version.version,
        stage=version.stage,
        predictions=seen.predictions if seen else 0,
        signature_differences=signature_differences(reference.signature, version.signature),
    )


async def _chosen(
    session: AsyncSession, model: ModelRef, versions: str, against: str | None
) -> tuple[list[VersionRef], VersionRef]:
    """The versions in the order in which they were named, each once, and the one that measures."""
    # A plus sign that was not encoded arrives as a space, which no version has.
    names = [name.strip().replace(" ", "+") for name in versions.split(",") if name.strip()]
    if len(names) > MOST:
        raise NothingToCompare
    found = [await registry.version(session, model.id, name) for name in names]
    reference = await _reference(session, model, against) if against else None
    chosen = {version.id: version for version in [*([reference] if reference else []), *found]}
    if reference and reference.id in {version.id for version in found}:
        chosen = {version.id: version for version in found}
    if len(chosen) < 2:
        raise NothingToCompare
    return list(chosen.values()), reference or found[0]


async def _reference(session: AsyncSession, model: ModelRef, against: str) -> VersionRef:
    if against != PRODUCTION:
        return await registry.version(session, model.id, against.strip().replace(" ", "+"))
    current = await registry.current_version(session, model.id)
    if current is None:
        raise NoProductionVersion(model.name)
    return current


async def _performance(
    session: AsyncSession,
    model_id: int,
    chosen: Sequence[VersionRef],
    *,
    since: datetime,
    until: datetime,
) -> dict[str, VersionPerformance | None]:
    figures = {
        found.version_id: found
        for found in await queries.performance(session, model_id, since=since, until=until)
        if not found.shadow
    }
    return {
        version.version: version_performance(figures[version.id], version.version)
        if version.id in figures
        else None
        for version in chosen
    }


LIVE: Final = tuple(
    part.name
    for part in fields(VersionPerformance)
    if part.name not in {"version", "predictions", "errors", "labelled", "classes", "outcomes"}
)


def _live(seen: VersionPerformance | None) -> Mapping[str, float | None]:
    if seen is None:
        return {}
    return {name: value for name in LIVE if (value := getattr(seen, name)) is not None}


def _groups(
    chosen: Sequence[VersionRef], details: Mapping[int, VersionDetails], reference: VersionRef
) -> dict[str, Sequence[MetricRow]]:
    names = sorted({name for version in chosen for name in details[version.id].group_metrics})
    return {
        name: compared(
            {
                version.version: details[version.id].group_metrics.get(name, {})
                for version in chosen
            },
            against=reference.version,
        )
        for name in names
    }
