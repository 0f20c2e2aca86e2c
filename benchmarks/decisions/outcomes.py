"""What becomes of replications under a rule, and what is counted of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.scenario import Matrix, Paths, Vector

Statistic = Callable[[Paths], Matrix]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Stop at the first look at which the statistic lies beyond its bound of that look.

    Harm lies below -upper, and futility, where a rule has it, at or below a bound that may depend
    on the data.
    """

    name: str
    statistic: Statistic
    upper: Vector
    futility: Callable[[Paths], Matrix | Vector] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Of each replication: the last look, counted from 0, and whether it found anything."""

    look: NDArray[np.intp]
    win: NDArray[np.bool_]
    harm: NDArray[np.bool_]


def ends(rule: Rule, paths: Paths) -> Ends:
    statistic = rule.statistic(paths)
    win, harm = statistic >= rule.upper, statistic <= -rule.upper
    over = win | harm
    if rule.futility is not None:
        over |= statistic <= rule.futility(paths)
    over[:, -1] = True
    look = over.argmax(axis=1)
    row = np.arange(len(look))
    return Ends(look=look, win=win[row, look], harm=harm[row, look])


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """Shares of replications, and the users that were needed as a share of the maximum."""

    replications: int
    win: float
    harm: float
    size: float

    @property
    def rejected(self) -> float:
        return self.win + self.harm

    @staticmethod
    def error(share: float, replications: int) -> float:
        """The standard error of a share that was simulated."""
        return math.sqrt(share * (1 - share) / replications)


def characteristics(rules: Iterable[Rule], chunks: Iterator[Paths]) -> dict[str, Characteristics]:
    """Every rule on the very same replications."""
    rules = tuple(rules)
    sums = {rule.name: np.zeros(3) for rule in rules}
    replications = 0
    for paths in chunks:
        replications += len(paths.control)
        for rule in rules:
            end = ends(rule, paths)
            size = (end.look + 1).sum() / paths.looks
            sums[rule.name] += (end.win.sum(), end.harm.sum(), size)
    return {
        name: Characteristics(
            replications=replications,
            win=win / replications,
            harm=harm / replications,
            size=size / replications,
        )
        for name, (win, harm, size) in sums.items()
    }
