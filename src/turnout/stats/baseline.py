"""What a comparison is planned by: the control's metric, and how much its units differ.

Units are what is randomised. A unit may bring many events, which go together, so the variance
that counts is that of the ratio Σx/Σn over units (Deng, Knoblich & Lu 2018): for a rate p of
single events it is p(1 - p), and as many times that as the design effect of the clusters says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from turnout.stats.arguments import require_finite, require_positive

if TYPE_CHECKING:
    from turnout.stats.totals import UnitTotals

Good = Literal["up", "down"]


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
        offset = totals.offset
        value = totals.pivot + offset
        squares = max(0.0, totals.x2 - 2 * offset * totals.xn + offset**2 * totals.n2)
        if proportion:
            value = (totals.total + 0.5) / (totals.n + 1)
            squares = max(squares, totals.n * value * (1 - value))
        variance = squares / (totals.units - 1) * (totals.units / totals.n) ** 2
        return cls(value=value, variance=variance, proportion=proportion) if variance else None

    def reaches(self, effect: float, good: Good) -> bool:
        """Whether the metric can change so much: a share stays between 0 and 1."""
        changed = self.value + (effect if good == "up" else -effect)
        return not self.proportion or 0 < changed < 1
