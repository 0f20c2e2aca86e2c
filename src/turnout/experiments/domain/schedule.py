"""When the goal is looked at."""

from datetime import datetime, timedelta
from typing import Final

from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Progress, Status

LOOKS: Final = 200
"""Over the longest that the experiment may run: more of them find nothing sooner."""

LONGEST_WAIT: Final = timedelta(hours=1)
EARLY: Final = 0.9
"""Of an interval: a beat that comes a little early still finds what is due."""


def look_interval(plan: Plan, tick: timedelta) -> timedelta:
    return max(tick, min(plan.max_duration / LOOKS, LONGEST_WAIT))


def look_is_due(
    plan: Plan, progress: Progress, looked_at: datetime | None, *, now: datetime, tick: timedelta
) -> bool:
    """One look per interval, and one when the time is up; after that no more.

    A last look that lies ahead of now was made before the clock was set back.
    """
    if progress.status is not Status.RUNNING:
        return False
    last = looked_at or progress.started_at or now
    if last > now:
        return True
    ended = progress.elapsed(now) >= plan.max_duration
    if ended:
        return looked_at is None or progress.elapsed(last) < plan.max_duration
    return now - last >= EARLY * look_interval(plan, tick)
