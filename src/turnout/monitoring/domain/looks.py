"""All rules of a model at one moment, over all versions that serve it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from turnout.drift.domain.shifts import Whose
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.thresholds import Action, Rule, Thresholds
from turnout.monitoring.domain.watch import Change, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found by one rule about one version, and what follows from it.

    `refused` says why its action could not be carried out, where it was tried just now.
    """

    rule: Rule
    version: str
    judgement: Judgement
    watch: Watch
    change: Change | None
    refused: str | None = None

    def acts(self, now: datetime) -> bool:
        """Nothing is taken off the road for what the others show as well: they would not help."""
        if self.rule.action is Action.ROLLBACK and self.judgement.whose is Whose.WORLD:
            return False
        return self.rule.action is not Action.ALERT and self.watch.acts(now)


def watched(
    thresholds: Thresholds,
    watches: Sequence[Watch],
    serving: Mapping[int, str],
    *,
    since: datetime | None,
) -> list[tuple[Rule, Watch]]:
    """Every rule with every version that serves; those that are new are watched from `since`."""
    known = {(watch.rule, watch.version_id): watch for watch in watches}
    return [
        (
            rule,
            known.get((rule.key, version_id))
            or Watch(version_id=version_id, rule=rule.key, since=since),
        )
        for version_id in sorted(serving)
        for rule in thresholds.watched
    ]


def gone(
    thresholds: Thresholds, watches: Sequence[Watch], serving: Mapping[int, str]
) -> list[Watch]:
    """Those whose version serves no more, or whose rule was taken back."""
    rules = {rule.key for rule in thresholds.watched}
    return [
        watch for watch in watches if watch.version_id not in serving or watch.rule not in rules
    ]
