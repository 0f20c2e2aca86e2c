"""The answer of the planner."""

from dataclasses import dataclass
from typing import Literal

from turnout.quantities import Duration, Weight

Source = Literal["given", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """Units of each variant, and of all: with these the search ends if it has not before."""

    control: int
    treatments: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What it comes to on average if the true effect is this one, since it may end earlier."""

    effect: float
    units: int
    duration: Duration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Of finding a true effect of this size."""

    effect: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What would let the plan conclude, each by itself; null where that alone does not.

    `weights` are equal shares, the control's first.
    """

    max_duration: Duration | None = None
    minimum_detectable_effect: float | None = None
    weights: tuple[Weight, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What the figures rest on. `unit_variance` is that of one unit, with all its events;
    `measured_share` of the units have an outcome; alpha is of one side of one comparison."""

    baseline: float
    baseline_is: Source
    unit_variance: float
    units_per_day: float | None
    units_per_day_is: Source | None
    measured_share: float
    label_delay: Duration
    alpha: float
    beta: float
    looks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a plan comes to.

    `sample_size` is the most that is needed, `single_look` what one look at the end would need in
    all. `duration` is how long the most takes; null without a pace. Within `max_duration`,
    `power` is the chance of finding the minimum detectable effect, and `detectable_effect` what
    is found with the power asked for. `can_conclude` is null where the pace is not known.
    """

    can_conclude: bool | None
    reason: str
    ways: Ways | None
    sample_size: SampleSize
    single_look: int
    expected: tuple[Expected, ...]
    duration: Duration | None
    power: float
    detectable_effect: float | None
    power_curve: tuple[Chance, ...]
    assumptions: Assumptions
