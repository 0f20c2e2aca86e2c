"""What was predicted and what came of it, on its way to the service. No I/O and no clock.

Rows wait in one lane per model, so that trouble with one model never holds up another. A lane has
at most one batch under way, and sends it until the service has taken it or refused it for good: by
its id a batch counts once, however often it is sent.
"""

import os
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Condition
from typing import Any, Final, Literal, TypedDict, cast

from turnout.client.errors import Refused
from turnout.client.exchange import Reply, Request, content, encoded, path, refused
from turnout.client.routing import Choice

BATCH_ROWS: Final = 2_000
FIRST_RETRY: Final = 0.2
LAST_RETRY: Final = 5.0
TOO_LARGE: Final = 413
FINAL: Final = {400, 404, 409, TOO_LARGE, 422}
"""What the service will never take, however often it is sent. Anything else may pass: a key may be
given its role or its model while recordings wait, and a proxy may be mended."""

LONGEST_ERROR: Final = 200

Label = str | int | float | bool
Row = dict[str, Any]


def uuid7(milliseconds: int) -> str:
    """Make a time-ordered id (RFC 9562, section 5.7). Forked processes never make the same."""
    bits = int.from_bytes(os.urandom(10))
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 68) << 64 | 0x2 << 62 | bits & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def time_text(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("at: a time has a zone, such as datetime.now(UTC)")
    return at.astimezone(UTC).isoformat()


def plain(value: Any, what: str) -> Label:
    """Take a number as JSON knows it also from a numpy scalar."""
    found = value.item() if hasattr(value, "item") else value
    if not isinstance(found, str | int | float):
        raise TypeError(f"{what} is text, a number, true or false, not {type(value).__name__}")
    return found


def shown(error: str) -> str:
    """The beginning of an error's text, on one line, as the service takes it."""
    return "".join(char if char.isprintable() else " " for char in error[:LONGEST_ERROR])


class RejectedRow(TypedDict):
    list: Literal["predictions", "outcomes", "lines"]
    index: int
    field: str
    reason: str


class Report(TypedDict):
    """What the service says became of a batch."""

    accepted: int
    duplicate: int
    unknown: int
    rejected: list[RejectedRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a version made of one input, or that it failed."""

    choice: Choice
    prediction_id: str
    at: datetime
    latency_ms: float | None = None
    confidence: float | None = None
    label: Label | None = None
    error: bool | str | None = None
    cost: float | None = None

    def row(self) -> Row:
        choice = self.choice
        row: Row = {
            "prediction_id": self.prediction_id,
            "version": choice.version,
            "split_id": choice.split_id,
            "at": time_text(self.at),
        }
        if choice.unit is not None:
            row["unit"] = choice.unit
        if choice.attributes:
            row["features"] = {
                name: plain(value, name) for name, value in choice.attributes.items()
            }
        if self.label is not None:
            row["class"] = plain(self.label, "label")
        if self.error:
            row["error"] = self.error if self.error is True else shown(self.error)
        for name, number in (
            ("latency_ms", self.latency_ms),
            ("confidence", self.confidence),
            ("cost", self.cost),
        ):
            if number is not None:
                row[name] = float(number)
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What came of a prediction, or of a unit: one of `correct`, `label` and `value`."""

    at: datetime
    prediction_id: str | None = None
    unit: str | None = None
    metric: str | None = None
    value: float | None = None
    correct: bool | None = None
    label: Label | None = None

    def row(self) -> Row:
        if (self.prediction_id is None) == (self.unit is None):
            raise ValueError("feedback names either its prediction_id or its unit")
        if (self.value is None) + (self.correct is None) + (self.label is None) != 2:
            raise ValueError("feedback says exactly one of correct, label and value")
        if self.value is not None and self.metric is None:
            raise ValueError("a value belongs to a metric: name it, such as 'revenue'")
        said = {
            "prediction_id": self.prediction_id,
            "unit": self.unit,
            "metric": self.metric,
            "value": None if self.value is None else float(self.value),
            "correct": None if self.correct is None else bool(self.correct),
            "label": None if self.label is None else plain(self.label, "label"),
            "at": time_text(self.at),
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Batch:
    model: str
    rows: list[Row]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def request(self) -> Request:
        body = {
            "batch_id": self.id,
            "predictions": [row for row in self.rows if "version" in row],
            "outcomes": [row for row in self.rows if "version" not in row],
        }
        return Request(
            method="POST",
            path=path("models", self.model, "observations"),
            headers={"Content-Type": "application/json"},
            body=encoded(body),
        )

    def halves(self) -> list["Batch"]:
        """For a batch that was refused as a whole, so that new ids count nothing twice."""
        middle = len(self.rows) // 2
        return [Batch(self.model, self.rows[:middle]), Batch(self.model, self.rows[middle:])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """How recording goes: `taken` by the service, `refused` by it (and named in the log), `shed`
    because too many waited, and `waiting` still."""

    taken: int
    refused: int
    shed: int
    waiting: int


class _Lane:
    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.under_way: deque[Batch] = deque()
        self.retry_at = 0.0
        self.delay = FIRST_RETRY
        self.offered = 0
        self.settled = 0

    def next(self) -> Batch | None:
        return self.under_way[0] if self.under_way else None


class Buffer:
    """At most `bound` rows wait. Beyond that the newest are shed and counted: what waits already
    may have reached the service, and a gap at the end of an outage is no worse than at its
    beginning."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lanes: dict[str, _Lane] = {}
        self._taken = self._refused = self._shed = self._waiting = 0
        self._changed = Condition()
        self.trouble: str | None = None
        """Why nothing is taken now, in a sentence."""

    def offer(self, model: str, row: Row) -> bool:
        """Keep a row, and say whether that makes a full batch. Never waits."""
        with self._changed:
            if self._waiting >= self._bound:
                self._shed += 1
                return False
            lane = self._lanes.get(model) or self._lanes.setdefault(model, _Lane())
            lane.rows.append(row)
            lane.offered += 1
            self._waiting += 1
            return len(lane.rows) == BATCH_ROWS

    def shut(self) -> None:
        """Shed whatever is still offered."""
        self._bound = 0

    def due(self, now: float, *, every: bool = False) -> list[Batch]:
        """The batches to send now, one for each model; with `every`, also those whose time to be
        tried again has not come."""
        with self._changed:
            for model, lane in self._lanes.items():
                if lane.rows and not lane.under_way:
                    count = min(len(lane.rows), BATCH_ROWS)
                    rows = [lane.rows.popleft() for _ in range(count)]
                    lane.under_way.append(Batch(model, rows))
            lanes = [lane for lane in self._lanes.values() if every or lane.retry_at <= now]
            return [batch for lane in lanes if (batch := lane.next())]

    def settle(self, batch: Batch, reply: Reply | None, now: float) -> str | None:
        """Note what became of a batch; None stands for no reply. Returns what there is to log."""
        with self._changed:
            lane = self._lanes.get(batch.model)
            if lane is None or lane.next() is not batch:
                return None
            said = self._settle(lane, batch, reply, now)
            self._changed.notify_all()
            return said

    def _settle(self, lane: _Lane, batch: Batch, reply: Reply | None, now: float) -> str | None:
        report = _report(reply) if reply else None
        if reply is None or not (report or _final(reply)):
            wait = _asked_to_wait(reply) if reply else None
            lane.retry_at = now + (lane.delay if wait is None else min(wait, LAST_RETRY))
            lane.delay = min(lane.delay * 2, LAST_RETRY)
            self.trouble = str(refused(reply)) if reply else "no answer"
            return None
        lane.retry_at, lane.delay, self.trouble = 0.0, FIRST_RETRY, None
        lane.under_way.popleft()
        if reply.status == TOO_LARGE and len(batch.rows) > 1:
            lane.under_way.extendleft(reversed(batch.halves()))
            return None
        lane.settled += len(batch.rows)
        self._waiting -= len(batch.rows)
        if report is None:
            self._refused += len(batch.rows)
            return f"{len(batch.rows)} recordings of {batch.model} refused: {refused(reply)}"
        return self._note(batch, report)

    def _note(self, batch: Batch, report: Report) -> str | None:
        bad = report["rejected"]
        self._refused += len(bad)
        self._taken += len(batch.rows) - len(bad)
        if not bad:
            return None
        first = bad[0]
        return (
            f"{len(bad)} of {len(batch.rows)} recordings of {batch.model} refused; the first:"
            f" {first['field']}: {first['reason']}"
        )

    def wait(self, seconds: float) -> bool:
        """Wait until every row that is offered by now is settled; whether that came about."""
        with self._changed:
            marks = {lane: lane.offered for lane in self._lanes.values()}
            return self._changed.wait_for(
                lambda: all(lane.settled >= mark for lane, mark in marks.items()), seconds
            )

    def recordings(self) -> Recordings:
        with self._changed:
            return Recordings(
                taken=self._taken, refused=self._refused, shed=self._shed, waiting=self._waiting
            )


def _report(reply: Reply) -> Report | None:
    """What the service says became of a batch, if it was the service that answered."""
    with suppress(Refused):
        found = content(reply)
        if isinstance(found, dict) and "rejected" in found:
            return cast("Report", found)
    return None


def _final(reply: Reply) -> bool:
    return reply.status == TOO_LARGE or (reply.document is not None and reply.status in FINAL)


def _asked_to_wait(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None
