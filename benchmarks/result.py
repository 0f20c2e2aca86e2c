"""One row of the table, and the notes on the way to it."""

import sys
import time
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


def note(text: str) -> None:
    """Tell on standard error what is going on; the table alone is on standard output."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)
