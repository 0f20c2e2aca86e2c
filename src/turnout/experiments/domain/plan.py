import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated, Final

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.observations.domain.followed import Followed
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal, NamedMetric
from turnout.quantities import BASIS_POINTS, STRICT, Duration, Weight, percent
from turnout.registry.domain.fields import Label, Prose, Summary, VersionName
from turnout.stats.goal import GoalDesign
from turnout.traffic.domain.split import Spread

SPREADS: Final = (Spread.STICKY, Spread.RANDOM, Spread.ROUND_ROBIN)
_MOST_UNITS: Final = 10**12

Units = Annotated[int, Ge(1), Le(_MOST_UNITS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """A version that is compared with the control. Those without a weight share equally with it."""

    __pydantic_config__ = STRICT

    version: VersionName
    weight: Weight | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an experiment sets out to show, and by which rules; locked when it starts.

    The control gets what the treatments leave. With the strategy `sticky` a unit (a user, a
    session) stays with its variant; with `random` each request is a unit of its own, and with
    `round_robin` each takes its turn, which is fair as long as requests have no rhythm themselves.

    Sample sizes are in units per variant. Nothing is concluded below `min_sample_size`.
    `target_sample_size` is where the search ends, in the variant that gets the least traffic;
    without it, it is worked out at the start from what the control did before, so that an
    effect of `minimum_detectable_effect` is found with a chance of `power`. The experiment also
    ends when it has run for `max_duration`, pauses left out.

    With `early_stopping` it may end at any look at which the answer is clear, with the error rate
    that `confidence_level` promises over all looks together; without, the goal is looked at once,
    at the end. The search is also futile when the chance of still finding the effect is below
    `futility_threshold`; null: never.

    `auto_conclude` has it end by itself when there is an answer; `promote_winner` sends all
    traffic to the winner then.
    """

    __pydantic_config__ = STRICT

    key: Label
    name: Summary = ""
    description: Prose = ""
    control: VersionName
    treatments: Annotated[tuple[Treatment, ...], MinLen(1), MaxLen(9)]
    strategy: Spread = Spread.STICKY
    goal: Goal
    secondary: Annotated[tuple[NamedMetric, ...], MaxLen(20)] = ()
    guardrails: Annotated[tuple[Guardrail, ...], MaxLen(50)] = ()
    confidence_level: float = 0.95
    power: float = 0.8
    min_sample_size: Units = 1000
    target_sample_size: Units | None = None
    max_duration: Duration = timedelta(hours=168)
    early_stopping: bool = True
    futility_threshold: float | None = 0.01
    auto_conclude: bool = False
    promote_winner: bool = False

    def __post_init__(self) -> None:
        _check_versions(self)
        _check_weights(self)
        _check_metrics(self)
        _check_rules(self)
        _check_extent(self)

    @property
    def weights(self) -> Mapping[str, int]:
        """The planned share of each version in basis points, the control first."""
        stated = {arm.version: arm.weight for arm in self.treatments if arm.weight is not None}
        left = BASIS_POINTS - sum(stated.values())
        equal = left // (len(self.treatments) - len(stated) + 1)
        shares = {arm.version: stated.get(arm.version, equal) for arm in self.treatments}
        return {self.control: BASIS_POINTS - sum(shares.values()), **shares}

    @property
    def by_unit(self) -> bool:
        return self.strategy.by_unit

    @property
    def limits(self) -> tuple[Guardrail, ...]:
        """The guardrails, part by part."""
        return tuple(part for guardrail in self.guardrails for part in guardrail.parts)

    @property
    def followed(self) -> tuple[Followed, ...]:
        """The metrics of which only some predictions count."""
        asked = [metric.followed for metric in (self.goal, *self.secondary)]
        asked += [limit.followed for limit in self.limits]
        return tuple(found for found in asked if found)

    @property
    def gates(self) -> int:
        """How many guardrails of all treatments may each end the experiment."""
        return len(self.treatments) * sum(not limit.dry_run for limit in self.limits)

    def sizes(self, target: int) -> Mapping[str, int]:
        """The units of each version when the variant with the least traffic has `target`."""
        least = min(self.weights.values())
        return {version: round(target * share / least) for version, share in self.weights.items()}

    def design(self, version: str, *, target: int, against: int) -> GoalDesign:
        """The test of one treatment while `against` of them share the error rate."""
        sizes = self.sizes(target)
        return GoalDesign(
            minimum_effect=self.goal.minimum_detectable_effect,
            good="up" if self.goal.improves_by == "increase" else "down",
            alpha=(1 - self.confidence_level) / 2 / against,
            beta=1 - self.power,
            units=sizes[version],
            ratio=sizes[self.control] / sizes[version],
            early_stopping=self.early_stopping,
            futility=self.futility_threshold,
        )


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the plan as JSON with sorted keys and no spaces, durations in seconds, whole
    numbers without a fraction, and nothing for null: the same for the same plan, however it was
    written or stored."""
    text = json.dumps(
        _canonical(asdict(plan)), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> object:
    match value:
        case Mapping():
            return {key: _canonical(part) for key, part in value.items() if part is not None}
        case tuple() | list():
            return [_canonical(part) for part in value]
        case timedelta():
            return _canonical(value.total_seconds())
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _check_versions(plan: Plan) -> None:
    for version, times in Counter(arm.version for arm in plan.treatments).items():
        if times > 1:
            raise ValueError(f"treatment {version} is listed {times} times: list it once")
        if version == plan.control:
            raise ValueError(
                f"{version} is the control and a treatment: a treatment is another version"
            )


def _check_weights(plan: Plan) -> None:
    for arm in plan.treatments:
        if arm.weight == 0:
            raise ValueError(
                f"treatment {arm.version} has weight 0 and would see no traffic: give it a share,"
                f" or leave out its weight for an equal one"
            )
    stated = sum(arm.weight or 0 for arm in plan.treatments)
    if min(plan.weights.values()) <= 0:
        raise ValueError(
            f"the weights of the treatments sum to {percent(stated)} percent, which leaves too"
            f" little for the control {plan.control}: let them sum to less than 100"
        )


def _check_metrics(plan: Plan) -> None:
    names = Counter([plan.goal.metric, *(metric.metric for metric in plan.secondary)])
    for name, times in names.items():
        if times > 1:
            raise ValueError(
                f"{name} is stated {times} times: a metric is the goal, or secondary, once"
            )
    if plan.strategy not in SPREADS:
        raise ValueError(
            f"an experiment spreads units 'sticky' (a unit keeps its variant), 'random' (each"
            f" request is a unit of its own) or 'round_robin' (each in its turn), not"
            f" '{plan.strategy}'"
        )
    for metric in (plan.goal, *plan.secondary):
        if metric.per == "unit" and not plan.by_unit:
            raise ValueError(
                f"{metric.metric} is per unit, and with the strategy '{plan.strategy}' a unit meets"
                f" every variant: use 'sticky'"
            )


def _check_rules(plan: Plan) -> None:
    for limit in plan.guardrails:
        if limit.paired:
            raise ValueError(
                f"the guardrail {limit.metric} compares a shadow with what was served, and an"
                f" experiment has no shadow: compare with the control, such as by max_increase"
            )
    if not 0.5 < plan.confidence_level < 1:
        raise ValueError("confidence_level lies between 0.5 and 1, such as 0.95")
    if not 0.5 <= plan.power < 1:
        raise ValueError("power is at least 0.5 and below 1, such as 0.8")
    if plan.futility_threshold is not None and not 0 < plan.futility_threshold < 1:
        raise ValueError(
            "futility_threshold is a chance between 0 and 1, such as 0.01, or null for never"
        )


def _check_extent(plan: Plan) -> None:
    if not plan.max_duration:
        raise ValueError("max_duration is longer than 0, such as '7d'")
    for found in plan.followed:
        if found.age is not None and found.age >= plan.max_duration:
            raise ValueError(
                f"the experiment ends after {plan.max_duration}, so no prediction in it comes to"
                f" be {found.age} old: give {found.metric} a shorter maturity"
            )
    target = plan.target_sample_size
    if target is not None and target < plan.min_sample_size:
        raise ValueError(
            f"target_sample_size {target:,} is below min_sample_size {plan.min_sample_size:,}:"
            f" the experiment would end before anything could be concluded"
        )
