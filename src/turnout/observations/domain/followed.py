"""Metrics of some predictions only: those that are old enough, or those of a segment.

Labels come late, and from one version sooner than from another: whoever answers "fine" hears of a
mistake weeks later. Where only predictions of some age count, in every arm, each had the same
time to be found right or wrong. And a version that is better for most can be worse for some.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from annotated_types import MaxLen, MinLen

from turnout.observations.domain.outcome import RESERVED, SERIES_MARK
from turnout.quantities import STRICT, Line

OF_PREDICTIONS: Final = ("error_rate", "success_rate", "latency_mean", "confidence", "cost")
"""Of the metrics that predictions bring with them, those that are kept by segment."""

Attribute = Annotated[Line, MinLen(1), MaxLen(100)]
AttributeValue = Annotated[Line, MinLen(1), MaxLen(200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The predictions whose `attribute` (of the request's attributes, or of the `features` that
    were reported) has one of these values, as text."""

    __pydantic_config__ = STRICT

    attribute: Attribute
    values: Annotated[tuple[AttributeValue, ...], MinLen(1), MaxLen(20)]

    def __post_init__(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"a value of {self.attribute} is listed twice: list it once")

    def __str__(self) -> str:
        return f"{self.attribute} = {' or '.join(self.values)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A metric of predictions that are at least of this age, or have this value of an attribute;
    its totals are kept apart."""

    metric: str
    age: timedelta | None = None
    attribute: str | None = None
    value: str | None = None

    @property
    def series(self) -> str:
        """What its totals are recorded as."""
        which = self.age if self.attribute is None else f"{self.attribute}={self.value}"
        return f"{self.metric}{SERIES_MARK}{which}"


def check_maturity(metric: str, maturity: timedelta | None) -> None:
    """Refuse to wait for what is known at once."""
    if maturity is None:
        return
    if metric in RESERVED or metric.startswith("latency"):
        raise ValueError(
            f"{metric} is known as soon as a prediction is made: maturity is for metrics that"
            f" labels and outcomes tell, such as accuracy"
        )
    if not maturity:
        raise ValueError("maturity is longer than nothing, such as '1d': leave it out otherwise")


def check_segment(metric: str, segment: Segment | None, maturity: timedelta | None) -> None:
    """Refuse what is not kept by segment."""
    if segment is None:
        return
    if (metric in RESERVED or metric.startswith("latency")) and metric not in OF_PREDICTIONS:
        raise ValueError(
            f"{metric} is not kept by segment: those are {', '.join(OF_PREDICTIONS)}, and what"
            f" labels and outcomes of predictions tell, such as accuracy"
        )
    if maturity is not None:
        raise ValueError(f"{metric} has either a segment or a maturity: leave out one of them")
