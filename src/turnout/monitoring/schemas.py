from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from turnout.alerts.domain import Severity
from turnout.monitoring.domain.looks import Look
from turnout.monitoring.domain.thresholds import Action, Judge, Rule
from turnout.monitoring.tables import ThresholdSet
from turnout.stats.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchView:
    """One rule and one version that serves, as it is now.

    `value` is the figure over `predictions`; `failures` counts the looks in a row that found the
    rule broken. `done_at` is when its action was carried out, `refused_at` when that was last
    tried in vain.
    """

    version: str
    rule: str
    severity: Severity
    action: Action
    judged_by: Judge
    verdict: Verdict
    value: float | None
    predictions: int
    reason: str
    failures: int
    firing: bool
    broken_since: datetime | None
    done_at: datetime | None
    refused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdsView:
    """`rules` are all that are watched, those of `standard` and `drift` among them; none until
    some are set.
    `watches` has each of them with each version that serves."""

    model: str
    rules: Sequence[Rule]
    set_at: datetime | None
    set_by: str | None
    watches: Sequence[WatchView]


def thresholds_view(
    model: str, found: ThresholdSet | None, looks: Sequence[Look]
) -> ThresholdsView:
    if found is None:
        return ThresholdsView(model=model, rules=(), set_at=None, set_by=None, watches=())
    return ThresholdsView(
        model=model,
        rules=found.thresholds.watched,
        set_at=found.set_at,
        set_by=found.set_by,
        watches=[_watch_view(look) for look in looks],
    )


def _watch_view(look: Look) -> WatchView:
    return WatchView(
        version=look.version,
        rule=str(look.rule),
        severity=look.rule.severity,
        action=look.rule.action,
        judged_by=look.rule.judged_by,
        verdict=look.judgement.verdict,
        value=look.judgement.value,
        predictions=look.judgement.n,
        reason=look.judgement.reason,
        failures=look.watch.failures,
        firing=look.watch.firing,
        broken_since=look.watch.broken_since,
        done_at=look.watch.done_at,
        refused_at=look.watch.refused_at,
    )
