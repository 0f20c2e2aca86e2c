"""What may be wrong with a batch, and the report on what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from turnout.errors import TooLarge, Unprocessable

MAX_ROWS: Final = 50_000
"""Rows in one batch."""


@dataclass(frozen=True, slots=True)
class Flaw:
    field: str
    reason: str


class RowList(StrEnum):
    """Which list of a batch an index refers to."""

    PREDICTIONS = "predictions"
    OUTCOMES = "outcomes"
    LINES = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """`index` counts from 0; `list` is `lines` where the batch came as NDJSON."""

    list: RowList
    index: int
    field: str
    reason: str


class BadRow(Exception):
    """One row of a batch cannot be recorded; the others can."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw

    def at(self, within: RowList, index: int) -> RejectedRow:
        return RejectedRow(list=within, index=index, field=self.flaw.field, reason=self.flaw.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What became of a batch: every row is in exactly one of the four counts.

    `unknown` outcomes speak of a prediction that is not known yet; they are kept and join it when
    it arrives within a day.
    """

    accepted: int = 0
    duplicate: int = 0
    unknown: int = 0
    rejected: tuple[RejectedRow, ...] = ()


class BatchRefused(Unprocessable):
    """Sent with `atomic=true`, and not all rows are good."""

    def __init__(self, rejected: Sequence[RejectedRow], rows: int) -> None:
        first = rejected[0]
        super().__init__(
            f"{len(rejected)} of {rows} rows are bad, so none was recorded; the first is"
            f" {first.list}[{first.index}], {first.field}: {first.reason}",
            rejected=[
                {"list": row.list, "index": row.index, "field": row.field, "reason": row.reason}
                for row in rejected
            ],
        )


class MalformedBatch(Unprocessable):
    pass


class OutcomeRefused(Unprocessable):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(f"{flaw.field}: {flaw.reason}", field=flaw.field)


class TooManyRows(TooLarge):
    def __init__(self, rows: int) -> None:
        super().__init__(
            f"a batch holds at most {MAX_ROWS} rows, not {rows}: send it in parts, each with a"
            f" batch_id of its own",
            rows=rows,
            limit=MAX_ROWS,
        )
