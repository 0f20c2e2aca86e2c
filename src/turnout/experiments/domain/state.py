"""How far an experiment has come, and what it remembers from one look to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from turnout.stats.goal import GoalState


class Status(StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CONCLUDED = "concluded"
    STOPPED = "stopped"

    @property
    def live(self) -> bool:
        """It owns the model's traffic, and its guardrails are judged at every tick."""
        return self in {Status.RUNNING, Status.PAUSED}

    @property
    def terminal(self) -> bool:
        return self in {Status.CONCLUDED, Status.STOPPED}


class Conclusion(StrEnum):
    SHIP = "ship"
    KEEP_CONTROL = "keep_control"
    FUTILE = "futile"
    KEEP_RUNNING = "keep_running"
    INVALID = "invalid"


class PausedBy(StrEnum):
    PERSON = "person"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    by: PausedBy
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where an experiment stands.

    `ran` is the time served before `running_since`, so that a pause takes none of it. Evidence is
    read from `split_id` alone; it is kept while paused, so that the same units go on being counted
    once. None means that the split is yet to be set, which the command that stores this progress
    does in the same transaction. `target_sample_size` is settled at the start.
    """

    status: Status = Status.DRAFT
    started_at: datetime | None = None
    ran: timedelta = timedelta()
    running_since: datetime | None = None
    split_id: int | None = None
    target_sample_size: int | None = None
    pause: Pause | None = None

    def elapsed(self, now: datetime) -> timedelta:
        """Time served, pauses left out; a clock that steps back takes none away."""
        if self.running_since is None:
            return self.ran
        return self.ran + max(timedelta(), now - self.running_since)

    def ends(self, duration: timedelta) -> datetime | None:
        """When it will have run so long; None while its clock stands still."""
        return None if self.running_since is None else self.running_since + duration - self.ran

    def stopped(self, status: Status, now: datetime, *, pause: Pause | None = None) -> Self:
        return replace(self, status=status, ran=self.elapsed(now), running_since=None, pause=pause)

    def continued(self, now: datetime) -> Self:
        return replace(self, status=Status.RUNNING, running_since=now, pause=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """The memory of the looks; it starts empty, and each analysis hands it to the next one.

    `goal` by treatment; `secondary_p`, by treatment and metric, and `sample_ratio_p` are the
    least p-values so far of tests that hold at every look.
    """

    goal: Mapping[str, GoalState] = field(default_factory=dict)
    secondary_p: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sample_ratio_p: float | None = None
