import math
import re
from dataclasses import dataclass, replace
from typing import Final

from turnout.observations.domain.followed import (
    Followed,
    Segment,
    check_maturity,
    check_segment,
)
from turnout.quantities import STRICT, Duration, Line
from turnout.stats.finding import Harm, Proof

PROPORTIONS: Final = frozenset({"error_rate", "success_rate", "accuracy", "agreement"})
"""Metrics that count some of their events; every other one sums measurements."""

PAIRED: Final = frozenset({"agreement", "confidence_shift", "latency_shift"})
"""Metrics of a shadow: each of its answers against the one that was served for the same input."""

_SHARES = PROPORTIONS | {"confidence"}
_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_QUANTILE = re.compile(r"latency_p([1-9]\d?)")
_RULES: Final[dict[str, tuple[Harm, bool, str]]] = {
    "max": ("above", False, "at most {}"),
    "min": ("below", False, "at least {}"),
    "max_increase": ("above", True, "at most {} above the baseline"),
    "max_decrease": ("below", True, "at most {} below the baseline"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A limit the candidate must respect: absolute (`max`, `min`), or against the baseline that
    answers at the same time (`max_increase`, `max_decrease`).

    A shadow sees the very inputs that are served, so three metrics compare it answer by answer,
    under a limit of their own: `agreement`, the share of inputs for which both say the same
    class, and `confidence_shift` and `latency_shift` (in milliseconds), by how much the
    shadow's answer exceeds the one that was served.

    What labels and outcomes tell, such as `accuracy`, may come sooner for one version than for the
    other. With `maturity` only predictions of at least that age count, of both versions. With
    `segment` it is judged for each value of an attribute by itself, as a guardrail of its own: the
    error rate is divided among them, and each needs its `min_samples`.

    Judged by a bound that holds at every look, never by a bare estimate. `proof` says what a pass
    takes: `no_harm`, that `min_samples` were seen and no harm was shown; `not_worse`, that the
    bound shows the candidate within the limit. With `dry_run` it is judged and shown, and decides
    nothing.
    """

    __pydantic_config__ = STRICT

    metric: Line
    max: float | None = None
    min: float | None = None
    max_increase: float | None = None
    max_decrease: float | None = None
    confidence: float = 0.95
    min_samples: int = 100
    maturity: Duration | None = None
    segment: Segment | None = None
    proof: Proof = "no_harm"
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check_metric(self.metric)
        check_maturity(self.metric, self.maturity)
        check_segment(self.metric, self.segment, self.maturity)
        stated = [rule for rule in _RULES if getattr(self, rule) is not None]
        if len(stated) != 1:
            raise ValueError(
                f"a guardrail states exactly one of {', '.join(_RULES)};"
                f" this one on {self.metric} states {' and '.join(stated) or 'none'}"
            )
        if not math.isfinite(self.limit):
            raise ValueError(f"{self.rule} must be a finite number")
        if self.relative and self.limit < 0:
            raise ValueError(f"{self.rule} is how much worse is accepted: 0 or more")
        if self.paired and self.relative:
            raise ValueError(
                f"{self.metric} compares the candidate with what was served already: limit it by"
                f" max or min, not by {self.rule}"
            )
        if self.metric == "confidence_shift" and not -1 <= self.limit <= 1:
            raise ValueError(
                f"confidence_shift lies between -1 and 1 (write -0.05 for 5 points less), not"
                f" {self.limit:g}"
            )
        if self.metric in _SHARES and not 0 <= self.limit <= 1:
            raise ValueError(
                f"{self.metric} is a share between 0 and 1 (write 0.05 for 5 %), not {self.limit:g}"
            )
        if self.quantile is not None and self.harm == "below":
            raise ValueError(f"{self.metric} is limited by max or max_increase, not {self.rule}")
        if not 0.5 < self.confidence < 1:
            raise ValueError("confidence lies between 0.5 and 1, such as 0.95")
        if self.min_samples < 1:
            raise ValueError("min_samples is 1 or more")

    @property
    def rule(self) -> str:
        return next(rule for rule in _RULES if getattr(self, rule) is not None)

    @property
    def limit(self) -> float:
        limit: float = getattr(self, self.rule)
        return limit

    @property
    def harm(self) -> Harm:
        return _RULES[self.rule][0]

    @property
    def relative(self) -> bool:
        return _RULES[self.rule][1]

    @property
    def parts(self) -> tuple["Guardrail", ...]:
        """The guardrails that are judged, each by itself: one per value of a segment."""
        if self.segment is None:
            return (self,)
        return tuple(
            replace(self, segment=replace(self.segment, values=(value,)))
            for value in self.segment.values
        )

    @property
    def followed(self) -> Followed | None:
        """The totals it rests on, where they are kept apart; of a guardrail with one value."""
        if self.segment is not None:
            (value,) = self.segment.values
            return Followed(metric=self.metric, attribute=self.segment.attribute, value=value)
        return None if self.maturity is None else Followed(metric=self.metric, age=self.maturity)

    @property
    def series(self) -> str:
        """What the totals it rests on are recorded as."""
        return self.followed.series if self.followed else self.metric

    @property
    def paired(self) -> bool:
        """Whether it compares the answers of a shadow, one by one, with those that were served."""
        return self.metric in PAIRED

    @property
    def quantile(self) -> float | None:
        """The quantile of the latency that is limited, such as 0.99, if it is one."""
        found = _QUANTILE.fullmatch(self.metric)
        return int(found[1]) / 100 if found else None

    def __str__(self) -> str:
        rule = f"{self.metric} {_RULES[self.rule][2].format(f'{self.limit:g}')}"
        if self.segment is not None:
            return f"{rule} (where {self.segment})"
        return f"{rule} (of predictions {self.maturity} old)" if self.maturity else rule


def _check_metric(name: str) -> None:
    if not _METRIC.fullmatch(name):
        raise ValueError(
            f"{name!r} is not the name of a metric: a letter, then letters, digits, '.', '_', '-'"
        )
    known = {"latency_mean", "latency_shift"}
    if name.startswith("latency") and name not in known and not _QUANTILE.fullmatch(name):
        raise ValueError(
            f"{name} is not known: latency is limited as latency_mean, at a percentile such as"
            f" latency_p50, latency_p95 or latency_p99, or, of a shadow, as latency_shift; in"
            f" milliseconds"
        )
