"""The rules of others, from what they publish, at the end of every window.

All see the same requests at the same weights as the product. `limit` is what an operator writes
into their query: the share of errors, or the mean, that a window must not exceed.

- Argo Rollouts (documentation, "Analysis"): a measurement that misses its condition has failed;
  more than `failureLimit` failed ones (default 0) fail the analysis, and abort the rollout.
- Flagger ("How it works"): a check that fails is counted; at `threshold` failed checks the canary
  is rolled back. There is no threshold that a user need not write; 5 and 10 are those of the
  documentation. It takes a step at every check that passes; here it takes them with the others.
- Kayenta (the judge of Netflix, `NetflixACAJudge`): at the end of a stage, one value per window of
  either arm, which are of equal size as Spinnaker's documentation recommends; a metric has failed
  if the 98 % interval of the shift, after Mann and Whitney, lies beyond a quarter of the shift's
  estimate. With one metric the score is then 0, and not 100.
- GrowthBook ("Safe Rollouts"): a one-sided sequence at 5 % on the absolute difference, tuned at
  5,000 users, for all that was seen so far; any harm at all counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmarks.releases.outcome import Outcome
from benchmarks.releases.traffic import Course, Release, Series, Vector
from turnout.quantities import BASIS_POINTS
from turnout.stats import anytime

CONFIDENCE: Final = 0.98
TOLERANCE: Final = 0.25
LEVEL: Final = 0.05
TUNED_AT: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a rule is asked about: a metric of a release, and the limit of a window."""

    course: Course
    release: Release
    metric: str
    limit: float

    @property
    def candidate(self) -> Series:
        return self.release.whole.candidate[self.metric]

    @property
    def even(self) -> tuple[Series, Series]:
        """Candidate and baseline in arms of equal size."""
        arms = self.release.even
        return arms.candidate[self.metric], arms.baseline[self.metric]


Rule = Callable[[Question], Outcome]


def argo(*, failure_limit: int) -> Rule:
    def rule(asked: Question) -> Outcome:
        return _at_first(np.cumsum(_failed(asked)) > failure_limit)

    return rule


def in_a_row(failures: int) -> Rule:
    """What users of Argo Rollouts ask for (argoproj/argo-rollouts#4792)."""

    def rule(asked: Question) -> Outcome:
        failed = _failed(asked)
        runs = np.convolve(failed, np.ones(failures, dtype=np.int64))[: len(failed)]
        return _at_first(runs == failures)

    return rule


def flagger(*, threshold: int) -> Rule:
    def rule(asked: Question) -> Outcome:
        return _at_first(np.cumsum(_failed(asked)) >= threshold)

    return rule


def _failed(asked: Question) -> NDArray[np.bool_]:
    return np.asarray(asked.candidate.mean > asked.limit)


def _at_first(found: NDArray[np.bool_]) -> Outcome:
    if not found.any():
        return Outcome(rolled_back=None, promoted=True)
    return Outcome(rolled_back=int(found.argmax()), promoted=False)


def kayenta(asked: Question) -> Outcome:
    for index, stage in enumerate(asked.course.plan.stages):
        within = asked.course.stage == index
        if stage.weight == BASIS_POINTS or not within.any():
            continue
        candidate, baseline = (series.mean[within] for series in asked.even)
        if is_high(candidate, baseline):
            return Outcome(rolled_back=asked.course.ends(index), promoted=False)
    return Outcome(rolled_back=None, promoted=True)


def is_high(experiment: Vector, control: Vector) -> bool:
    """Whether the judge calls a metric "High" that must not increase."""
    if np.array_equal(experiment, control):
        return False
    shifts = np.sort(np.subtract.outer(experiment, control), axis=None)
    rank = _rank(len(experiment), len(control))
    return bool(shifts[rank] > TOLERANCE * abs(float(np.median(shifts))))


@lru_cache(maxsize=64)
def _rank(experiment: int, control: int) -> int:
    """Of the difference that is the lower end of the interval (Hodges & Lehmann 1963; normal)."""
    pairs = experiment * control
    deviation = np.sqrt(pairs * (experiment + control + 1) / 12)
    z = float(special.ndtri((1 + CONFIDENCE) / 2))
    return max(0, int(np.floor(pairs / 2 - z * deviation)))


def growthbook(asked: Question) -> Outcome:
    """The variance is that of users, so what one user does many times counts once."""
    course, (candidate, baseline) = asked.course, asked.even
    n = np.cumsum(candidate.n)
    difference = (np.cumsum(candidate.x) - np.cumsum(baseline.x)) / n
    error = np.sqrt(_variance(course, candidate) + _variance(course, baseline))
    users = _so_far(course, candidate, "units") + _so_far(course, baseline, "units")
    bounds = np.array([_bound(int(total)) for total in users])
    return _at_first((difference > bounds * error) & (error > 0))


@lru_cache(maxsize=16_384)
def _bound(total: int) -> float:
    return anytime.boundary(float(total), alpha=LEVEL, tuned_at=TUNED_AT)


def _variance(course: Course, series: Series) -> Vector:
    """Of Σx/Σn over all users so far (delta method)."""
    n, n2, x, x2, xn = (_so_far(course, series, name) for name in ("n", "n2", "x", "x2", "xn"))
    ratio = x / n
    return np.maximum(x2 - 2 * ratio * xn + ratio**2 * n2, 0) / n**2


def _so_far(course: Course, series: Series, name: str) -> Vector:
    """Totals of stages, which begin at 0 each, as totals of the release."""
    in_stage = np.array([getattr(totals, name) for totals in series.totals], dtype=float)
    found = in_stage.copy()
    for stage in np.unique(course.stage)[:-1]:
        found[course.stage > stage] += in_stage[course.ends(int(stage))]
    return found


RULES: Final[dict[str, Rule]] = {
    "Argo, failureLimit 0 (default)": argo(failure_limit=0),
    "Argo, failureLimit 3": argo(failure_limit=3),
    "three in a row": in_a_row(3),
    "Flagger, threshold 5": flagger(threshold=5),
    "Flagger, threshold 10": flagger(threshold=10),
    "Kayenta": kayenta,
    "GrowthBook": growthbook,
}
