"""What one guardrail will be able to say in one stage, before there is a candidate."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from turnout.observations.domain.guardrails import PROPORTIONS, Guardrail
from turnout.quantities import BASIS_POINTS, Duration
from turnout.rollouts.domain.goal_outlook import GoalPast
from turnout.rollouts.domain.goals import StageGoal
from turnout.rollouts.domain.plan import Stage
from turnout.stats.anytime import boundary
from turnout.stats.baseline import Baseline
from turnout.stats.bernoulli import most_that_show_less
from turnout.stats.guardrail import BURN_IN
from turnout.stats.quantile_guardrail import together
from turnout.stats.waves import Waves

DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)

POWER: Final = 0.8
"""The chance with which a harm that is named is shown."""

_Z_POWER: Final = 0.8416
_MOST_EVENTS: Final = 1e12
_STEPS: Final = 50

Shown = Literal["value", "difference", "slow_requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A metric of the baseline as it has been: how many events of it a prediction brings, how
    late, and how they vary. `units_per_event` is below 1 where a unit brings several."""

    per_prediction: float
    units_per_event: float = 1.0
    baseline: Baseline | None = None
    delay: timedelta = timedelta()

    def variance(self, value: float) -> float:
        """Of the ratio over one event, if it were at this value."""
        assert self.baseline is not None
        variance = self.baseline.variance / self.units_per_event
        if not self.baseline.proportion or not 0 < value < 1:
            return variance
        now = self.baseline.value
        return variance * value * (1 - value) / (now * (1 - now))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of the model. No pace: no traffic of late. Metrics are named by their series,
    goals and the guardrails of latencies that come in waves by themselves."""

    predictions_per_day: float | None = None
    metrics: Mapping[str, Known] = field(default_factory=dict)
    goals: Mapping[StageGoal, GoalPast] = field(default_factory=dict)
    waves: Mapping[Guardrail, Waves] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitForecast:
    """What one guardrail will be able to say.

    `decides_after` is when it has what a pass takes, counted from the beginning of the stage, and
    `in_time` whether that is before the stage's `max_duration`; null where it cannot be told.
    `shows` is the least harm that it shows by the end of the bake time with a chance of 80 %: the
    `value` of the metric, its `difference` from the baseline, or, for a percentile of the latency,
    the share of `slow_requests`, those beyond the limit.
    """

    guardrail: Guardrail
    decides_after: Duration | None
    in_time: bool | None
    shows: float | None
    shows_as: Shown
    reason: str


def shares(stage: Stage) -> tuple[float, float]:
    """Of the model's predictions, those of the candidate and those of the baseline."""
    if stage.shadow:
        return 1.0, 1.0
    return stage.weight / BASIS_POINTS, 1 - stage.weight / BASIS_POINTS


def outlook(stage: Stage, limit: Guardrail, history: History, *, alpha: float) -> LimitForecast:
    """`alpha` is the guardrail's part of the error rate."""
    known = history.metrics.get(limit.series)
    if known is None or history.predictions_per_day is None:
        what = "the model has had no traffic" if known else f"nothing is known of {limit.metric}"
        return _unknown(limit, f"{what} of late")
    needed = _needed(limit, known, stage, alpha)
    daily = [share * known.per_prediction * history.predictions_per_day for share in shares(stage)]
    candidate, baseline = daily
    slowest = min(daily) if limit.relative else candidate
    after = _time(needed, slowest, known)
    shows = None
    if stage.bake > known.delay:
        days = (stage.bake - known.delay) / DAY
        sway = history.waves[limit].over(days * DAY / SECOND) if limit in history.waves else 0.0
        shows = _shows(limit, known, candidate * days, baseline * days, alpha=alpha, sway=sway)
    in_time = after is not None and after <= stage.longest
    return LimitForecast(
        guardrail=limit,
        decides_after=after,
        in_time=in_time,
        shows=shows,
        shows_as=_shown(limit),
        reason=_reason(stage, needed, slowest, after),
    )


def _unknown(limit: Guardrail, reason: str) -> LimitForecast:
    return LimitForecast(
        guardrail=limit,
        decides_after=None,
        in_time=None,
        shows=None,
        shows_as=_shown(limit),
        reason=reason,
    )


def _shown(limit: Guardrail) -> Shown:
    if limit.quantile is not None:
        return "slow_requests"
    return "difference" if limit.relative else "value"


def _time(events: float, daily: float, known: Known) -> timedelta | None:
    """Until so many events are in; None beyond ten years."""
    if daily <= 0 or events / daily > 3650:
        return None
    return timedelta(seconds=math.ceil((events / daily * DAY + known.delay) / SECOND))


def _reason(stage: Stage, needed: float, daily: float, after: timedelta | None) -> str:
    if needed > _MOST_EVENTS:
        return "no number of events proves it, as the baseline is now"
    events = f"{math.ceil(needed):,} events of an arm"
    if after is not None and after <= stage.longest:
        return f"a pass takes {events}, which come in time"
    possible = math.floor(daily * (stage.longest / DAY))
    return f"a pass takes {events}, and before the stage's time is up at most {possible:,} come"


def _needed(limit: Guardrail, known: Known, stage: Stage, alpha: float) -> float:
    """Events of the smaller arm before it can pass; in doubt, of a candidate that is no worse."""
    least = float(max(BURN_IN, limit.min_samples))
    if limit.proof == "no_harm":
        return least
    if limit.quantile is not None:
        rank = alpha / 2 if limit.relative else alpha
        allowed = 1 - limit.quantile
        return _first(lambda n: most_that_show_less(int(n), allowed, rank) is not None, least)
    candidate, baseline = shares(stage)
    ratio = (max(candidate, baseline) / min(candidate, baseline)) if limit.relative else math.inf
    return _first(lambda n: _proves(limit, known, n, ratio, alpha), least)


def _proves(limit: Guardrail, known: Known, events: float, ratio: float, alpha: float) -> bool:
    """Whether a candidate like the baseline is likely shown to be within the limit."""
    if known.baseline is None:
        return False
    now = known.baseline.value
    room = limit.limit if limit.relative else limit.limit - now
    if not limit.relative and limit.harm == "below":
        room = -room
    error = math.sqrt(known.variance(now) * (1 + 1 / ratio) / events)
    units = events * known.units_per_event * (1 + (ratio if limit.relative else 0))
    bound = boundary(max(units, 1.0), alpha=alpha, tuned_at=limit.min_samples)
    return room >= (bound + _Z_POWER) * error


def _first(enough: Callable[[float], bool], least: float) -> float:
    """The least number, from `least` on, that is enough; infinite if none is."""
    high = least
    while not enough(high):
        high *= 2
        if high > _MOST_EVENTS:
            return math.inf
    low = high / 2
    while high > least and high - low > max(1.0, low / 1000):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(high, least)


def _shows(
    limit: Guardrail,
    known: Known,
    candidate: float,
    baseline: float,
    *,
    alpha: float,
    sway: float,
) -> float | None:
    # Serving requests must not wait for numpy and scipy to load.
    from turnout.stats.harm import detectable_drift, detectable_share  # noqa: PLC0415

    fewest = min(candidate, baseline) if limit.relative else candidate
    if fewest < max(BURN_IN, limit.min_samples):
        return None
    if limit.quantile is not None:
        arms = 2 if limit.relative else 1
        apart = int(fewest / together(fewest, limit.quantile, sway / arms))
        return detectable_share(apart, 1 - limit.quantile, alpha=alpha / arms, power=POWER)
    drift = detectable_drift(alpha, POWER)
    beside = baseline if limit.relative else math.inf
    return _least_harm(limit, known, drift, candidate, beside, sway=sway)


def _least_harm(
    limit: Guardrail,
    known: Known,
    drift: float,
    candidate: float,
    baseline: float,
    *,
    sway: float,
) -> float | None:
    """As far beyond the limit as the events reach, at the variance that the harm itself brings,
    and `sway`, that of waves.

    A guardrail on a proportion is held against the variance without harm where it is least sure,
    and the data vary as they do with it: in between lies what the two come to. A measurement is
    taken to vary as much in either arm as in the one that varies more.
    """
    if known.baseline is None:
        return None
    sign = 1 if limit.harm == "above" else -1
    usual = known.baseline.value if limit.relative else limit.limit
    edge = sign * limit.limit if limit.relative else 0.0
    beside = 0.0 if math.isinf(baseline) else candidate / (candidate + baseline)
    harm = edge
    for _ in range(_STEPS):
        worse = known.variance(usual + harm)
        variance = worse * (1 / candidate + 1 / baseline) + sway
        if limit.metric in PROPORTIONS:
            without = known.variance(usual + beside * harm) * (1 / candidate + 1 / baseline)
            variance = worse / candidate + known.variance(usual) / baseline
            variance = (variance + without) / 2
        harm = edge + sign * drift * math.sqrt(variance)
        if limit.metric in PROPORTIONS and not 0 <= usual + harm <= 1:
            return None
    return harm if limit.relative else limit.limit + harm
