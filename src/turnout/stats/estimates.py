"""One arm's value with its variance, from its sufficient statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass

from turnout.stats.moments import AdjustedMoments, Moments, Proportion, RatioMoments

Arm = Proportion | Moments | RatioMoments


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the variance of this estimate of it."""

    value: float
    variance: float


def estimate(arm: Arm) -> Estimate | None:
    """The rate, mean or ratio; None for a ratio whose denominator sums to 0.

    The variance of a ratio is that of the delta method: of y - Rx over units, divided by x̄²
    (Deng, Knoblich & Lu 2018).
    """
    match arm:
        case Proportion():
            return Estimate(arm.rate, arm.rate * (1 - arm.rate) / arm.n)
        case Moments():
            return Estimate(arm.mean, arm.variance / arm.n)
        case RatioMoments(numerator=y, denominator=x):
            if x.mean == 0:
                return None
            ratio = y.mean / x.mean
            # The residuals y - Rx have the mean 0; for what is rounding they are held to ȳ.
            residuals = max(0.0, y.m2 - 2 * ratio * arm.cross + ratio**2 * x.m2)
            variance = Moments(y.n, y.mean, residuals).variance
            return Estimate(ratio, variance / (y.n * x.mean**2))


def welch_df(control: Moments, treatment: Moments) -> float | None:
    """Satterthwaite's degrees of freedom; those of the other arm where one does not vary."""
    parts = [(arm.variance / arm.n, arm.n - 1) for arm in (control, treatment)]
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return None
    return 1 / sum((variance / total) ** 2 / df for variance, df in parts)


def adjusted(control: AdjustedMoments, treatment: AdjustedMoments) -> tuple[Moments, Moments]:
    """Both arms' outcomes less θ·(pre - grand mean of pre).

    θ is pooled within the arms, so it cannot take up part of the effect.
    """
    spread = control.pre.m2 + treatment.pre.m2
    theta = (control.cross + treatment.cross) / spread if spread > 0 else 0.0
    centre = (control.pre + treatment.pre).mean

    def less_the_past(arm: AdjustedMoments) -> Moments:
        m2 = arm.post.m2 + theta**2 * arm.pre.m2 - 2 * theta * arm.cross
        return Moments(arm.post.n, arm.post.mean - theta * (arm.pre.mean - centre), max(0.0, m2))

    return less_the_past(control), less_the_past(treatment)


def fieller(control: Estimate, treatment: Estimate, critical: float) -> tuple[float, float] | None:
    """The ratios r for which treatment - r·control is not significant (Fieller 1954).

    None where the control itself is not clearly different from 0: then they have no end.
    """
    a = control.value**2 - critical**2 * control.variance
    b = treatment.value * control.value
    c = treatment.value**2 - critical**2 * treatment.variance
    if a <= 0:
        return None
    root = math.sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a
