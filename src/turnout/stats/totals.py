from __future__ import annotations

from dataclasses import dataclass

from turnout.stats.arguments import BadArgument, require_finite, require_nonnegative

#: Sums that were folded in another order differ in their last digits; an inequality between them
#: is broken only beyond this relative slack.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTotals:
    """What one arm adds up to over its randomisation units.

    A unit brings n events and the sum x of their values; the fields are the number of units and
    the sums of n, n², x, x² and x·n over them. They carry the variance of the ratio Σx/Σn with
    events clustered in units (Deng, Knoblich & Lu 2018), and two of them add.
    """

    units: int = 0
    n: float = 0.0
    n2: float = 0.0
    x: float = 0.0
    x2: float = 0.0
    xn: float = 0.0

    def __post_init__(self) -> None:
        require_nonnegative(units=self.units, n=self.n, n2=self.n2, x2=self.x2)
        require_finite(x=self.x, xn=self.xn)
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
        return UnitTotals(
            units=self.units + other.units,
            n=self.n + other.n,
            n2=self.n2 + other.n2,
            x=self.x + other.x,
            x2=self.x2 + other.x2,
            xn=self.xn + other.xn,
        )

    @property
    def rate(self) -> float | None:
        """Σx/Σn, or None before the first event."""
        return self.x / self.n if self.n > 0 else None

    def complement(self) -> UnitTotals:
        """The totals of n - x: successes from errors. Meaningful for proportions only."""
        return UnitTotals(
            units=self.units,
            n=self.n,
            n2=self.n2,
            x=self.n - self.x,
            x2=max(0.0, self.n2 - 2 * self.xn + self.x2),
            xn=self.n2 - self.xn,
        )
