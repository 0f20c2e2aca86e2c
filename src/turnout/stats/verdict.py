from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INSUFFICIENT_SAMPLE = "insufficient_sample"
    NO_DATA = "no_data"
    ERROR = "error"
    CANCELLED = "cancelled"


#: Harm that was shown outranks a source that failed, which outranks every way of not knowing yet.
_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.NO_DATA,
    Verdict.INSUFFICIENT_SAMPLE,
    Verdict.INCONCLUSIVE,
    Verdict.CANCELLED,
    Verdict.PASS,
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides; PASS when there is none, since nothing then speaks against."""
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.PASS)
