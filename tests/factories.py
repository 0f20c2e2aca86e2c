"""Plain functions that add one valid row each, or make one valid value."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.cover import floor
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.observations.tables import Arm, ArmTotal, LongWindow, MinuteWindow
from turnout.registry import commands, queries
from turnout.registry.domain.runtime import ExternalRuntime, Runtime
from turnout.registry.domain.version import NewVersion, VersionRef
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals
from turnout.traffic.domain.split import Owner, OwnerKind, Split, Spread, Variant

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""When the clock of the tests starts."""

PERSON = Owner(kind=OwnerKind.PERSON, id="ada")


async def version(
    session: AsyncSession,
    text: str = "1.0.0",
    *,
    model: str = "fraud-detection",
    runtime: Runtime | None = None,
    now: datetime = NOON,
) -> VersionRef:
    """Register a version, and its model with it."""
    new = NewVersion(version=text, runtime=runtime or ExternalRuntime())
    row = await commands.register_version(session, model, new, actor="ada", now=now, reason=None)
    return (await queries.versions_by_id(session, [row.id]))[row.id]


def variants(weights: Mapping[str, int], *, shadow: str | None = None) -> tuple[Variant, ...]:
    """Variants by name with weights in basis points; the first one is version 1.0.0 with id 1."""
    serving = [
        Variant(name=name, version_id=n, version=f"{n}.0.0", weight=weight)
        for n, (name, weight) in enumerate(weights.items(), start=1)
    ]
    n = len(serving) + 1
    copied = Variant(name=shadow or "", version_id=n, version=f"{n}.0.0", weight=0, shadow=True)
    return (*serving, copied) if shadow else tuple(serving)


def split(
    weights: Mapping[str, int],
    *,
    shadow: str | None = None,
    strategy: Spread = Spread.STICKY,
    salt: str = "8f14e45fceea167a",
    owner: Owner = PERSON,
    owned: bool = False,
) -> Split:
    return Split(
        id=7,
        model_id=1,
        salt=salt,
        strategy=strategy,
        variants=variants(weights, shadow=shadow),
        owner=owner,
        owned=owned,
        created_at=NOON,
    )


def counted(n: int, x: float) -> UnitTotals:
    """Totals of n units with one event each, x of which count."""
    return UnitTotals(units=n, n=n, n2=n, x=x, x2=x, xn=x)


def arm_evidence(
    predictions: int,
    *,
    errors: int = 0,
    latency_ms: float = 50.0,
    last_at: datetime | None = NOON,
    version_id: int = 1,
    outcomes: Mapping[str, UnitTotals] | None = None,
    crossed: int = 0,
) -> ArmEvidence:
    """An arm in which every prediction is of a unit of its own and takes equally long."""
    n = predictions
    latency = UnitTotals(
        units=n, n=n, n2=n, x=n * latency_ms, x2=n * latency_ms**2, xn=n * latency_ms
    )
    return ArmEvidence(
        version_id=version_id,
        metrics={"error_rate": counted(n, errors), "latency_mean": latency, **(outcomes or {})},
        latency=QuantileSketch.of([latency_ms] * n),
        predictions=n,
        crossed=crossed,
        last_at=last_at if n else None,
    )


async def add_evidence(
    session: AsyncSession, model_id: int, split_id: int, arm: ArmEvidence
) -> None:
    """Let an arm have shown this much by now; more than it had shown before."""
    key = {"model_id": model_id, "split_id": split_id, "version_id": arm.version_id}
    buckets, counts = zip(*arm.latency.counts, strict=True) if arm.latency.counts else ((), ())
    await session.merge(
        Arm(
            **key,
            predictions=arm.predictions,
            crossed=arm.crossed,
            last_at=arm.last_at,
            buckets=list(buckets),
            counts=list(counts),
        )
    )
    for metric, totals in arm.metrics.items():
        await session.merge(ArmTotal(**key, metric=metric, **asdict(totals)))
    await session.flush()


async def add_minute(
    session: AsyncSession, model_id: int, version_id: int, *, minute: datetime, predictions: int
) -> None:
    """A minute, its hour and its day, in which a version answered so often outside of any split."""
    key = {"model_id": model_id, "version_id": version_id, "split_id": 0, "shadow": False}
    await session.execute(insert(MinuteWindow).values(**key, minute=minute, n=predictions))
    for hours in (1, 24):
        starts = floor(minute, timedelta(hours=hours))
        added = insert(LongWindow).values(**key, hours=hours, starts=starts, n=predictions)
        await session.execute(
            added.on_conflict_do_update(
                constraint="pk_long_window", set_={"n": LongWindow.n + predictions}
            )
        )


def prediction(
    prediction_id: str | None = None,
    *,
    version_id: int = 1,
    split_id: int | None = 7,
    unit: str | None = "user-1",
    at: datetime = NOON,
    **seen: Any,
) -> Prediction:
    """A prediction as the gateway sees it, with an id of its own unless one is given."""
    return Prediction(
        prediction_id=prediction_id or uuid7(at),
        version_id=version_id,
        split_id=split_id,
        unit=unit,
        at=at,
        **seen,
    )
