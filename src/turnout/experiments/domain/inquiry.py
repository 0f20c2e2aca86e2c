import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.experiments.domain.aim import Aim, Past
from turnout.experiments.domain.plan import Units
from turnout.observations.domain.guardrails import PROPORTIONS, Guardrail
from turnout.observations.domain.metric import KNOWN, Direction, Metric
from turnout.observations.domain.outcome import MetricName
from turnout.quantities import BASIS_POINTS, STRICT, Duration, Weight, percent
from turnout.registry.domain.fields import ModelName, VersionName
from turnout.stats.baseline import Baseline

MOST_TREATMENTS: Final = 9
LEAST: Final = 1e-15
"""Of figures whose squares and products are to be more than 0, and finite the other way round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is asked of the planner: the figures of an experiment that might be started.

    With a `model` and a `metric`, the baseline, the pace and the delay of labels are those of its
    `control` (the version that answers most, unless one is named); what is stated here goes
    before. Without, `baseline` is needed: a share between 0 and 1, or, with a
    `standard_deviation`, the mean of measurements.

    A unit (a user, a session) may bring more than one event of a share: `events_per_unit` of them
    on average, that go together by `correlation` (0: not at all, 1: all are the same). The
    standard deviation is of units. `weights` are the shares of the treatments; without them every
    variant gets the same. Everything else is as in the plan of an experiment.
    """

    __pydantic_config__ = STRICT

    model: ModelName | None = None
    control: VersionName | None = None
    metric: MetricName | None = None
    direction: Direction | None = None
    per: Literal["outcome", "unit"] = "outcome"
    baseline: float | None = None
    standard_deviation: float | None = None
    events_per_unit: float = 1.0
    correlation: float = 0.0
    minimum_detectable_effect: float = 0.02
    treatments: Annotated[int, Ge(1), Le(MOST_TREATMENTS)] | None = None
    weights: Annotated[tuple[Weight, ...], MinLen(1), MaxLen(MOST_TREATMENTS)] | None = None
    guardrails: Annotated[tuple[Guardrail, ...], MaxLen(50)] = ()
    confidence_level: float = 0.95
    power: float = 0.8
    min_sample_size: Units = 1000
    max_duration: Duration = timedelta(hours=168)
    early_stopping: bool = True
    futility_threshold: float | None = 0.01
    units_per_day: float | None = None
    label_delay: Duration | None = None

    def __post_init__(self) -> None:
        _check_source(self)
        _check_figures(self)
        _check_rules(self)
        _check_weights(self)

    @property
    def measure(self) -> Metric | None:
        """The metric, if one is named; one that is not known is better when it is higher."""
        if self.metric is None:
            return None
        direction = self.direction or KNOWN.get(self.metric, "increase")
        return Metric(metric=self.metric, direction=direction, per=self.per)

    @property
    def aim(self) -> Aim:
        improves = self.measure.improves_by if self.measure else self.direction or "increase"
        proofs = [limit for limit in self.guardrails if limit.proof == "not_worse"]
        return Aim(
            effect=self.minimum_detectable_effect,
            good="up" if improves == "increase" else "down",
            weights=_all_weights(self),
            confidence_level=self.confidence_level,
            power=self.power,
            proofs=sum(not limit.dry_run for limit in proofs),
            early_stopping=self.early_stopping,
            futility_threshold=self.futility_threshold,
            min_sample_size=self.min_sample_size,
            max_duration=self.max_duration,
        )

    def given(self, past: Past) -> Baseline | None:
        """The baseline that is stated; what is left unsaid of its variance, the past may tell."""
        value, known = self.baseline, past.baseline
        if value is None:
            return None
        if self.standard_deviation is not None:
            return Baseline(value=value, variance=self.standard_deviation**2, proportion=False)
        if known is not None and not known.proportion:
            return Baseline(value=value, variance=known.variance, proportion=False)
        if _measured(self) or not 0 < value < 1:
            return None
        clustered = (1 + (self.events_per_unit - 1) * self.correlation) / self.events_per_unit
        return Baseline(value=value, variance=value * (1 - value) * clustered, proportion=True)


def _all_weights(inquiry: Inquiry) -> tuple[int, ...]:
    if inquiry.weights is not None:
        return (BASIS_POINTS - sum(inquiry.weights), *inquiry.weights)
    treatments = inquiry.treatments or 1
    share = BASIS_POINTS // (treatments + 1)
    return (BASIS_POINTS - treatments * share, *(share,) * treatments)


def _measured(inquiry: Inquiry) -> bool:
    return inquiry.metric in KNOWN and inquiry.metric not in PROPORTIONS


def _check_source(inquiry: Inquiry) -> None:
    if inquiry.model is not None and inquiry.metric is None:
        raise ValueError("metric says which figures of the model to plan by, such as 'accuracy'")
    if inquiry.control is not None and inquiry.model is None:
        raise ValueError("control is a version of a model: name the model, too")
    if inquiry.model is None and inquiry.baseline is None:
        raise ValueError(
            "baseline is the metric's present value, such as 0.12: state it, or name a model and a"
            " metric whose past tells it"
        )
    _ = inquiry.measure


def _check_figures(inquiry: Inquiry) -> None:
    value, deviation = inquiry.baseline, inquiry.standard_deviation
    if deviation is not None and not LEAST <= deviation <= 1 / LEAST:
        raise ValueError(
            f"standard_deviation is above 0 (at least {LEAST:g}, at most {1 / LEAST:g})"
        )
    measured = _measured(inquiry)
    share = deviation is None and not measured and inquiry.model is None
    if value is not None and share and not LEAST <= value < 1:
        raise ValueError(
            f"baseline is a share between 0 and 1 (write 0.12 for 12 %), not {value:g}: for a mean"
            f" of measurements state its standard_deviation, too"
        )
    if measured and deviation is None and inquiry.model is None:
        raise ValueError(
            f"{inquiry.metric} is a mean of measurements: state its standard_deviation over units"
        )
    if not 0 < inquiry.minimum_detectable_effect < math.inf:
        raise ValueError(
            "minimum_detectable_effect is the least difference that matters, above 0, also where a"
            " decrease is better"
        )
    if not 1 <= inquiry.events_per_unit < math.inf:
        raise ValueError("events_per_unit is 1 or more")
    if not 0 <= inquiry.correlation <= 1:
        raise ValueError("correlation lies between 0 and 1")
    if inquiry.units_per_day is not None and not 0 < inquiry.units_per_day <= 1e12:
        raise ValueError("units_per_day is above 0")


def _check_rules(inquiry: Inquiry) -> None:
    if not 0.5 < inquiry.confidence_level < 1:
        raise ValueError("confidence_level lies between 0.5 and 1, such as 0.95")
    if not 0.5 <= inquiry.power < 1:
        raise ValueError("power is at least 0.5 and below 1, such as 0.8")
    threshold = inquiry.futility_threshold
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(
            "futility_threshold is a chance between 0 and 1, such as 0.01, or null for never"
        )
    if not inquiry.max_duration:
        raise ValueError("max_duration is longer than 0, such as '7d'")


def _check_weights(inquiry: Inquiry) -> None:
    if inquiry.weights is None:
        return
    if inquiry.treatments not in {None, len(inquiry.weights)}:
        raise ValueError(
            f"weights names {len(inquiry.weights)} treatments, treatments says"
            f" {inquiry.treatments}: leave one of them out"
        )
    total = sum(inquiry.weights)
    if 0 in inquiry.weights or total >= BASIS_POINTS:
        raise ValueError(
            f"weights are the shares of the treatments: each above 0, and together less than 100"
            f" percent, so that the control gets some, not {percent(total)}"
        )
