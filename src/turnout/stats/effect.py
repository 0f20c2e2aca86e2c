"""The difference that a treatment makes to a ratio Σx/Σn, on units observed under several splits.

Counts of two splits are never pooled: while the share of the treatment grows, a base rate that
moves would look like an effect. Each stratum has its own difference, and they are averaged with
weights 1/variance. The weights are the variances *if there were no difference*: they do not
depend on which arm did better, and no small stratum gets all the weight for having had no event.

Units carry the randomness, events go with them: variances are of the residuals x - Rn over units
(Deng, Knoblich & Lu 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from turnout.stats.arguments import BadArgument
from turnout.stats.totals import UnitTotals

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A stratum's variance is averaged with the overall one as if this many units came from outside:
#: a stratum in which nothing varied yet is not known without error.
_BORROWED_UNITS = 10

#: What each arm needs before the normal curve can be trusted: units, and events of either kind.
_FEWEST_UNITS = 50
_FEWEST_EVENTS = 10

#: What sums of squares lose in binary64, relative to Σx²: a lesser spread is none.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Both arms over a time in which the split between them did not change."""

    control: UnitTotals
    treatment: UnitTotals

    @property
    def size(self) -> float:
        """n₁n₂/(n₁ + n₂) units, to which the information is in proportion."""
        units = self.control.units + self.treatment.units
        return self.control.units * self.treatment.units / units if units else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Treatment minus control. Tests go by `null_variance`, which weighed the strata."""

    control: float
    treatment: float
    value: float
    null_variance: float
    variance: float
    #: Of Student's t; None where the variance follows from the rates themselves.
    degrees_of_freedom: float | None
    size: float

    @property
    def statistic(self) -> float:
        """In standard errors: a z, or a t where there are degrees of freedom."""
        return self.value / math.sqrt(self.null_variance)

    @property
    def information(self) -> float:
        return 1 / self.null_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """A stratum that says something, its share of the estimate, and the variances in it."""

    stratum: Stratum
    weight: float
    null_variance: float
    control_variance: float
    treatment_variance: float


def effect(strata: Sequence[Stratum], *, proportion: bool) -> Effect | None:
    """The effect over all strata; None where there is nothing to compare.

    `proportion` says that x counts some of a unit's n events; a rate then has the pooled score
    test. Otherwise x sums measurements, and of the pooled variance and the arms' own (Welch) the
    greater counts: either misleads alone where the arms are of unequal size. Nothing to compare
    is: no stratum with events in both arms, or no unit that differs from the others.
    """
    parts = weighted(strata, proportion=proportion)
    if not parts:
        return None
    control = math.fsum(part.weight * _ratio(part.stratum.control) for part in parts)
    treatment = math.fsum(part.weight * _ratio(part.stratum.treatment) for part in parts)
    variances = [
        (part.weight**2 * variance, arm.units - 1)
        for part in parts
        for arm, variance in (
            (part.stratum.control, part.control_variance),
            (part.stratum.treatment, part.treatment_variance),
        )
    ]
    return Effect(
        control=control,
        treatment=treatment,
        value=math.fsum(
            part.weight * part.stratum.treatment.above(part.stratum.control) for part in parts
        ),
        null_variance=math.fsum(part.weight**2 * part.null_variance for part in parts),
        variance=math.fsum(variance for variance, _ in variances),
        degrees_of_freedom=None if proportion else _satterthwaite(variances),
        size=math.fsum(part.stratum.size for part in parts),
    )


def weighted(strata: Sequence[Stratum], *, proportion: bool) -> tuple[Weighted, ...]:
    """The strata with events in both arms; none at all where no unit differs from the others."""
    spreads = [
        _Spread.of(stratum, proportion=proportion)
        for stratum in strata
        if stratum.control.n > 0 and stratum.treatment.n > 0
    ]
    degrees = math.fsum(spread.degrees for spread in spreads)
    if degrees == 0:
        return ()
    overall = math.fsum(spread.total for spread in spreads) / degrees
    if overall == 0:
        return ()
    nulls = [spread.null_variance(overall) for spread in spreads]
    information = math.fsum(1 / null for null in nulls)
    return tuple(
        Weighted(
            stratum=spread.stratum,
            weight=1 / null / information,
            null_variance=null,
            control_variance=spread.control,
            treatment_variance=spread.treatment,
        )
        for spread, null in zip(spreads, nulls, strict=True)
    )


def too_few(strata: Sequence[Stratum], *, proportion: bool) -> str | None:
    """What is missing for the normal curve, which a bound far out asks a lot of; None: nothing.

    Events are those that an arm would have if there were no difference: a treatment under which
    nothing happens any more is no lack of data.
    """
    control = sum((stratum.control for stratum in strata), start=UnitTotals())
    treatment = sum((stratum.treatment for stratum in strata), start=UnitTotals())
    if min(control.units, treatment.units) < _FEWEST_UNITS:
        return f"fewer than {_FEWEST_UNITS} units in an arm"
    if not proportion:
        return None
    n = control.n + treatment.n
    x = control.total + treatment.total
    x = min(x, n - x)
    if x * min(control.n, treatment.n) < _FEWEST_EVENTS * n:
        return f"fewer than {_FEWEST_EVENTS} events of either kind to be expected in an arm"
    return None


def per_exposed_unit(exposed: UnitTotals, outcome: UnitTotals) -> UnitTotals:
    """The outcome per unit that was exposed, where only units with an outcome report one.

    Conversions, purchases, minutes: a unit of which nothing was heard counts as one with 0.
    """
    if outcome.units > exposed.units:
        raise BadArgument("outcome", f"is of {outcome.units} units, {exposed.units} were exposed")
    n, told = exposed.units, outcome.about(0.0)
    return UnitTotals(units=n, n=n, n2=n, x=told.x, x2=told.x2, xn=told.x)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """How the units of a stratum vary.

    `total` is the squared residuals of all units, each in multiples of the mean number of events,
    so that strata can be compared. `scale` takes the mean of those to the variance of the
    difference.
    """

    stratum: Stratum
    total: float
    degrees: float
    scale: float
    control: float
    treatment: float
    proportion: bool

    @classmethod
    def of(cls, stratum: Stratum, *, proportion: bool) -> _Spread:
        control, treatment = stratum.control, stratum.treatment
        units = control.units + treatment.units
        events_per_unit = (control.n + treatment.n) / units
        if proportion:
            _require_counts(control=control, treatment=treatment)
            parts = _shared_residuals(control, treatment)
            squares, degrees = math.fsum(parts), float(units)
        else:
            squares = _residuals(control) + _residuals(treatment)
            degrees = max(0.0, units - 2)
            parts = (squares * control.units / units, squares * treatment.units / units)
        if squares == 0:
            parts = (control.units / units, treatment.units / units)
        # A heavy unit that is in a small arm counts by its events; whether there is one at all
        # is known from few units, so no arm varies less than its number of units says.
        by_events = (parts[0] / control.n**2 + parts[1] / treatment.n**2) * units / math.fsum(parts)
        by_units = control.units / control.n**2 + treatment.units / treatment.n**2
        scale = max(by_events, by_units)
        return cls(
            stratum=stratum,
            total=squares / events_per_unit**2 if degrees else 0.0,
            degrees=degrees,
            scale=scale * events_per_unit**2,
            control=_variance(control, proportion=proportion),
            treatment=_variance(treatment, proportion=proportion),
            proportion=proportion,
        )

    def null_variance(self, overall: float) -> float:
        """Of the stratum's difference, if there were none."""
        spread = (self.total + _BORROWED_UNITS * overall) / (self.degrees + _BORROWED_UNITS)
        pooled = spread * self.scale
        return pooled if self.proportion else max(pooled, self.control + self.treatment)


def _shared_residuals(control: UnitTotals, treatment: UnitTotals) -> tuple[float, float]:
    """What each arm's units would vary by, of a rate and a correlation that both arms share.

    A unit's n events vary by R(1 - R)·(n + ρ·(n² - n)): a few units with many events, which may
    all be in one arm, carry most of what goes together.
    """
    both = control + treatment
    independent = _binomial(both)
    correlated = max(0.0, _residuals(both) - independent)
    pairs = both.n2 - both.n
    per_pair = correlated / pairs if pairs > _ROUNDING * both.n2 else 0.0
    return (
        independent * control.n / both.n + per_pair * max(0.0, control.n2 - control.n),
        independent * treatment.n / both.n + per_pair * max(0.0, treatment.n2 - treatment.n),
    )


def _ratio(arm: UnitTotals) -> float:
    return arm.pivot + arm.offset


def _residuals(arm: UnitTotals) -> float:
    """Σ(x - Rn)² over units, in which a pivot takes no part."""
    squares = arm.x2 - 2 * arm.offset * arm.xn + arm.offset**2 * arm.n2
    return squares if squares > _ROUNDING * arm.x2 else 0.0


def _binomial(arm: UnitTotals) -> float:
    """What independent events would vary by: few events say little of how they go together."""
    return arm.total * (1 - _ratio(arm))


def _variance(arm: UnitTotals, *, proportion: bool) -> float:
    """Of the arm's ratio; 0 where one unit shows no spread."""
    if proportion:
        return max(_residuals(arm), _binomial(arm)) / arm.n**2
    if arm.units < 2:
        return 0.0
    return _residuals(arm) * arm.units / (arm.units - 1) / arm.n**2


def _satterthwaite(variances: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of variances, each with its own."""
    known = [(variance, degrees) for variance, degrees in variances if variance > 0]
    total = math.fsum(variance for variance, _ in known)
    return 1 / math.fsum((variance / total) ** 2 / degrees for variance, degrees in known)


def _require_counts(**arms: UnitTotals) -> None:
    for argument, arm in arms.items():
        if not 0 <= arm.total <= arm.n:
            raise BadArgument(argument, f"counts {arm.total:g} of {arm.n:g} events")
