"""What a plan must be able to show, and what is known before it starts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from turnout.experiments.domain.plan import Plan
from turnout.stats.baseline import Baseline, Good

LOOKS: Final = 100
"""An experiment is looked at up to two hundred times; by that, sizes differ by 0.15 %."""

MOST_UNITS: Final = 10**12
"""More than any experiment has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the control has been like, as far as it is known.

    `units_per_day` come to the model, and of `measured_share` of them the goal becomes known;
    only those count as units of a comparison. `label_delay` is how long that takes for most.
    """

    baseline: Baseline | None = None
    units_per_day: float | None = None
    measured_share: float = 1.0
    label_delay: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The figures of a plan that its size follows from.

    `weights` are shares in basis points, the control's first. `proofs` is how many guardrails a
    winner must pass by proof; each may miss it, so they share the chance of that.
    """

    effect: float
    good: Good
    weights: tuple[int, ...]
    confidence_level: float
    power: float
    proofs: int
    early_stopping: bool
    futility_threshold: float | None
    min_sample_size: int
    max_duration: timedelta

    @classmethod
    def of(cls, plan: Plan) -> "Aim":
        return cls(
            effect=plan.goal.minimum_detectable_effect,
            good="up" if plan.goal.improves_by == "increase" else "down",
            weights=tuple(plan.weights.values()),
            confidence_level=plan.confidence_level,
            power=plan.power,
            proofs=sum(
                limit.proof == "not_worse" and not limit.dry_run for limit in plan.guardrails
            ),
            early_stopping=plan.early_stopping,
            futility_threshold=plan.futility_threshold,
            min_sample_size=plan.min_sample_size,
            max_duration=plan.max_duration,
        )

    @property
    def alpha(self) -> float:
        """Of one side and one treatment."""
        return (1 - self.confidence_level) / 2 / (len(self.weights) - 1)

    @property
    def futility(self) -> bool:
        return self.early_stopping and self.futility_threshold is not None

    @property
    def beta(self) -> float:
        """Of one treatment on the goal.

        Stopping where the chance still to win is below a threshold costs at most that share of
        the power (Lan, Simon & Halperin 1982).
        """
        shared = (1 - self.power) / (self.proofs + 1)
        threshold = self.futility_threshold if self.futility else None
        return shared * (1 - (threshold or 0.0))

    @property
    def looks(self) -> int:
        return LOOKS if self.early_stopping else 1
