from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Discriminator, Field, Tag

from turnout.drift.domain.baseline import (
    MOST_FEATURES,
    Baseline,
    Distribution,
    FeatureName,
    Frequencies,
    Histogram,
    Origin,
    Share,
    Taken,
)
from turnout.drift.domain.columns import cell, distribution
from turnout.drift.tables import BaselineRow
from turnout.observations.domain.prediction import LARGEST
from turnout.quantities import STRICT
from turnout.registry.domain.version import VersionRef


@dataclass(frozen=True, slots=True, kw_only=True)
class RawColumn:
    """A raw column: all numbers, or all texts; null where there is none."""

    __pydantic_config__ = STRICT

    values: Annotated[tuple[float | str | bool | None, ...], MinLen(1), MaxLen(100_000)]

    def __post_init__(self) -> None:
        self.distribution()

    def distribution(self) -> Distribution:
        numeric: bool | None = None
        cells = []
        for place, value in enumerate(self.values):
            try:
                found = cell(value, numeric=numeric)
            except ValueError as error:
                raise ValueError(f"values[{place}]: {error}") from None
            if numeric is None and found is not None:
                numeric = isinstance(found, float)
            cells.append(found)
        return distribution(cells)


def _kind(given: Any) -> str | None:
    if isinstance(given, Mapping):
        return next(
            (f"<{name}>" for name in ("edges", "categories", "values") if name in given), None
        )
    kinds = {Histogram: "<edges>", Frequencies: "<categories>", RawColumn: "<values>"}
    return kinds.get(type(given))


Column = Annotated[
    Annotated[Histogram, Tag("<edges>")]
    | Annotated[Frequencies, Tag("<categories>")]
    | Annotated[RawColumn, Tag("<values>")],
    Discriminator(
        _kind,
        custom_error_type="no_distribution",
        custom_error_message="a distribution is given by `edges` and `counts`, by `categories`, or"
        " by raw `values`",
    ),
]


def _distribution(column: Histogram | Frequencies | RawColumn) -> Distribution:
    return column.distribution() if isinstance(column, RawColumn) else column


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineGiven:
    """The distributions of the training data, counted or raw, and the figures of its evaluation.

    `prediction` is how the answers are distributed: classes by name, or a score by edges.
    `latency_p99` is in milliseconds.
    """

    __pydantic_config__ = STRICT

    features: Annotated[Mapping[FeatureName, Column], MaxLen(MOST_FEATURES)] = field(
        default_factory=dict
    )
    prediction: Column | None = None
    accuracy: Share | None = None
    error_rate: Share | None = None
    latency_p99: Annotated[float, Ge(0), Le(LARGEST)] | None = None

    def __post_init__(self) -> None:
        figures = (self.accuracy, self.error_rate, self.latency_p99)
        if not self.features and self.prediction is None and figures == (None, None, None):
            raise ValueError("a baseline has at least one of features, prediction and figures")

    def baseline(self) -> Baseline:
        return Baseline(
            features={name: _distribution(column) for name, column in self.features.items()},
            prediction=None if self.prediction is None else _distribution(self.prediction),
            accuracy=self.accuracy,
            error_rate=self.error_rate,
            latency_p99=self.latency_p99,
        )

    @property
    def origin(self) -> Origin:
        columns = [*self.features.values(), self.prediction]
        return Origin.ROWS if any(isinstance(one, RawColumn) for one in columns) else Origin.COUNTS


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFromTraffic(Taken):
    """A wish to take the baseline from the version's own answers, once there are so many."""

    __pydantic_config__ = STRICT

    source: Annotated[Literal["traffic"], Field(alias="from")]


def _source(given: Any) -> str:
    taken = (
        "from" in given if isinstance(given, Mapping) else isinstance(given, BaselineFromTraffic)
    )
    return "<traffic>" if taken else "<given>"


BaselineBody = Annotated[
    Annotated[BaselineGiven, Tag("<given>")] | Annotated[BaselineFromTraffic, Tag("<traffic>")],
    Discriminator(_source),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineView:
    """While `awaited` is set, the baseline is made as soon as so many answers of the version are
    `collected`; only one from traffic collects any."""

    model: str
    version: str
    origin: Origin
    awaited: int | None
    collected: int | None
    set_at: datetime
    set_by: str
    baseline: Baseline | None


def baseline_view(version: VersionRef, row: BaselineRow) -> BaselineView:
    return BaselineView(
        model=version.model,
        version=version.version,
        origin=Origin(row.origin),
        awaited=row.awaited,
        collected=row.collected if row.origin == Origin.TRAFFIC else None,
        set_at=row.set_at,
        set_by=row.set_by,
        baseline=row.baseline,
    )
