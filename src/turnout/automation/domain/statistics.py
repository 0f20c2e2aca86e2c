"""How updates went: what dashboards and reviews ask for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Final

from turnout.automation.domain.update import UpdateState, UpdateTrigger

_TRIED: Final = (
    UpdateState.SUCCEEDED,
    UpdateState.ROLLED_BACK,
    UpdateState.REFUSED,
    UpdateState.FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An update that is over; `took` is the time from its turn to its end."""

    trigger: UpdateTrigger
    state: UpdateState
    took: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSummary:
    """`success_rate` is of those that succeeded, were rolled back, were refused or failed: one
    that was cancelled or not needed says nothing. `median_duration` is of those that succeeded."""

    ended: int
    by_state: Mapping[UpdateState, int]
    by_trigger: Mapping[UpdateTrigger, int]
    success_rate: float | None
    median_duration: timedelta | None


def summary(updates: Sequence[Ended]) -> UpdateSummary:
    states = Counter(update.state for update in updates)
    tried = sum(states[state] for state in _TRIED)
    durations = [
        update.took.total_seconds() for update in updates if update.state is UpdateState.SUCCEEDED
    ]
    return UpdateSummary(
        ended=len(updates),
        by_state=dict(states),
        by_trigger=dict(Counter(update.trigger for update in updates)),
        success_rate=states[UpdateState.SUCCEEDED] / tried if tried else None,
        median_duration=timedelta(seconds=median(durations)) if durations else None,
    )
