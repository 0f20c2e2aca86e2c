"""How it goes with a model, in one word."""

from collections.abc import Mapping
from enum import StrEnum

from turnout.alerts.domain import Severity


class Health(StrEnum):
    OK = "ok"
    ATTENTION = "attention"
    CRITICAL = "critical"
    IDLE = "idle"
    """Nothing answers for it, and nothing is wrong."""


def health(alerts: Mapping[Severity, int], *, serves: bool, waits: bool) -> Health:
    """`waits` is whether a rollout or an experiment of it waits for a person."""
    if alerts.get(Severity.CRITICAL):
        return Health.CRITICAL
    if alerts.get(Severity.WARNING) or waits:
        return Health.ATTENTION
    return Health.OK if serves else Health.IDLE
