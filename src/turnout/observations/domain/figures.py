"""What a version did in a stretch of time, for people to look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from turnout.errors import Unprocessable
from turnout.stats.quantile_sketch import QuantileSketch

MINUTE: Final = timedelta(minutes=1)
LONGEST_WINDOW: Final = timedelta(days=7)


class WindowTooLong(Unprocessable):
    def __init__(self) -> None:
        super().__init__(f"window is at most {LONGEST_WINDOW.days} days", field="query.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    n: int = 0
    total: float = 0.0

    @property
    def value(self) -> float | None:
        return self.total / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one version did in a stretch of time; `latency` in milliseconds."""

    predictions: int
    errors: int
    labelled: int
    correct: int
    latency: Mean
    confidence: Mean
    cost: Mean
    latencies: QuantileSketch

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.predictions if self.predictions else None

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFigures:
    """`classes` counts the classes predicted most often; the rest is counted under ""."""

    version_id: int
    shadow: bool
    figures: Figures
    classes: Mapping[str, int]


def whole_minutes(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Widen a stretch of time to the minutes that it touches."""
    first = since.replace(second=0, microsecond=0)
    last = until.replace(second=0, microsecond=0)
    return first, last + MINUTE
