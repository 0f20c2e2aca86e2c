"""A metric beside the goal: estimated and tested at every look, never deciding.

Its interval and p-value are anytime-valid, so no plan of looks is needed and no error is spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from turnout.stats.anytime import anytime_p_value, confidence_sequence
from turnout.stats.effect import effect, too_few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turnout.stats.effect import Stratum


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryFinding:
    """`p_value` is of this look, two-sided; the caller keeps the least so far, and goes to Holm
    with those. Where nothing can be said, interval and p-value are None and `reason` says why."""

    effect: float | None = None
    control: float | None = None
    treatment: float | None = None
    standard_error: float | None = None
    relative_effect: float | None = None
    interval: tuple[float | None, float | None] = (None, None)
    p_value: float | None = None
    reason: str | None = None


def secondary(
    strata: Sequence[Stratum], *, proportion: bool, confidence: float, tuned_at: float
) -> SecondaryFinding:
    """`tuned_at` is the `Stratum.size` of the whole plan, where the interval is tightest."""
    found = effect(strata, proportion=proportion)
    if found is None:
        return SecondaryFinding(reason="nothing to compare: no events, or none that differs")
    error = math.sqrt(found.null_variance)
    finding = SecondaryFinding(
        effect=found.value,
        control=found.control,
        treatment=found.treatment,
        standard_error=math.sqrt(found.variance),
        relative_effect=found.value / abs(found.control) if found.control else None,
        reason=too_few(strata, proportion=proportion),
    )
    if finding.reason is not None:
        return finding
    interval = confidence_sequence(
        found.value, error, found.size, confidence=confidence, tuned_at=tuned_at
    )
    p_value = anytime_p_value(
        found.value, error, found.size, confidence=confidence, tuned_at=tuned_at
    )
    return replace(finding, interval=interval, p_value=p_value)
