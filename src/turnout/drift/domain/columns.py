"""Columns of raw values, and the distributions that they have."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Final

from turnout.drift.domain.baseline import MOST_BINS, Distribution, Frequencies, Histogram
from turnout.observations.domain.prediction import LARGEST, LONGEST_LABEL, class_text
from turnout.quantities import check_line

BINS: Final = 10
FEW_VALUES: Final = 20
"""Numbers that take no more values than these have a bin for each."""

Cell = float | str | None
"""What a row holds of a column: a number, a text, or nothing."""


def cell(value: float | str | bool | None, *, numeric: bool | None) -> Cell:
    """Read a value of a column that is `numeric`, is not, or has had no value so far.

    Raises ValueError where it is not what the column held before.
    """
    if value is None or value == "":
        return None
    if numeric is False or isinstance(value, bool):
        text = class_text(value)
        if numeric:
            raise ValueError(f"{text} is no number, as those before it are")
        return text
    if isinstance(value, str):
        if numeric:
            raise ValueError(f"{value[:50]!r} is no number, as those before it are")
        return value
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{value} is not a number between -{LARGEST:g} and {LARGEST:g}")
    return float(value)


def is_name(text: str) -> bool:
    """Whether it may name a feature or a category; what may not is among the others."""
    try:
        return 0 < len(check_line(text)) <= LONGEST_LABEL
    except ValueError:
        return False


def distribution(values: Sequence[Cell]) -> Distribution:
    """Of numbers, by edges with about as many values between each two; of texts, by name.

    Raises ValueError where there is nothing to count.
    """
    numbers = [value for value in values if isinstance(value, float)]
    texts = [value for value in values if isinstance(value, str)]
    missing = len(values) - len(numbers) - len(texts)
    if texts:
        return _frequencies(texts, missing + len(numbers))
    if numbers:
        return _histogram(sorted(numbers), missing)
    raise ValueError("holds no value")


def _frequencies(values: Sequence[str], missing: int) -> Frequencies:
    """The most frequent by name; all of them would make a bin of each."""
    seen = Counter(values)
    ranked = sorted(
        (pair for pair in seen.items() if is_name(pair[0])), key=lambda pair: (-pair[1], pair[0])
    )
    if not ranked:
        raise ValueError(f"holds no value of 1 to {LONGEST_LABEL} printable characters")
    named = dict(ranked[:MOST_BINS])
    return Frequencies(categories=named, other=seen.total() - sum(named.values()), missing=missing)


def _histogram(values: Sequence[float], missing: int) -> Histogram:
    edges = sorted(set(values))
    if len(edges) > FEW_VALUES:
        edges = sorted({values[len(values) * k // BINS] for k in range(1, BINS)})
    counts = Counter(bisect_right(edges, value) for value in values)
    return Histogram(
        edges=tuple(edges),
        counts=tuple(counts[place] for place in range(len(edges) + 1)),
        missing=missing,
    )
