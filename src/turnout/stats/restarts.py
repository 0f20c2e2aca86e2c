"""Has a candidate that was healthy begun to fail? Sequences that start afresh.

A stage that is judged as a whole dilutes a failure with the healthy time before it. So every few
seconds one more anytime-valid test begins, on what was seen since. The test that begins at
restart j has α/(j(j + 1)) of the error rate, which adds up to at most α over all there will ever
be: with no change and no harm the chance that any of them ever fails is at most α, however long
the stage lasts and whichever of them are kept. Only the young ones are: of the restarts whose
number is a multiple of 1, 2, 4 and 8 the latest each. It costs little: after a day of restarts
every five seconds, total failure takes a handful of requests more to show than after the first.

What was seen since a restart is known from sums over units (n, x, n², x²) alone. Σn² has grown
by Σd² + 2Σdm for units with d events since the restart and m before it, which is taken for Σd².
Of a proportion all events of a unit are then taken to go together: with units that come once it
is exact. Of measurements that are never negative Σ(x - Rn)² is taken as Σx² + R²Σn², without the
part in which values resemble each other. Both are at least what the events since vary by, so the
test is slower than it could be, the more so where units come again, and never less sure. The
moments of restarting follow from time and the number of events, never from what they were. Sums
about a pivot say nothing here: values less a pivot are negative, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from turnout.stats.totals import UnitTotals

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Between two restarts lie at least so many seconds and events of each arm.
SECONDS: Final = 5.0
EVENTS: Final = 50

_KEPT: Final = (1, 2, 4, 8)

#: Of an arm: the events, the sum of their values, and the squares of both over units.
Sums = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    number: int
    at: float
    candidate: Sums
    baseline: Sums | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What each arm has shown since a restart, and the error rate of the test on it."""

    since: float
    candidate: UnitTotals
    baseline: UnitTotals | None
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """The restarts that are still looked back to, oldest first; none at the start of a stage."""

    kept: tuple[Restart, ...] = ()

    def after(self, candidate: UnitTotals, baseline: UnitTotals | None, *, at: float) -> Restarts:
        """With one more restart, if it is time for one; `at` is in seconds of the stage."""
        last = self.kept[-1] if self.kept else None
        now = _sums(candidate), None if baseline is None else _sums(baseline)
        before = (last.candidate, last.baseline) if last else ((0.0, 0.0, 0.0, 0.0),) * 2
        fewest = min(
            new[0] - (old[0] if old else 0.0)
            for new, old in zip(now, before, strict=True)
            if new is not None
        )
        passed = at - (last.at if last else 0.0)
        # A clock that was set back must not keep the tests from starting afresh.
        if fewest < EVENTS or 0 <= passed < SECONDS:
            return self
        number = last.number + 1 if last else 1
        newest = Restart(number=number, at=at, candidate=now[0], baseline=now[1])
        wanted = {number - number % multiple for multiple in _KEPT}
        return Restarts(kept=(*(old for old in self.kept if old.number in wanted), newest))

    def windows(
        self,
        candidate: UnitTotals,
        baseline: UnitTotals | None,
        *,
        alpha: float,
        proportion: bool,
    ) -> Iterator[Window]:
        """One for each restart, the latest first, where its sums are those of any events."""
        since = _counted_since if proportion else _measured_since
        for restart in reversed(self.kept):
            recent = since(candidate, restart.candidate)
            beside = None
            if baseline is not None and restart.baseline is not None:
                beside = since(baseline, restart.baseline)
            if recent is not None and (beside is None) == (baseline is None):
                share = alpha / (restart.number * (restart.number + 1))
                yield Window(since=restart.at, candidate=recent, baseline=beside, alpha=share)


def _sums(arm: UnitTotals) -> Sums:
    return arm.n, arm.x, arm.n2, arm.x2


def _counted_since(arm: UnitTotals, then: Sums) -> UnitTotals | None:
    """The totals of units with Σn²/n events each, that all count or all do not."""
    n, x, n2, _ = _grown(arm, then)
    if arm.pivot or n <= 0 or n2 < n or not 0 <= x <= n:
        return None
    each = n2 / n
    return UnitTotals(units=math.ceil(n / each), n=n, n2=n2, x=x, x2=x * each, xn=x * each)


def _measured_since(arm: UnitTotals, then: Sums) -> UnitTotals | None:
    """Totals without Σxn, of the fewest units that such sums can have."""
    n, x, n2, x2 = _grown(arm, then)
    if arm.pivot or n <= 0 or n2 < n or x < 0 or x2 <= 0:
        return None
    return UnitTotals(units=math.ceil(max(n * n / n2, x * x / x2)), n=n, n2=n2, x=x, x2=x2)


def _grown(arm: UnitTotals, then: Sums) -> Iterator[float]:
    return (now - before for now, before in zip(_sums(arm), then, strict=True))
