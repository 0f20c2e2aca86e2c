"""How far a rule has come with a version: what one look changes, and what it asks for."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from turnout.drift.domain.shifts import Whose
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.thresholds import Rule, counted_by
from turnout.quantities import STRICT
from turnout.stats.verdict import Verdict

CALM: Final = timedelta(minutes=1)
"""Who fires is over once every look for so long, or for its `duration`, has passed."""

RETRY: Final = timedelta(minutes=1)
"""What could not be done about it is tried again after so long."""


UNSEEN: Final = timedelta(seconds=5)
"""What was not known over the whole look-back is looked for again after so long, or up to twice
as long: to find that nothing is known takes the longest."""


class Change(StrEnum):
    FIRES = "fires"
    STILL_FIRES = "still_fires"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the looks at one rule and version so far leave to the next one.

    Only what was seen from `since` on counts: an earlier time on the road says nothing about now.
    `failures` counts the looks in a row that found it broken, the first of them at `broken_since`;
    looks that could not tell are passed over. While it fires, `calm_since` is since when every
    look has passed. `done_at` is when its action was carried out, `refused_at` when that was last
    tried in vain.
    """

    __pydantic_config__ = STRICT

    version_id: int
    rule: str
    since: datetime | None = None
    failures: int = 0
    broken_since: datetime | None = None
    fires_since: datetime | None = None
    calm_since: datetime | None = None
    done_at: datetime | None = None
    refused_at: datetime | None = None
    unseen_until: datetime | None = None
    """Until then it is taken for granted that nothing is known."""
    shared: bool = False
    """It fires, or fired last, for what every version shows: all of them have one alert."""

    def unseen(self, now: datetime) -> bool:
        until = self.unseen_until
        return until is not None and timedelta() < until - now <= 2 * UNSEEN

    @property
    def firing(self) -> bool:
        return self.fires_since is not None

    def acts(self, now: datetime) -> bool:
        """Whether what is to be done about it is still to be done, or to be tried again."""
        if not self.firing or self.done_at is not None:
            return False
        return self.refused_at is None or not timedelta() <= now - self.refused_at < RETRY


def look(
    watch: Watch, rule: Rule, judgement: Judgement, now: datetime
) -> tuple[Watch, Change | None]:
    if watch.unseen(now):
        return watch, None
    watch = replace(watch, unseen_until=_unseen_until(watch, rule, judgement, now))
    match judgement.verdict:
        case Verdict.FAIL:
            return _broken(watch, rule, judgement, now)
        case Verdict.PASS:
            return _kept(watch, rule, now)
        case Verdict.INCONCLUSIVE if not watch.firing:
            return replace(watch, failures=0, broken_since=None), None
    # No data is no good data: it neither goes on with a failure nor ends it.
    return replace(watch, calm_since=None), None


def _unseen_until(watch: Watch, rule: Rule, judgement: Judgement, now: datetime) -> datetime | None:
    """Not all at the same time. A version without any prediction is found out at once."""
    if judgement.verdict is not Verdict.NO_DATA or counted_by(rule) == "n":
        return None
    return now + UNSEEN * (1 + watch.version_id % 5 / 5)


def _broken(
    watch: Watch, rule: Rule, judgement: Judgement, now: datetime
) -> tuple[Watch, Change | None]:
    # A clock that was set back must not put it off.
    since = min(watch.broken_since or now, now)
    failures = min(watch.failures + 1, rule.consecutive)
    broken = replace(watch, failures=failures, broken_since=since, calm_since=None)
    if watch.firing:
        return broken, Change.STILL_FIRES
    if failures < rule.consecutive or now - since < rule.duration:
        return broken, None
    shared = judgement.whose is Whose.WORLD
    return replace(broken, fires_since=now, shared=shared), Change.FIRES


def _kept(watch: Watch, rule: Rule, now: datetime) -> tuple[Watch, Change | None]:
    afresh = Watch(
        version_id=watch.version_id, rule=watch.rule, since=watch.since, shared=watch.shared
    )
    if not watch.firing:
        return afresh, None
    since = min(watch.calm_since or now, now)
    if now - since >= max(CALM, rule.duration):
        return afresh, Change.RESOLVED
    return replace(watch, calm_since=since), None
