"""A baseline made of what a version met and did while it was known to do well."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from turnout.drift.domain.baseline import MOST_FEATURES, Baseline, Distribution
from turnout.drift.domain.columns import Cell, distribution, is_name
from turnout.observations.domain.figures import Figures
from turnout.observations.domain.prediction import LARGEST, class_text

MOST_CELLS: Final = 1_000_000
FEWEST_LABELS: Final = 100
"""An accuracy over fewer than these is held against nothing."""

Value = float | str | bool | None


def observed(
    features: Sequence[Mapping[str, Value]], labels: Sequence[str | None], figures: Figures
) -> Baseline:
    """The features that are seen most often, if there are too many."""
    seen: dict[str, int] = {}
    for row in features:
        for name, value in row.items():
            seen[name] = seen.get(name, 0) + (value is not None)
    names = sorted(filter(is_name, seen), key=lambda name: (-seen[name], name))[:MOST_FEATURES]
    columns = {name: _column([row.get(name) for row in features if row]) for name in sorted(names)}
    return Baseline(
        features={name: found for name, found in columns.items() if found is not None},
        prediction=_column(_scores(labels)),
        accuracy=figures.accuracy if figures.labelled >= FEWEST_LABELS else None,
        error_rate=figures.error_rate,
        latency_p99=figures.latencies.quantile(0.99),
    )


def thinned(features: Mapping[str, Value], place: int, *, predictions: int) -> Mapping[str, Value]:
    """The features of the prediction at this place among so many: of very many features, those of
    every second prediction, or third, or so on, so that all together are no more than a million."""
    every = -(-len(features) * predictions // MOST_CELLS)
    return features if every <= 1 or place % every == 0 else {}


def _column(values: Sequence[Value]) -> Distribution | None:
    """Numbers, if they are numbers without exception; texts otherwise."""
    known = [value for value in values if value is not None and value != ""]
    if not known:
        return None
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    try:
        return distribution([_cell(value, numeric=numeric) for value in values])
    except ValueError:  # texts that are no names, all of them
        return None


def _cell(value: Value, *, numeric: bool) -> Cell:
    if value is None or value == "":
        return None
    return max(-LARGEST, min(LARGEST, float(value))) if numeric else class_text(value)


def _scores(labels: Sequence[str | None]) -> Sequence[Value]:
    """Answers are scores if they are numbers that are not all whole, and classes otherwise."""
    known = [label for label in labels if label is not None]
    try:
        numbers = [float(label) for label in known]
    except ValueError:
        return known
    scores = all(map(isfinite, numbers)) and not all(number.is_integer() for number in numbers)
    return numbers if scores else known
