"""The random walk behind a sequence of looks, by numerical integration.

Under the null hypothesis the z-statistics at information fractions t₁ < t₂ < … are normal with
correlation √(tⱼ/tₖ). The density of those not yet stopped passes from look to look (Armitage,
McPherson & Rowe 1969):

    gₖ(z) = ∫ gₖ₋₁(u) · √(tₖ/Δ) · φ((z√tₖ - u√tₖ₋₁)/√Δ) du,  Δ = tₖ - tₖ₋₁

over the region in which look k - 1 continued. A drift θ needs no second recursion: it moves
every bound by θ√t. Nor does it need another walk where the bounds are to stay: until it stops,
the density under θ is gₖ(z)·exp(θz√tₖ - θ²tₖ/2), whatever the way that led to z.

The integrand is as narrow as the kernel on either side of a look, so the grid follows the
narrower one: panels of twice its standard deviation, 12 Gauss-Legendre nodes each. A fixed grid
under-resolves small increments of information. A look's grid is laid only when the next look
says how fine it must be, hence a walk holds the grid of the look before its last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(12)
_PANEL = 2.0

#: Of a density, what lies farther from its centre in standard deviations is nothing.
_REACH = 9.0

#: Beyond this the tail of the normal is zero in binary64: no bound is ever crossed.
FARTHEST = 38.0

#: Probabilities below this are nothing; a bound that spends so little cannot be reached.
_NOTHING = 1e-300

#: The logarithm of a likelihood ratio beyond which there is no number.
_LARGEST_LOG = 700.0

_BLOCK = 4 * len(_GAUSS_NODES)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Nodes at a fraction, and the probability that each stands for."""

    fraction: float
    nodes: Vector
    mass: Vector


#: Where every walk begins.
_START = _Grid(0.0, np.zeros(1), np.ones(1))


@dataclass(frozen=True, slots=True)
class Walk:
    """The looks so far, of which the last continued between its bounds."""

    fraction: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    _before: _Grid | None = None

    def step(self, fraction: float) -> Step:
        """Take the walk to the next look, whose bounds are still to be set."""
        if self.fraction == 0:
            return Step(fraction, None)
        came_from = 0.0 if self._before is None else self._before.fraction
        narrower = min(fraction - self.fraction, self.fraction - came_from)
        nodes, weights = self._lay(_PANEL * math.sqrt(narrower / self.fraction))
        return Step(fraction, _Grid(self.fraction, nodes, weights * self._density(nodes)))

    def _lay(self, width: float) -> tuple[Vector, Vector]:
        # Upwards the walk is followed as far as a bound can lie, so that a late bound far out
        # keeps its digits; downwards too, where an earlier bound says that it matters.
        low = -_REACH if self.low == -math.inf else max(self.low, -FARTHEST)
        high = min(self.high, FARTHEST)
        if high <= low:
            return np.empty(0), np.empty(0)
        edges = np.linspace(low, high, math.ceil((high - low) / width) + 1)
        half = (edges[1] - edges[0]) / 2
        nodes = (edges[:-1, None] + half * (1 + _GAUSS_NODES)).ravel()
        return nodes, np.tile(half * _GAUSS_WEIGHTS, len(edges) - 1)

    def _density(self, at: Vector) -> Vector:
        before = self._before
        if before is None:
            return np.exp(-0.5 * at * at) / math.sqrt(2 * math.pi)
        increment = self.fraction - before.fraction
        to, source = math.sqrt(self.fraction / increment), math.sqrt(before.fraction / increment)
        density = np.empty_like(at)
        for start in range(0, len(at), _BLOCK):
            rows = at[start : start + _BLOCK]
            columns = _within_reach(before.nodes, rows, before.fraction / self.fraction)
            jumps = to * rows[:, None] - source * before.nodes[columns]
            density[start : start + _BLOCK] = np.exp(-0.5 * jumps * jumps) @ before.mass[columns]
        return density * (to / math.sqrt(2 * math.pi))


@dataclass(frozen=True, slots=True)
class Step:
    """A look at which nothing has been decided yet."""

    fraction: float
    _origin: _Grid | None

    def above(self, bound: float) -> float:
        """The probability of having continued so far and now lying above the bound."""
        return self._beyond(bound, 1.0)

    def below(self, bound: float) -> float:
        return self._beyond(bound, -1.0)

    def upper_bound(self, probability: float) -> float:
        """The bound that lies below z with this probability; infinite if that is nothing."""
        return self._bound(probability, 1.0)

    def lower_bound(self, probability: float) -> float:
        return self._bound(probability, -1.0)

    def stop(self, *, low: float = -math.inf, high: float = math.inf) -> Walk:
        """Continue between these bounds only."""
        return Walk(self.fraction, low, high, self._origin)

    def _beyond(self, bound: float, sign: float) -> float:
        ahead, origin = self._ahead(bound)
        return float(special.ndtr(sign * ahead) @ origin.mass)

    def _ahead(self, bound: float) -> tuple[Vector, _Grid]:
        """How far above the bound the walk is expected from each node that it comes from, in
        standard deviations of the way from there."""
        origin = self._origin or _START
        increment = self.fraction - origin.fraction
        to, source = math.sqrt(self.fraction / increment), math.sqrt(origin.fraction / increment)
        return source * origin.nodes - to * bound, origin

    def _bound(self, probability: float, sign: float) -> float:
        if probability < _NOTHING:
            return sign * math.inf
        if self._beyond(-sign * FARTHEST, sign) <= probability:
            return -sign * math.inf

        def excess(bound: float) -> float:
            return math.log(max(self._beyond(bound, sign), _NOTHING)) - math.log(probability)

        # On the log scale a bound far out has the digits of one nearby.
        return float(optimize.brentq(excess, -FARTHEST, FARTHEST, xtol=1e-12))


@dataclass(frozen=True, slots=True)
class Crossings:
    """Every way to lie above a bound at some look, to be weighed under one drift after another.

    For each node from which a bound is in reach: how far ahead of it the walk is expected, the
    root of the increment, the node's z√t and t, and the probability that it stands for.
    """

    ahead: Vector
    reach: Vector
    place: Vector
    fraction: Vector
    mass: Vector

    @classmethod
    def of(cls, steps: Iterable[tuple[Step, float]], *, drift: float) -> Crossings:
        """At each look above this bound, having come past those of the earlier looks; for drifts
        up to this one, which says how far below a bound nodes still matter."""
        parts = [_crossing(step, bound, drift) for step, bound in steps if math.isfinite(bound)]
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def probability(self, drift: float) -> float:
        likelihood = drift * self.place - drift * drift / 2 * self.fraction
        mass = self.mass * np.exp(np.minimum(likelihood, _LARGEST_LOG))
        return float(special.ndtr(self.ahead + drift * self.reach) @ mass)


def _crossing(
    step: Step, bound: float, drift: float
) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    ahead, origin = step._ahead(bound)  # noqa: SLF001  (of this module)
    reach = math.sqrt(step.fraction - origin.fraction)
    near = ahead > -_REACH - max(0.0, drift) * reach
    ahead, nodes, mass = ahead[near], origin.nodes[near], origin.mass[near]
    return (
        ahead,
        np.full_like(ahead, reach),
        nodes * math.sqrt(origin.fraction),
        np.full_like(ahead, origin.fraction),
        mass,
    )


def _within_reach(sources: Vector, targets: Vector, share: float) -> slice:
    """Those nodes from which the walk comes to the targets with any probability.

    Given its place z now, it came from around z·√share with variance 1 - share; where that lies
    outside the region of the sources, from near their edge.
    """
    if len(sources) == 0:
        return slice(0)
    least, most = targets[0] * math.sqrt(share), targets[-1] * math.sqrt(share)
    spread = _REACH * math.sqrt(1 - share)
    low = least - math.hypot(spread, max(0.0, least - sources[-1]))
    high = most + math.hypot(spread, max(0.0, sources[0] - most))
    return slice(int(np.searchsorted(sources, low)), int(np.searchsorted(sources, high)))
