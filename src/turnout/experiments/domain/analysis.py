"""What is made of an experiment at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from turnout.experiments.domain.comparison import Comparison
from turnout.experiments.domain.health import HealthFinding
from turnout.experiments.domain.limits import GuardrailFinding
from turnout.experiments.domain.secondary import SecondaryComparison
from turnout.experiments.domain.state import Conclusion, Status
from turnout.observations.domain.sample_ratio import SampleRatioFinding
from turnout.quantities import Duration, Weight
from turnout.stats.goal import Interval, PValueKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A variant. `units` were exposed to it; `value` is its goal metric, over `measured` units."""

    version: str
    role: Literal["control", "treatment"]
    weight: Weight
    units: int
    predictions: int
    crossed: int
    measured: int
    planned: int
    value: float | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is missing to the planned end, at most, since the answer may be clear before.

    `units` over all variants, `duration` at the pace seen so far, and `time_left` of the longest
    that the experiment may run. None while nothing is known.
    """

    units: int
    duration: Duration | None
    time_left: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that is known of an experiment at one moment; never changed afterwards.

    `conclusion` is what follows from it now, and `winner` the treatment to ship, if one is. While
    it is worth waiting, because another treatment may prove better or a guardrail of a better one
    may pass, `winner_so_far` is the one that a person who concludes now would ship.
    The figures on the goal (`p_value` to `practical_significance`) are those of the `leader`, and
    `comparisons` has them for each treatment. The effect is treatment minus control, in the
    metric's unit. A p-value of kind `anytime` may be read at every look; one of kind `stage-wise`
    belongs to a test that has ended. `fraction` is the share of the planned units that the
    comparison has, and `looks` is how often it was looked at.
    """

    at: datetime
    status: Status
    conclusion: Conclusion
    winner: str | None
    winner_so_far: str | None
    tie: bool
    recommendation: str
    reason: str
    leader: str
    p_value: float | None
    p_kind: PValueKind | None
    effect: float | None
    relative_effect: float | None
    interval: Interval
    relative_interval: Interval
    confidence_level: float
    statistical_significance: bool | None
    practical_significance: bool | None
    sample_ratio: SampleRatioFinding
    health: tuple[HealthFinding, ...]
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...]
    secondary: tuple[SecondaryComparison, ...]
    guardrails: tuple[GuardrailFinding, ...]
    looks: int
    fraction: float
    elapsed: Duration
    remaining: Remaining
    plan_hash: str

    @property
    def harm(self) -> bool:
        """A guardrail fails: the treatments go off the road at once."""
        return any(found.fails for found in self.guardrails)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What makes one analysis differ from the next: all verdicts, the conclusion first."""
        return (
            self.conclusion,
            self.winner or "",
            *(found.finding.status for found in self.comparisons),
            *(found.verdict for found in self.health),
            *(found.finding.verdict for found in self.guardrails),
        )
