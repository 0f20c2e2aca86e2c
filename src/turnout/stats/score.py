"""How far an estimate on unit totals may lie above the truth, by an anytime-valid test.

The estimate is a ratio R = Σx/Σn, or the difference of two. Proportions are put to a likelihood
ratio test (`rates`); what follows is of measurements, whose distribution nobody knows.

A value u below the estimate is put to the score test: it survives if u² <= z²·V(u), where V(u) is
the variance of the estimate *if that value were true*. V adds up over the arms; for each it is the
sum of squared residuals x - R(u)·n over units, from the same totals that give the estimate, so
events may depend on each other within a unit. With two arms R(u) keeps the pooled total.

Residuals alone mislead in two places, so an arm's variance is held above bounds:

- Few events: skewed measurements vary more if their mean is greater, and an arm varies at least
  as much per event as the other arm does.
- Sums in binary64: nothing varies less than their rounding.

Every bound is a quadratic in u, hence so is each piece of V, and the farthest surviving u is a
root in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from turnout.stats import anytime
from turnout.stats.rates import Rates
from turnout.stats.totals import UnitTotals

#: What sums of squares lose in binary64, relative to Σx².
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class _Quadratic:
    square: float
    linear: float
    constant: float

    def __add__(self, other: _Quadratic) -> _Quadratic:
        return _Quadratic(
            self.square + other.square, self.linear + other.linear, self.constant + other.constant
        )

    def __mul__(self, factor: float) -> _Quadratic:
        return _Quadratic(self.square * factor, self.linear * factor, self.constant * factor)


#: A variance in pieces, of which the greatest counts.
_Variance: TypeAlias = "list[_Quadratic]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """An arm whose hypothetical ratio is p + slope·u, with p its own estimate."""

    totals: UnitTotals
    slope: float

    @property
    def ratio(self) -> float:
        return self.totals.pivot + self.totals.offset

    def residuals(self) -> _Quadratic:
        """Σ(x - Rn)² over units, in which a pivot takes no part."""
        p, t = self.totals.offset, self.totals
        at_estimate = max(0.0, t.x2 - 2 * p * t.xn + p * p * t.n2)
        return _Quadratic(
            square=self.slope**2 * t.n2,
            linear=-2 * self.slope * (t.xn - p * t.n2),
            constant=at_estimate + _ROUNDING * t.x2,
        )

    def skewed(self) -> _Quadratic:
        """The residuals at the estimate, times the cube of R/p as far as its square term.

        A sample that has missed the rare large values by chance is small in both mean and
        spread: in linear regression of one on the other, the variance of a variable with
        skewness s and coefficient of variation c goes with the mean to the power s/c. That is 1
        for counts, 1.5 to 2 for purchases and waiting times, 4.7 for a lognormal with σ = 1.
        """
        at_estimate, step = self.residuals().constant, self.slope / self.ratio
        return _Quadratic(3 * step**2, 3 * step, 1.0) * at_estimate

    def variance(self, other: _Arm | None, *, signed: bool) -> _Variance:
        """Of the ratio, in pieces."""
        pieces = [self.residuals()]
        if other is not None:
            pieces.append(other.residuals() * (self.totals.n / other.totals.n))
        elif not signed and self.ratio:
            pieces.append(self.skewed())
        scale = 1 / self.totals.n**2
        return [piece * scale for piece in pieces]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTest:
    """One-sided bounds. What each promises is in the critical value that it is asked for with.

    Measurements are taken to lie on one side of zero, so that a greater mean means a wider spread;
    `signed` ones, such as differences, lie on both.
    """

    proportion: bool
    signed: bool = False

    def interval(
        self,
        candidate: UnitTotals,
        baseline: UnitTotals | None,
        *,
        below: float,
        above: float,
        waves: float = 0.0,
    ) -> tuple[float | None, float | None]:
        """Lower and upper bound of the ratio, or of the difference; None is unbounded.

        `below` is the critical value of the lower bound, `above` that of the upper one. `waves`
        is what the variance of a measurement has beside that of units.
        """
        if baseline is None:
            estimate = candidate.pivot + candidate.offset
        else:
            estimate = candidate.above(baseline)
        under = self._room(candidate, baseline, below, waves)
        over = self._room(
            self._mirrored(candidate),
            None if baseline is None else self._mirrored(baseline),
            above,
            waves,
        )
        low = None if under is None else estimate - under
        high = None if over is None else estimate + over
        if self.proportion:
            low = None if low is None else max(low, 0.0 if baseline is None else -1.0)
            high = None if high is None else min(high, 1.0)
        return low, high

    def can_show(
        self, harm: float, candidate: UnitTotals, baseline: UnitTotals | None, *, critical: float
    ) -> bool:
        """Whether total failure of the candidate would be shown to exceed `harm`, on these units.

        Where it would not, that no harm was shown means nothing: a single unit never shows any.
        """
        if self.proportion:
            failed = _constant(candidate, 1.0)
            sound = None if baseline is None else _constant(baseline, 0.0)
            room = self._room(failed, sound, critical, waves=0.0)
            return harm >= 1 or (room is not None and 1 - room > harm)
        arms = [candidate] if baseline is None else [candidate, baseline]
        effective = min(arm.n**2 / arm.n2 for arm in arms)
        return effective > critical**2

    def _room(
        self, candidate: UnitTotals, baseline: UnitTotals | None, critical: float, waves: float
    ) -> float | None:
        """The farthest below the estimate that the truth may lie.

        None where the spread of the values cannot be known: from a few units, or when every
        value is zero.
        """
        if self.proportion:
            return Rates.of(candidate, baseline).room(critical)
        arms = [candidate] if baseline is None else [candidate, baseline]
        if all(arm.x2 == arm.pivot == 0 for arm in arms):
            return None
        if baseline is None:
            variance = _Arm(totals=candidate, slope=-1.0).variance(None, signed=self.signed)
        else:
            share = candidate.n / (candidate.n + baseline.n)
            one = _Arm(totals=candidate, slope=share - 1)
            other = _Arm(totals=baseline, slope=share)
            variance = [
                mine + theirs
                for mine, theirs in product(
                    one.variance(other, signed=self.signed),
                    other.variance(one, signed=self.signed),
                )
            ]
        in_time = _Quadratic(0.0, 0.0, waves)
        room = max(_reach((piece + in_time) * critical**2) for piece in variance)
        return room if math.isfinite(room) else None

    def _mirrored(self, arm: UnitTotals) -> UnitTotals:
        """The totals whose harm lies on the other side."""
        if self.proportion:
            return arm.complement()
        return replace(arm, x=-arm.x, xn=-arm.xn, pivot=-arm.pivot)


def anytime_critical(
    candidate: UnitTotals, baseline: UnitTotals | None, *, alpha: float, tuned_at: float
) -> float:
    """The critical value whose bound errs, over all looks, with a chance of at most alpha.

    Time is counted the way that tells less. Each boundary holds under its own clock, hence the
    greater of both under either.
    """
    return max(
        anytime.boundary(clock, alpha=alpha, tuned_at=tuned_at)
        for clock in clocks(candidate, baseline)
    )


def clocks(candidate: UnitTotals, baseline: UnitTotals | None) -> tuple[float, float]:
    """Two measures of information: by units, and by events.

    It grows with the units where the events of a unit go together, and with the events where
    they do not, also when no new unit comes. With two arms it is n₁n₂/(n₁ + n₂), in proportion
    to 1/variance: the candidate's own count beside a large baseline.
    """
    units, events = float(candidate.units), candidate.n
    if baseline is not None:
        units *= baseline.units / (units + baseline.units)
        events *= baseline.n / (events + baseline.n)
    return units, events


def _constant(arm: UnitTotals, value: float) -> UnitTotals:
    """The same units, every event with the same value."""
    return UnitTotals(
        units=arm.units,
        n=arm.n,
        n2=arm.n2,
        x=value * arm.n,
        x2=value**2 * arm.n2,
        xn=value * arm.n2,
    )


def _reach(q: _Quadratic) -> float:
    """The greatest u >= 0 with u² <= q(u), for a q that is not negative at 0."""
    a, b, c = 1 - q.square, q.linear, q.constant
    discriminant = b * b + 4 * a * c
    if a > 0:
        root = math.sqrt(discriminant)
        return (b + root) / (2 * a) if b >= 0 else 2 * c / (root - b)
    # A parabola that opens downwards excludes at most what lies between its roots.
    if a < 0 or b >= 0:
        return math.inf
    return 2 * c / (math.sqrt(discriminant) - b)
