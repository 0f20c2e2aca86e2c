"""What versions are compared by."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from turnout.observations.domain.followed import Followed, check_maturity
from turnout.observations.domain.guardrails import PAIRED, PROPORTIONS
from turnout.observations.domain.outcome import MetricName
from turnout.quantities import STRICT, Duration

Direction = Literal["increase", "decrease"]

KNOWN: Final[Mapping[str, Direction]] = {
    "accuracy": "increase",
    "confidence": "increase",
    "success_rate": "increase",
    "error_rate": "decrease",
    "latency_mean": "decrease",
    "cost": "decrease",
}
"""Metrics that are known without set-up, and which way each of them improves."""

_SHARES = PROPORTIONS | {"confidence"}
_PERCENTILE = re.compile(r"latency_p\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that versions are compared by, as a mean over all that was reported.

    `direction` says which way it improves; for the metrics that are known without set-up it may
    be left out. `per` says what the mean is over: `outcome`, everything that was reported; `unit`,
    every unit that was exposed, one of which nothing was reported counting as 0. So `unit` is for
    conversions and purchases of which only those that happened are sent. With `maturity`, only
    what was reported of predictions of at least that age is counted, of every version: labels may
    come sooner for one than for another.
    """

    __pydantic_config__ = STRICT

    metric: MetricName
    direction: Direction | None = None
    per: Literal["outcome", "unit"] = "outcome"
    maturity: Duration | None = None

    def __post_init__(self) -> None:
        if _PERCENTILE.fullmatch(self.metric):
            raise ValueError(
                f"versions are compared by a mean, and {self.metric} is a percentile: compare by"
                f" latency_mean, and limit {self.metric} by a guardrail"
            )
        if self.metric in PAIRED:
            raise ValueError(
                f"{self.metric} compares a shadow with what was served, and there is no"
                f" shadow here: limit it by a guardrail in a shadow stage"
            )
        check_maturity(self.metric, self.maturity)
        if self.maturity is not None and self.per == "unit":
            raise ValueError(
                f"{self.metric} per unit counts every unit that was exposed, however long ago:"
                f" leave out maturity, or set per to 'outcome'"
            )
        known = KNOWN.get(self.metric)
        if known is None and self.direction is None:
            raise ValueError(
                f"direction says which way {self.metric} improves: 'increase' or 'decrease'"
            )
        if known and self.direction not in {None, known}:
            raise ValueError(
                f"{self.metric} improves by a {known}: set direction to '{known}' or leave it out"
            )
        if self.per == "unit" and known and self.metric != "cost":
            raise ValueError(
                f"{self.metric} is known of every prediction or label, so none is to be counted"
                f" as 0: leave out per, or set it to 'outcome'"
            )

    @property
    def improves_by(self) -> Direction:
        return self.direction or KNOWN[self.metric]

    @property
    def followed(self) -> Followed | None:
        """The totals it rests on, where they are kept apart."""
        return None if self.maturity is None else Followed(metric=self.metric, age=self.maturity)

    @property
    def series(self) -> str:
        """What the totals it rests on are recorded as."""
        return self.followed.series if self.followed else self.metric

    @property
    def proportion(self) -> bool:
        """It counts some of its events, instead of summing measurements."""
        return self.metric in PROPORTIONS and self.per == "outcome"

    @property
    def share(self) -> bool:
        """It lies between 0 and 1, and is read in percent."""
        return self.metric in _SHARES and self.per == "outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal(Metric):
    """The one metric that decides.

    `minimum_detectable_effect` is the least difference that matters, in the unit of the metric:
    for shares such as accuracy 0.02 is two points, for latency_mean 5 is five milliseconds.
    """

    __pydantic_config__ = STRICT

    minimum_detectable_effect: float = 0.02

    def __post_init__(self) -> None:
        Metric.__post_init__(self)
        effect = self.minimum_detectable_effect
        if not math.isfinite(effect) or effect <= 0:
            raise ValueError(
                "minimum_detectable_effect is the least difference that matters, in the unit of"
                " the metric: above 0, also where a decrease is better"
            )
        if self.share and effect >= 1:
            raise ValueError(
                f"minimum_detectable_effect of {self.metric} is a difference of shares, below 1:"
                f" write 0.02 for two points, not {effect:g}"
            )


@dataclass(frozen=True, slots=True)
class _Named:
    """Takes the name of a metric for the metric, where nothing more need be said of it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        read = {"type": "no-info", "function": _named}
        return {"type": "function-before", "function": read, "schema": handler(source)}

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Mapping[str, Any]:
        name = {"type": "string", "minLength": 1, "maxLength": 100, "examples": ["latency_mean"]}
        return {"anyOf": [handler(schema), name]}


def _named(value: object) -> object:
    return {"metric": value} if isinstance(value, str) else value


NamedMetric = Annotated[Metric, _Named()]
