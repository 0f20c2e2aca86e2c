"""Rows of the table, tables of their own, and the notes on the way to them."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

HEAD = "| what | reach | measured | reached |\n|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    what: str
    reach: str
    measured: str
    reached: bool

    def row(self) -> str:
        mark = "yes" if self.reached else "**no**"
        return f"| {self.what} | {self.reach} | {self.measured} | {mark} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def text(self) -> str:
        lines = [self.head, ("---",) * len(self.head), *self.rows]
        return "\n".join([f"\n{self.title}\n", *(f"| {' | '.join(line)} |" for line in lines)])


def note(text: str) -> None:
    """Tell on standard error what is going on; the table alone is on standard output."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)
