"""How many units a comparison of two arms needs, by what the control has been like.

Units are what is randomised. A unit may bring many events, which go together, so the variance
that counts is that of the ratio Σx/Σn over units (Deng, Knoblich & Lu 2018): for a rate p of
single events it is p(1 - p), and as many times that as the design effect of the clusters says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scipy import optimize

from turnout.stats.arguments import require_finite, require_positive
from turnout.stats.power import sample_size_means, sample_size_proportions
from turnout.stats.tails import critical_value

if TYPE_CHECKING:
    from turnout.stats.totals import UnitTotals

Good = Literal["up", "down"]

#: Effects are looked for within this factor of what the normal curve says.
_SEARCH = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The control's metric, and the variance of one unit: units · Var(Σx/Σn).

    A `proportion` counts some of its events; its variance changes with its value.
    """

    value: float
    variance: float
    proportion: bool

    def __post_init__(self) -> None:
        require_finite(value=self.value)
        require_positive(variance=self.variance)

    @classmethod
    def of(cls, totals: UnitTotals, *, proportion: bool) -> Baseline | None:
        """What some units add up to; None where they tell no variance.

        A proportion of which none or all were counted is held half an event away from that.
        """
        if totals.units < 2 or totals.n <= 0:
            return None
        value = totals.x / totals.n
        squares = max(0.0, totals.x2 - 2 * value * totals.xn + value**2 * totals.n2)
        if proportion:
            value = (totals.x + 0.5) / (totals.n + 1)
            squares = max(squares, totals.n * value * (1 - value))
        variance = squares / (totals.units - 1) * (totals.units / totals.n) ** 2
        return cls(value=value, variance=variance, proportion=proportion) if variance else None

    def reaches(self, effect: float, good: Good) -> bool:
        """Whether the metric can change so much: a share stays between 0 and 1."""
        changed = self.value + (effect if good == "up" else -effect)
        return not self.proportion or 0 < changed < 1


def control_units(
    baseline: Baseline, effect: float, *, alpha: float, beta: float, ratio: float, good: Good
) -> float:
    """The units of the control with which a single look finds the effect with chance 1 - beta.

    `alpha` is of the side looked at, `ratio` the treatment's units over the control's. A share
    that cannot change so much is taken to vary as it does now.
    """
    side: Literal["greater", "less"] = "greater" if good == "up" else "less"
    if baseline.proportion and baseline.reaches(effect, good):
        events = sample_size_proportions(
            baseline.value,
            effect,
            confidence=1 - alpha,
            power=1 - beta,
            ratio=ratio,
            alternative=side,
        )
        return events * baseline.variance / (baseline.value * (1 - baseline.value))
    return sample_size_means(
        math.sqrt(baseline.variance),
        effect,
        confidence=1 - alpha,
        power=1 - beta,
        ratio=ratio,
        alternative=side,
    )


def least_effect(
    baseline: Baseline, units: float, *, alpha: float, beta: float, ratio: float, good: Good
) -> float | None:
    """The least effect that so many units of the control find; None where none is large enough."""
    require_positive(units=units)
    reach = critical_value(1 - alpha, "greater", None) + critical_value(1 - beta, "greater", None)
    normal = reach * math.sqrt(baseline.variance * (1 + 1 / ratio) / units)
    least, most = normal / _SEARCH, normal * _SEARCH
    if baseline.proportion:
        room = 1 - baseline.value if good == "up" else baseline.value
        most = min(most, (1 - 1e-9) * room)

    def lacking(effect: float) -> float:
        needed = control_units(baseline, effect, alpha=alpha, beta=beta, ratio=ratio, good=good)
        return math.log(needed / units)

    if least >= most or lacking(most) > 0:
        return None
    return float(optimize.brentq(lacking, least, most, rtol=1e-9))
