from __future__ import annotations

from dataclasses import dataclass, replace

from turnout.stats.arguments import BadArgument, require_finite, require_nonnegative

#: Sums that were folded in another order differ in their last digits; an inequality between them
#: is broken only beyond this relative slack.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTotals:
    """What one arm adds up to over its randomisation units.

    A unit brings n events and the sum x of their values, each less the `pivot`; the fields are
    the number of units and the sums of n, n², x, x² and x·n over them. They carry the variance of
    the ratio Σx/Σn with events clustered in units (Deng, Knoblich & Lu 2018), and two of them add.

    Spreads and differences do not depend on the pivot. One that lies amid values far from zero
    keeps their spread, which sums of their own squares lose in binary64 (Chan, Golub & LeVeque
    1983); counts have none.
    """

    units: int = 0
    n: float = 0.0
    n2: float = 0.0
    x: float = 0.0
    x2: float = 0.0
    xn: float = 0.0
    pivot: float = 0.0

    def __post_init__(self) -> None:
        require_nonnegative(units=self.units, n=self.n, n2=self.n2, x2=self.x2)
        require_finite(x=self.x, xn=self.xn, pivot=self.pivot)
        # Cauchy-Schwarz: broken sums mean that events were lost or counted twice, which no
        # verdict may rest on.
        self._require_at_most("n", self.n**2, "units · n2", self.units * self.n2)
        self._require_at_most("x", self.x**2, "units · x2", self.units * self.x2)
        self._require_at_most("xn", self.xn**2, "n2 · x2", self.n2 * self.x2)

    @staticmethod
    def _require_at_most(argument: str, square: float, bound: str, value: float) -> None:
        if square > value * (1 + _ROUNDING):
            raise BadArgument(argument, f"squared is {square:g}, above {bound} = {value:g}")

    def __add__(self, other: UnitTotals) -> UnitTotals:
        if not (self.units and other.units):
            return self if self.units else other
        pivot = min(self.pivot, other.pivot, key=abs)
        one, two = self.about(pivot), other.about(pivot)
        return UnitTotals(
            units=one.units + two.units,
            n=one.n + two.n,
            n2=one.n2 + two.n2,
            x=one.x + two.x,
            x2=one.x2 + two.x2,
            xn=one.xn + two.xn,
            pivot=pivot,
        )

    @property
    def offset(self) -> float:
        """Σx/Σn of at least one event: how far above the pivot the rate lies."""
        return self.x / self.n

    @property
    def rate(self) -> float | None:
        """The mean value of an event, or None before the first."""
        return self.pivot + self.offset if self.n > 0 else None

    @property
    def total(self) -> float:
        """The sum of the values themselves."""
        return self.pivot * self.n + self.x

    def above(self, other: UnitTotals) -> float:
        """The rate less another one, with the digits that the two do not share."""
        return self.offset - other.offset + (self.pivot - other.pivot)

    def about(self, pivot: float) -> UnitTotals:
        """The totals of the same values, less another pivot: the nearer it is to the old one in
        terms of their spread, the fewer digits are lost."""
        step = self.pivot - pivot
        if not (step and self.units):
            return replace(self, pivot=pivot)
        x, xn = self.x + step * self.n, self.xn + step * self.n2
        x2 = self.x2 + 2 * step * self.xn + step**2 * self.n2
        # What cancels leaves rounding errors, which must not break Cauchy-Schwarz.
        x2 = max(x2, x**2 / self.units, xn**2 / self.n2)
        return replace(self, x=x, x2=x2, xn=xn, pivot=pivot)

    def complement(self) -> UnitTotals:
        """The totals of n - x: successes from errors. Meaningful for proportions only."""
        counted = self.about(0.0)
        return UnitTotals(
            units=counted.units,
            n=counted.n,
            n2=counted.n2,
            x=counted.n - counted.x,
            x2=max(0.0, counted.n2 - 2 * counted.xn + counted.x2),
            xn=counted.n2 - counted.xn,
        )
