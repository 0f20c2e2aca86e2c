"""Whether units fell into the arms as planned; where they did not, no result can be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from turnout.stats.arguments import (
    BadArgument,
    require_finite,
    require_nonnegative,
    require_positive,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: A mismatch is declared below this p-value: it condemns a whole experiment.
THRESHOLD = 0.001

#: Of slight deviations, as a caller that loses some units makes them, and of gross ones.
CONCENTRATIONS = (1000.0, 100.0)

#: Expected counts below this have no chi-square distribution.
_FEW = 5

#: More outcomes than this are not enumerated.
_MANY = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """`statistic` is chi-square, or the log Bayes factor of the sequential test.

    Without any units p_value is None. Units in an arm of weight 0 are a mismatch with p = 0 and
    have no finite statistic.
    """

    statistic: float | None
    p_value: float | None
    degrees_of_freedom: int
    bayes_factor: float | None
    mismatch: bool


def chi_square(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """The test for one look; exact where an expected count is under 5."""
    counts, shares, stray = _arms(observed, weights)
    df, n = len(counts) - 1, sum(counts)
    if stray or n == 0 or df == 0:
        return _without_statistic(df, stray=stray)
    statistic = sum((x - n * w) ** 2 / (n * w) for x, w in zip(counts, shares, strict=True))
    if min(n * share for share in shares) < _FEW:
        p_value = _exact(counts, shares)
    else:
        p_value = float(special.chdtrc(df, statistic))
    return SampleRatio(
        statistic=statistic,
        p_value=p_value,
        degrees_of_freedom=df,
        bayes_factor=None,
        mismatch=p_value < THRESHOLD,
    )


def sequential(
    observed: Sequence[int],
    weights: Sequence[float],
    *,
    concentration: float = 1000,
    finished: float = 0.0,
) -> SampleRatio:
    """The test for any number of looks, on cumulative counts (Lindon & Malek 2020).

    The Bayes factor of shares around the plan (Dirichlet, with this concentration) against the
    plan itself is a martingale if the plan holds, and ever exceeds 1/p with a chance of at most
    p. The caller keeps the running minimum of the p-value. Of stages with other weights the log
    Bayes factors add, so a changed split is no mismatch: `finished` is the sum over those that
    are over, and each begins with new counts.
    """
    require_positive(concentration=concentration)
    require_finite(finished=finished)
    counts, shares, stray = _arms(observed, weights)
    df, n = len(counts) - 1, sum(counts)
    if stray or ((n == 0 or df == 0) and finished == 0):
        return _without_statistic(df, stray=stray)
    log_factor = finished + math.lgamma(concentration) - math.lgamma(concentration + n)
    for x, share in zip(counts, shares, strict=True):
        prior = concentration * share
        log_factor += math.lgamma(prior + x) - math.lgamma(prior) - x * math.log(share)
    return _by_factor(log_factor, _without_statistic(df, stray=False))


def sequential_mixture(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """The sequential test for slight deviations and gross ones, equally likely beforehand.

    The mean of the Bayes factors of two concentrations is a martingale as each of them is, so the
    promise is the same, at every look. The greater one alone expects shares so near the plan that
    a gross deviation of a few hundred units goes unseen: of 60 to 40, half are found by 490 units
    instead of 810, of 65 to 35 by 250 instead of 480. For that, 52 to 48 is found by 20,000 units
    in 93.6 % instead of 94.4 %.
    """
    found = [
        sequential(observed, weights, concentration=concentration)
        for concentration in CONCENTRATIONS
    ]
    logs = [each.statistic for each in found if each.statistic is not None]
    if not logs:
        return found[0]
    return _by_factor(float(np.logaddexp.reduce(logs)) - math.log(len(logs)), found[0])


def sequential_stages(
    stages: Iterable[tuple[Sequence[int], Sequence[float]]], *, concentration: float = 1000
) -> SampleRatio:
    """The sequential test over stages, each with its counts and the weights it had."""
    total = _without_statistic(0, stray=False)
    degrees = 0
    for observed, weights in stages:
        finished = total.statistic or 0.0
        stage = sequential(observed, weights, concentration=concentration, finished=finished)
        degrees += stage.degrees_of_freedom
        if stage.p_value is not None:
            total = stage
        if stage.mismatch and stage.statistic is None:
            break
    return replace(total, degrees_of_freedom=degrees)


#: The Bayes factor itself ends here, for JSON has no infinity.
_LOG_LARGEST = 709.0


def _by_factor(log_factor: float, result: SampleRatio) -> SampleRatio:
    p_value = math.exp(min(0.0, -log_factor))
    return replace(
        result,
        statistic=log_factor,
        p_value=p_value,
        bayes_factor=math.exp(min(log_factor, _LOG_LARGEST)),
        mismatch=p_value < THRESHOLD,
    )


def _arms(observed: Sequence[int], weights: Sequence[float]) -> tuple[list[int], list[float], bool]:
    """Counts and normalised shares of the arms that should have units; whether others had any."""
    if len(observed) != len(weights):
        raise BadArgument("weights", f"must be as many as the {len(observed)} observed counts")
    for count in observed:
        require_nonnegative(observed=count)
    for weight in weights:
        require_nonnegative(weights=weight)
    total = math.fsum(weights)
    if total == 0:
        raise BadArgument("weights", "must not all be 0")
    arms = [(x, w / total) for x, w in zip(observed, weights, strict=True) if w > 0]
    stray = sum(observed) > sum(x for x, _ in arms)
    return [x for x, _ in arms], [share for _, share in arms], stray


def _without_statistic(df: int, *, stray: bool) -> SampleRatio:
    return SampleRatio(
        statistic=None,
        p_value=0.0 if stray else None,
        degrees_of_freedom=df,
        bayes_factor=None,
        mismatch=stray,
    )


def _exact(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The probability of all outcomes no more probable than this one.

    Where they are too many to enumerate, of the most surprising arm against the rest, times the
    number of arms (Bonferroni).
    """
    n, arms = sum(counts), len(counts)
    if arms == 2 or math.comb(n + arms - 1, arms - 1) <= _MANY:
        return _no_more_probable(counts, shares)
    least = min(
        _no_more_probable((x, n - x), (share, 1 - share))
        for x, share in zip(counts, shares, strict=True)
    )
    return min(1.0, arms * least)


def _no_more_probable(counts: Sequence[int], shares: Sequence[float]) -> float:
    n = sum(counts)
    logs = [math.log(share) for share in shares]
    ceiling = _log_probability(counts, logs) + 1e-7
    if len(counts) == 2:
        # Farther than this from both mean and observation, no outcome has any probability.
        mean, reach = n * shares[0], 40 * math.sqrt(n * shares[0] * shares[1]) + 100
        low = max(0.0, math.floor(min(mean, counts[0]) - reach))
        x = np.arange(low, min(n, max(mean, counts[0]) + reach) + 1.0)
        each = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
        each += x * logs[0] + (n - x) * logs[1]
    else:
        each = np.array([_log_probability(outcome, logs) for outcome in _outcomes(n, len(counts))])
    return float(min(1.0, np.exp(each[each <= ceiling]).sum()))


def _log_probability(counts: Sequence[int], log_shares: Sequence[float]) -> float:
    return math.lgamma(sum(counts) + 1) + sum(
        x * log_share - math.lgamma(x + 1) for x, log_share in zip(counts, log_shares, strict=True)
    )


def _outcomes(n: int, arms: int) -> Iterator[tuple[int, ...]]:
    if arms == 1:
        yield (n,)
        return
    for x in range(n + 1):
        for rest in _outcomes(n - x, arms - 1):
            yield (x, *rest)
