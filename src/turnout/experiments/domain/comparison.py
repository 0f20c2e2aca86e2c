"""Each treatment against the control, on the goal and on the secondary metrics."""

from dataclasses import dataclass

from turnout.experiments.domain.metric import Metric
from turnout.stats.goal import GoalFinding, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One treatment against the control on the goal.

    `p_value` is that of the finding, adjusted for the number of treatments (Holm). Significance
    follows from the interval at all looks: statistical, that it excludes no difference; practical,
    that it holds only differences as large as the minimum detectable effect (true), or none
    (false); null while that cannot be told.
    """

    version: str
    finding: GoalFinding
    p_value: float | None
    statistical_significance: bool | None
    practical_significance: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryFinding:
    """One treatment against the control on a metric that decides nothing.

    The interval and the p-value may be read at every look; `adjusted_p_value` is Holm's over all
    secondary comparisons of the experiment, and `significant` follows from it.
    """

    version: str
    metric: Metric
    control: float | None
    treatment: float | None
    effect: float | None
    interval: Interval
    relative_effect: float | None
    p_value: float | None
    adjusted_p_value: float | None
    significant: bool
