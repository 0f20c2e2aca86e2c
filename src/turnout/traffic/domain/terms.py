"""Which split was in force when: a split that was put in force again has more than one term."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from turnout.traffic.domain.split import Split

MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Term:
    since: datetime
    again: bool
    split: Split


def terms(splits: Iterable[Split]) -> list[Term]:
    """In order. Of two that began in one moment, the later split comes last, and one that came
    back after it."""
    found = [
        Term(since, again, split)
        for split in splits
        for again, times in ((False, (split.created_at,)), (True, split.reinstated_at))
        for since in times
    ]
    return sorted(found, key=lambda term: (term.since, term.again, term.split.id))


def longest_in_force(
    splits: Iterable[Split], *, since: datetime, until: datetime
) -> tuple[Split, timedelta] | None:
    """The split that was in force for most of a stretch of time, and for how much of it."""
    in_order = terms(splits)
    if not in_order:
        return None
    ends = [*(term.since for term in in_order[1:]), until]
    lasted: Counter[int] = Counter()
    for term, end in zip(in_order, ends, strict=True):
        within = min(end, until) - max(term.since, since)
        lasted[term.split.id] += max(within, timedelta()) // MICROSECOND
    [(longest, microseconds)] = lasted.most_common(1)
    split = next(term.split for term in in_order if term.split.id == longest)
    return split, microseconds * MICROSECOND
