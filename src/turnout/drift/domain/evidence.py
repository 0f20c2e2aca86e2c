"""What versions answered in a window, on the bins of a baseline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, pairwise

from turnout.drift.domain.baseline import Baseline

Hours = Mapping[datetime, Sequence[int]]
"""Counts of all bins of a baseline side by side, by hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What two versions answered in the hours in which both did, on the bins of the first."""

    version_id: int
    own: Mapping[str, Sequence[int]]
    theirs: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    version_id: int
    baseline: Baseline
    counts: Mapping[str, Sequence[int]]
    beside: Beside | None = None
    hours: Hours = field(default_factory=dict)

    @property
    def features(self) -> Iterator[str]:
        return iter(self.baseline.features)

    @property
    def sampled(self) -> int:
        """Predictions that were counted."""
        return max(map(sum, self.counts.values()), default=0)

    def by_hour(self, feature: str) -> dict[datetime, Sequence[int]]:
        """The counts of one feature, in order of time."""
        place = _places(self.baseline)[feature]
        return {hour: self.hours[hour][place] for hour in sorted(self.hours)}


def evidence(
    version_id: int, baseline: Baseline, own: Hours, others: Mapping[int, Hours]
) -> Evidence:
    """Beside a version stands the one that answered most in the same hours."""
    found = [
        Beside(
            version_id=other,
            own=_by_feature(baseline, [own[hour] for hour in sorted(own.keys() & hours.keys())]),
            theirs=_by_feature(
                baseline, [hours[hour] for hour in sorted(own.keys() & hours.keys())]
            ),
        )
        for other, hours in sorted(others.items())
    ]
    beside = max(found, key=lambda one: sum(map(sum, one.theirs.values())), default=None)
    return Evidence(
        version_id=version_id,
        baseline=baseline,
        counts=_by_feature(baseline, list(own.values())),
        beside=beside,
        hours=own,
    )


def _by_feature(baseline: Baseline, rows: Sequence[Sequence[int]]) -> dict[str, Sequence[int]]:
    """Add up hours and divide them by feature; one that never had a value is not reported at all,
    and left out."""
    sums = [sum(bins) for bins in zip(*rows, strict=True)]
    parts = {name: sums[place] for name, place in _places(baseline).items()}
    return {name: part for name, part in parts.items() if any(part[:-1])}


def _places(baseline: Baseline) -> dict[str, slice]:
    """Where the bins of each feature stand among those of all."""
    sizes = {name: len(found.bins) for name, found in baseline.distributions.items()}
    ends = pairwise(accumulate(sizes.values(), initial=0))
    return {name: slice(*bounds) for name, bounds in zip(sizes, ends, strict=True)}
