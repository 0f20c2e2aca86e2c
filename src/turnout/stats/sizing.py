"""How many units a comparison of two arms needs, by what the control has been like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from scipy import optimize

from turnout.stats.arguments import require_positive
from turnout.stats.power import sample_size_means, sample_size_proportions
from turnout.stats.tails import critical_value

if TYPE_CHECKING:
    from turnout.stats.baseline import Baseline, Good

#: Effects are looked for between so much less and so much more than what the normal curve says.
_LEAST, _MOST = 0.1, 100.0

#: Units that no experiment has.
_NO_MORE = 1e14


def control_units(
    baseline: Baseline, effect: float, *, alpha: float, beta: float, ratio: float, good: Good
) -> float:
    """The units of the control with which a single look finds the effect with chance 1 - beta.

    `alpha` is of the side looked at, `ratio` the treatment's units over the control's. A share
    that cannot change so much is taken to vary as it does now. Infinite where that is more than
    there can be.
    """
    if _normal_units(baseline, effect, alpha=alpha, beta=beta, ratio=ratio) > _NO_MORE:
        return math.inf
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
    normal = math.sqrt(_normal_units(baseline, 1, alpha=alpha, beta=beta, ratio=ratio) / units)
    least, most = normal * _LEAST, normal * _MOST
    if baseline.proportion:
        room = 1 - baseline.value if good == "up" else baseline.value
        most = min(most, (1 - 1e-9) * room)

    def lacking(effect: float) -> float:
        needed = control_units(baseline, effect, alpha=alpha, beta=beta, ratio=ratio, good=good)
        return math.log(needed / units)

    if least >= most or lacking(most) > 0:
        return None
    return float(optimize.brentq(lacking, least, most, rtol=1e-9))


def _normal_units(
    baseline: Baseline, effect: float, *, alpha: float, beta: float, ratio: float
) -> float:
    """The units of the control, were the variance the same in both arms and known."""
    reach = critical_value(1 - alpha, "greater", None) + critical_value(1 - beta, "greater", None)
    return baseline.variance * (1 + 1 / ratio) * (reach / effect) ** 2
