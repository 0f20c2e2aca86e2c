from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table: what was measured, what is to be reached, and what came out."""

    what: str
    reach: str
    value: float
    limit: float
    unit: str
    better: Literal["lower", "higher"] = "lower"
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.limit if self.better == "lower" else self.value >= self.limit

    def row(self) -> str:
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        note = f" ({self.note})" if self.note else ""
        mark = "yes" if self.reached else "**no**"
        return f"| {self.what} | {self.reach} | {value} {self.unit}{note} | {mark} |"
