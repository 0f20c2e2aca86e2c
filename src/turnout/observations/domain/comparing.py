"""Which of several versions does better? Only where they shared the traffic, unit by unit.

Versions that answered at different times differ for many reasons, so what is compared are the
splits that both served in, each as a stratum of its own. The interval is that of one look, with
the confidence shared among all pairs. Who looks often, and stops when it pleases, is fooled by
chance: to decide, there are experiments and rollouts.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.judging import totals
from turnout.observations.domain.metric import Metric
from turnout.stats.effect import Stratum, effect

CONFIDENCE: Final = 0.95
FEWEST_UNITS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One version against another: `difference` is `version` less `against`, of the metric, and
    lies in the interval from `low` to `high`. `better` names one of them only if the interval
    leaves no doubt."""

    version: str
    against: str
    value: float | None
    against_value: float | None
    difference: float | None
    low: float | None
    high: float | None
    units: int
    against_units: int
    better: str | None
    reason: str


def contests(
    metric: Metric,
    versions: Mapping[int, str],
    shared: Sequence[Mapping[int, ArmEvidence]],
) -> list[Contest]:
    """Every pair, over the splits (`shared`, each with its arms) in which both answered."""
    pairs = list(itertools.combinations(versions, 2))
    return [
        _contest(metric, versions, pair, shared, confidence=1 - (1 - CONFIDENCE) / len(pairs))
        for pair in pairs
    ]


def _contest(
    metric: Metric,
    versions: Mapping[int, str],
    pair: tuple[int, int],
    shared: Sequence[Mapping[int, ArmEvidence]],
    *,
    confidence: float,
) -> Contest:
    (against, one), name = pair, metric.metric
    met = [
        Stratum(control=totals(name, arms[against]), treatment=totals(name, arms[one]))
        for arms in shared
        if against in arms and one in arms
    ]
    strata = [each for each in met if each.control.n > 0 and each.treatment.n > 0]
    found = effect(strata, proportion=metric.proportion) if strata else None
    low = high = None
    if found is not None:
        # Serving requests must not wait for scipy to load.
        from turnout.stats.intervals import difference  # noqa: PLC0415
        from turnout.stats.tails import critical_value  # noqa: PLC0415

        critical = critical_value(confidence, "two-sided", None)
        low, high = difference(strata, proportion=metric.proportion, critical=critical)
    units = sum(each.treatment.units for each in strata)
    others = sum(each.control.units for each in strata)
    names = (versions[one], versions[against])
    better, reason = _words(metric, names, (low, high), fewest=min(units, others))
    return Contest(
        version=versions[one],
        against=versions[against],
        value=found.treatment if found else None,
        against_value=found.control if found else None,
        difference=found.value if found else None,
        low=low,
        high=high,
        units=units,
        against_units=others,
        better=better,
        reason=reason,
    )


def _words(
    metric: Metric,
    names: tuple[str, str],
    interval: tuple[float | None, float | None],
    *,
    fewest: int,
) -> tuple[str | None, str]:
    (one, against), (low, high) = names, interval
    if fewest == 0:
        return None, (
            f"{one} and {against} did not share the traffic, so that what differs between them may"
            f" as well be the time: run them side by side"
        )
    if fewest < FEWEST_UNITS:
        return None, (
            f"{fewest} units show nothing yet, whatever their figures are: at least"
            f" {FEWEST_UNITS} of each version are needed, and usually far more"
        )
    if low is None or high is None:
        return None, f"no unit differs from any other in {metric.metric}"
    if low <= 0 <= high:
        return None, (
            f"no difference in {metric.metric} is shown: {one} may be {_signed(low)} to"
            f" {_signed(high)} against {against}, and 0 is among that"
        )
    better = one if (low > 0) == (metric.improves_by == "increase") else against
    return better, (
        f"{better} does better in {metric.metric}: {one} is {_signed(low)} to {_signed(high)}"
        f" against {against}"
    )


def best(versions: Mapping[int, str], found: Sequence[Contest]) -> str | None:
    """The version that is shown to be better than every other one."""
    return next(
        (
            version
            for version in versions.values()
            if all(
                contest.better == version
                for contest in found
                if version in {contest.version, contest.against}
            )
        ),
        None,
    )


def _signed(value: float) -> str:
    return f"{value:+.3g}"
