"""How old a prediction must be before what came of it counts.

Labels come late, and from one version sooner than from another: whoever answers "fine" hears of a
mistake weeks later. Where only predictions of some age count, in every arm, each had the same
time to be found right or wrong.
"""

from dataclasses import dataclass
from datetime import timedelta

from turnout.observations.domain.outcome import MATURITY_MARK, RESERVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Maturing:
    """An outcome metric, of predictions that are at least of this age."""

    metric: str
    age: timedelta

    @property
    def series(self) -> str:
        """What its totals are recorded as, apart from those of all predictions."""
        return f"{self.metric}{MATURITY_MARK}{self.age}"


def maturing(metric: str, maturity: timedelta | None) -> Maturing | None:
    return None if maturity is None else Maturing(metric=metric, age=maturity)


def check_maturity(metric: str, maturity: timedelta | None) -> None:
    """Refuse to wait for what is known at once."""
    if maturity is None:
        return
    if metric in RESERVED or metric.startswith("latency"):
        raise ValueError(
            f"{metric} is known as soon as a prediction is made: maturity is for metrics that"
            f" labels and outcomes tell, such as accuracy"
        )
    if not maturity:
        raise ValueError("maturity is longer than nothing, such as '1d': leave it out otherwise")
