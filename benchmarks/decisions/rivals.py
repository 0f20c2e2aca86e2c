"""The rules of others, from what they publish.

Each keeps the error at 5 % two-sided as it understands it. Where a rule's own code can be had
(`their_code`), it is asked the same questions, and the answers must agree with these formulas.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from benchmarks.decisions.outcomes import Rule
from benchmarks.decisions.scenario import ALPHA, MINIMUM_EFFECT, UNITS, Matrix, Paths, Vector

LEVEL = 2 * ALPHA
FIXED_BOUND = float(special.ndtri(1 - ALPHA))

GROWTHBOOK_TUNING = 5_000
EPPO_TUNING = 10_000

Z95 = float(special.ndtri(0.95))


def users(looks: int) -> Vector:
    """Of one arm, at each look."""
    return UNITS * np.arange(1.0, looks + 1) / looks


def mixture_bound(r: Vector, level: float) -> Vector:
    """The z at which a mixture likelihood ratio reaches 1/level; r is its n·τ²/v (Robbins 1970)."""
    return np.sqrt((1 + r) / r * (np.log1p(r) - 2 * math.log(level)))


def tuned_bound(total: Vector, level: float, tuned_at: float) -> Vector:
    """Of an asymptotic confidence sequence after so many units of both arms (Waudby-Smith et al.).

    GrowthBook and, written as ρ = N/(ln ln(e/α²) - 2 ln α), Eppo have the same.
    """
    rho2 = (-2 * math.log(level) + math.log(1 - 2 * math.log(level))) / tuned_at
    return mixture_bound(total * rho2, level)


def naive(looks: int) -> Rule:
    """The z-test at every look as if it were the only one."""
    return Rule(name="naive peeking", statistic=_pooled, upper=np.full(looks, FIXED_BOUND))


def flat_prior_bayes(looks: int) -> Rule:
    """Stop when the better arm is better with a posterior probability of 95 %."""
    return Rule(
        name="flat-prior Bayes, 95 %",
        statistic=_relative,
        upper=np.full(looks, Z95),
    )


def mixture_sprt(looks: int, tau: float, tuning: str) -> Rule:
    """Johari, Koomen, Pekelis & Walsh 2017, with the variance as it is estimated at the look."""

    def signed_root(paths: Paths) -> Matrix:
        r = tau**2 / np.maximum(paths.variance, 1e-12)
        log_ratio = paths.z**2 * r / (2 * (1 + r)) - 0.5 * np.log1p(r)
        root: Matrix = np.copysign(np.sqrt(2 * np.maximum(log_ratio, 0.0)), paths.z)
        return root

    bound = math.sqrt(-2 * math.log(LEVEL))
    return Rule(name=f"mSPRT, τ = {tuning}", statistic=signed_root, upper=np.full(looks, bound))


def growthbook(looks: int) -> Rule:
    bound = tuned_bound(2 * users(looks), LEVEL, GROWTHBOOK_TUNING)
    return Rule(name="GrowthBook sequential", statistic=_relative, upper=bound)


def eppo(looks: int) -> Rule:
    bound = tuned_bound(2 * users(looks), LEVEL, EPPO_TUNING)
    return Rule(name="Eppo sequential", statistic=_relative, upper=bound)


def eppo_hybrid(looks: int) -> Rule:
    """Half of the level for the sequence on the way, half for one test at the end."""
    return Rule(name="Eppo hybrid", statistic=_relative, upper=hybrid_bound(2 * users(looks)))


def hybrid_bound(total: Vector) -> Vector:
    bound = tuned_bound(total, LEVEL / 2, EPPO_TUNING)
    bound[-1] = min(bound[-1], float(special.ndtri(1 - LEVEL / 4)))
    return bound


def spotify(bounds: Vector) -> Rule:
    return Rule(name="Spotify α·t²", statistic=_unpooled, upper=bounds)


def sprt_tunings(looks: int) -> tuple[Rule, Rule]:
    return (
        mixture_sprt(looks, MINIMUM_EFFECT, "the effect"),
        mixture_sprt(looks, 10 * MINIMUM_EFFECT, "10 effects"),
    )


def _pooled(paths: Paths) -> Matrix:
    return paths.pooled_z


def _unpooled(paths: Paths) -> Matrix:
    return paths.z


def _relative(paths: Paths) -> Matrix:
    return paths.relative_z
