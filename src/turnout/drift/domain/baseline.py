"""What a version is expected to meet and to answer: the distributions of its training data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from typing import Annotated, Final

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.errors import NotFound, TooLarge, Unprocessable
from turnout.observations.domain.grid import PREDICTION, Cut
from turnout.observations.domain.prediction import LARGEST, LONGEST_LABEL
from turnout.quantities import STRICT, Line

MOST_FEATURES: Final = 200
MOST_BINS: Final = 50
MISSING: Final = "missing"

Count = Annotated[int, Ge(0), Le(10**15)]
Share = Annotated[float, Ge(0), Le(1)]
FeatureName = Annotated[Line, MinLen(1), MaxLen(200)]
Category = Annotated[Line, MinLen(1), MaxLen(LONGEST_LABEL)]


class BaselineNotFound(NotFound):
    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"{model} {version} has no baseline: PUT one, or take it from its traffic",
            model=model,
            version=version,
        )


class MalformedData(Unprocessable):
    """Training data that cannot be read; says in which row and column."""


class TrainingDataTooLarge(TooLarge):
    def __init__(self, megabytes: int) -> None:
        super().__init__(
            f"training data is at most {megabytes} MB: send a sample of its rows, counts, or raise"
            " TURNOUT_MAX_ARTIFACT_MEGABYTES",
            megabytes=megabytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Numbers: `counts` has one bin below the first edge and one from each edge on, up to the
    next. `missing` counts the rows without a number."""

    __pydantic_config__ = STRICT

    edges: Annotated[tuple[float, ...], MinLen(1), MaxLen(MOST_BINS - 1)]
    counts: tuple[Count, ...]
    missing: Count = 0

    def __post_init__(self) -> None:
        if not all(isfinite(edge) and abs(edge) <= LARGEST for edge in self.edges):
            raise ValueError(f"edges are numbers between -{LARGEST:g} and {LARGEST:g}")
        for lower, upper in pairwise(self.edges):
            if lower >= upper:
                raise ValueError(f"edges rise, but {lower:g} stands before {upper:g}")
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(
                f"{len(self.edges)} edges divide {len(self.edges) + 1} bins (one lies below the"
                f" first edge, one above the last), and there are {len(self.counts)} counts"
            )
        if not any(self.counts):
            raise ValueError("counts count nothing")

    @property
    def bins(self) -> tuple[int, ...]:
        return (*self.counts, self.missing)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each of the bins is called."""
        between = (f"{low:g} to below {high:g}" for low, high in pairwise(self.edges))
        ends = f"below {self.edges[0]:g}", f"{self.edges[-1]:g} or more"
        return (ends[0], *between, ends[1], MISSING)

    def cut(self, feature: str) -> Cut:
        return Cut(feature=feature, edges=self.edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequencies:
    """Classes or categories: how often each was seen. `other` counts those that are not named,
    `missing` the rows without any."""

    __pydantic_config__ = STRICT

    categories: Annotated[Mapping[Category, Count], MinLen(1), MaxLen(MOST_BINS)]
    other: Count = 0
    missing: Count = 0

    def __post_init__(self) -> None:
        if not any((*self.categories.values(), self.other)):
            raise ValueError("categories count nothing")

    @property
    def names(self) -> tuple[str, ...]:
        """In an order of their own: an object of JSON has none."""
        return tuple(sorted(self.categories))

    @property
    def bins(self) -> tuple[int, ...]:
        return (*(self.categories[name] for name in self.names), self.other, self.missing)

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.names, "any other", MISSING)

    def cut(self, feature: str) -> Cut:
        return Cut(feature=feature, categories=self.names)


Distribution = Histogram | Frequencies


class Origin(StrEnum):
    COUNTS = "counts"
    ROWS = "rows"
    TRAFFIC = "traffic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What one version's answers are held against. `latency_p99` in milliseconds."""

    __pydantic_config__ = STRICT

    features: Annotated[Mapping[FeatureName, Distribution], MaxLen(MOST_FEATURES)]
    prediction: Distribution | None = None
    accuracy: Share | None = None
    error_rate: Share | None = None
    latency_p99: Annotated[float, Ge(0), Le(LARGEST)] | None = None

    @property
    def distributions(self) -> Mapping[str, Distribution]:
        """In the order in which they are counted, the prediction among them."""
        found = dict(sorted(self.features.items()))
        return found if self.prediction is None else {**found, PREDICTION: self.prediction}

    @property
    def cuts(self) -> list[Cut]:
        return [found.cut(name) for name, found in self.distributions.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a baseline is from; while `awaited` is set, so many answers are `collected` for it."""

    origin: Origin
    awaited: int | None
    collected: int
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A wish to take the baseline from so many answers of the version itself."""

    __pydantic_config__ = STRICT

    predictions: Annotated[int, Ge(100), Le(50_000)] = 5000
