"""Has a distribution moved, how far, in which way, and is it the version or the world?

Every divergence is judged less what chance adds to it, and by a bound beyond which it lies with
some confidence; see `stats.drift`. A version that answers at the same time meets the same world:
what it sees as well is no fault of the version.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from turnout.drift.domain.baseline import Distribution, Histogram
from turnout.drift.domain.evidence import Evidence
from turnout.observations.domain.grid import PREDICTION
from turnout.stats.drift import Divergence, divergence, stability
from turnout.stats.verdict import Verdict

CLEARANCE: Final = 0.1
"""What has moved is over once it keeps this share of its limit free, so that it does not flap."""


class Whose(StrEnum):
    """What has moved: the version alone, the world, or nothing answers beside it to tell."""

    VERSION = "version"
    WORLD = "world"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When a divergence is too large: shown to be over `limit` with `confidence`, or, without
    one, over it as it is; by `fewest` predictions at least."""

    limit: float
    fewest: int
    confidence: float | None

    def verdict(self, found: Divergence, n: int) -> Verdict:
        if n < self.fewest:
            return Verdict.INSUFFICIENT_SAMPLE
        if self.exceeded(found):
            return Verdict.FAIL
        clear = found.corrected <= self.limit * (1 - CLEARANCE)
        return Verdict.PASS if clear else Verdict.INCONCLUSIVE

    def exceeded(self, found: Divergence) -> bool:
        if self.confidence is None:
            return found.corrected > self.limit
        return found.at_least(self.confidence) > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far one feature, or the prediction, is from the baseline; `whose` is said of what has
    moved."""

    feature: str
    expected: Distribution
    counts: Sequence[int]
    divergence: Divergence
    verdict: Verdict
    whose: Whose | None = None

    @property
    def n(self) -> int:
        return sum(self.counts)

    @property
    def change(self) -> str:
        """The bin whose share has changed most, in words."""
        former, now = sum(self.expected.bins), self.n
        shares = [
            (many / now, before / former)
            for before, many in zip(self.expected.bins, self.counts, strict=True)
        ]
        place = max(range(len(shares)), key=lambda k: abs(shares[k][0] - shares[k][1]))
        share, before = shares[place]
        return f"{share:.1%} {_named(self.expected, place)}, {before:.1%} in the baseline"


def feature_shifts(found: Evidence, terms: Terms) -> list[Shift]:
    """The features of a version by their PSI, the farthest first."""
    shifts = [
        _feature_shift(found, name, distribution, terms)
        for name, distribution in found.baseline.features.items()
        if name in found.counts
    ]
    return sorted(shifts, key=lambda shift: -shift.divergence.corrected)


def _feature_shift(found: Evidence, name: str, distribution: Distribution, terms: Terms) -> Shift:
    counts = found.counts[name]
    moved = stability(distribution.bins, counts)
    verdict = terms.verdict(moved, sum(counts))
    return Shift(
        feature=name,
        expected=distribution,
        counts=counts,
        divergence=moved,
        verdict=verdict,
        whose=_whose_feature(found, name, terms) if verdict is Verdict.FAIL else None,
    )


def _whose_feature(found: Evidence, name: str, terms: Terms) -> Whose:
    """Both versions draw their units from the same traffic, so what they are fed is the same,
    unless one of them is fed something else."""
    beside = found.beside
    if beside is None or name not in beside.own or name not in beside.theirs:
        return Whose.UNTOLD
    own, theirs = beside.own[name], beside.theirs[name]
    if min(sum(own), sum(theirs)) < terms.fewest:
        return Whose.UNTOLD
    between = stability(theirs, own)
    if terms.exceeded(between):
        return Whose.VERSION
    theirs_moved = stability(found.baseline.features[name].bins, theirs)
    far = theirs_moved.corrected > terms.limit / 2 > between.corrected
    return Whose.WORLD if far else Whose.UNTOLD


def prediction_shift(found: Evidence, terms: Terms) -> Shift | None:
    """The KL divergence of a version's answers from its baseline; whose it is, `whose` tells."""
    distribution = found.baseline.prediction
    counts = found.counts.get(PREDICTION)
    if distribution is None or counts is None:
        return None
    moved = divergence(counts, distribution.bins)
    return Shift(
        feature=PREDICTION,
        expected=distribution,
        counts=counts,
        divergence=moved,
        verdict=terms.verdict(moved, sum(counts)),
    )


def whose(others: Collection[Verdict]) -> Whose:
    """Whose a failure is, by how the versions beside it do, each by its own baseline: versions may
    answer differently and all be right."""
    if Verdict.PASS in others:
        return Whose.VERSION
    return Whose.WORLD if Verdict.FAIL in others else Whose.UNTOLD


def _named(distribution: Distribution, place: int) -> str:
    if place == len(distribution.bins) - 1:
        return "are missing"
    if isinstance(distribution, Histogram):
        edges = distribution.edges
        if place == 0:
            return f"are below {edges[0]:g}"
        if place == len(edges):
            return f"are {edges[-1]:g} or more"
        return f"are from {edges[place - 1]:g} to below {edges[place]:g}"
    names = distribution.names
    return f"are {names[place]!r}" if place < len(names) else "are none that the baseline names"
