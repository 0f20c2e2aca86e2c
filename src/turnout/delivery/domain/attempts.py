"""What becomes of a delivery after an attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

JITTER: Final = 0.2
"""A delay is drawn from its scheduled length and up to this much more."""

LONGEST_REST: Final = timedelta(hours=1)
"""A receiver may ask for as long with Retry-After."""

GONE: Final = 410
THROTTLED: Final = {429, 503}


class State(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up after the last attempt; it can be sent again by hand."""
    CANCELLED = "cancelled"
    """The webhook was deactivated before it was delivered, or has a format by now that has
    nothing to say of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt: the receiver's answer, or the error that came instead of one."""

    at: datetime
    duration_ms: float
    status: int | None = None
    answer: str | None = None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    state: State
    due_at: datetime
    rest_until: datetime | None = None
    """Until when nothing is sent to this receiver at all."""
    gone: bool = False
    """The receiver said that it will not come back."""


def fate(
    attempt: Attempt,
    number: int,
    *,
    delays: Sequence[timedelta],
    draw: float,
    retry_after: str | None,
) -> Fate:
    """Decide after the `number`th attempt of a series; `draw` is uniform between 0 and 1.

    Anything but 2xx is a failure: a redirect is not followed, and a request that is refused today
    may be accepted when the receiver has been mended.
    """
    now = attempt.at + timedelta(milliseconds=attempt.duration_ms)
    if attempt.delivered:
        return Fate(state=State.DELIVERED, due_at=now)
    if attempt.status == GONE:
        return Fate(state=State.FAILED, due_at=now, gone=True)
    rest = None
    if attempt.status in THROTTLED and retry_after is not None:
        rest = _asked_for(retry_after, now)
    if number > len(delays):
        return Fate(state=State.FAILED, due_at=now, rest_until=rest)
    due_at = now + delays[number - 1] * (1 + JITTER * draw)
    return Fate(state=State.PENDING, due_at=max(due_at, rest) if rest else due_at, rest_until=rest)


def _asked_for(retry_after: str, now: datetime) -> datetime | None:
    """Read seconds or a date; what is neither, or past, asks for nothing."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        wait = timedelta(seconds=min(int(text[:9]), LONGEST_REST.total_seconds()))
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return now + min(wait, LONGEST_REST) if wait > timedelta() else None
