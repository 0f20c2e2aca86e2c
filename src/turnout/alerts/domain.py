"""Alerts: what somebody should look at, one per cause, until it is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

from annotated_types import MaxLen, MinLen

from turnout.errors import Conflict
from turnout.quantities import STRICT, Duration, Line, Text

SYSTEM: Final = "worker"
"""Who fired or resolved it, in history and audit log, when no person did."""


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class Kind(StrEnum):
    """What kind of cause an alert has, so that one kind can be silenced or sent elsewhere."""

    THRESHOLD = "threshold"
    DRIFT = "drift"
    NO_DATA = "no_data"
    ACTION_FAILED = "action_failed"
    SAMPLE_RATIO = "sample_ratio"
    BASELINE = "baseline"
    UNWATCHED = "unwatched"
    ROLLBACK = "rollback"
    BACKUP = "backup"


class State(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertOver(Conflict):
    def __init__(self, alert_id: int, resolved_at: datetime) -> None:
        super().__init__(
            f"alert {alert_id} was resolved on {resolved_at:%Y-%m-%d %H:%M} UTC: there is nothing"
            f" left to do about it",
            alert=alert_id,
            state=State.RESOLVED,
        )


class AcknowledgedAlready(Conflict):
    def __init__(self, alert_id: int, by: str, at: datetime) -> None:
        super().__init__(
            f"{by} acknowledged alert {alert_id} on {at:%Y-%m-%d %H:%M} UTC: somebody is on it",
            alert=alert_id,
            state=State.ACKNOWLEDGED,
            acknowledged_by=by,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a person says when acknowledging an alert, or resolving it by hand."""

    __pydantic_config__ = STRICT

    reason: Annotated[Text, MaxLen(2000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A wish that nobody be told of an alert for so long."""

    __pydantic_config__ = STRICT

    duration: Duration
    reason: Annotated[Text, MinLen(1), MaxLen(2000)]

    def __post_init__(self) -> None:
        if self.duration <= timedelta():
            raise ValueError("duration is how long to be silent, such as '1h': above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hush(Quiet):
    """A wish that nobody be told of any alert of a model, of a kind, or of one kind of a model."""

    __pydantic_config__ = STRICT

    model: Annotated[Line, MinLen(1), MaxLen(200)] | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        Quiet.__post_init__(self)
        if self.model is None and self.kind is None:
            raise ValueError("say which alerts to silence: a model, a kind, or both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Until `until`, nobody is told of the alerts that it covers; they are listed all the same."""

    id: int
    alert: int | None
    model: str | None
    kind: Kind | None
    until: datetime
    reason: str
    created_by: str
    created_at: datetime

    def covers(self, alert_id: int, model: str | None, kind: Kind) -> bool:
        return (
            self.alert in {None, alert_id}
            and self.model in {None, model}
            and self.kind in {None, kind}
        )
