"""The values of many predictions, kept so that any grid can count them."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite

from turnout.observations.domain.grid import PREDICTION, Cut
from turnout.observations.domain.prediction import class_text

Value = float | str | bool | None


@dataclass(slots=True)
class Tally:
    """Of features that anything is cut by: their numbers, and how often each text came.

    `rows` came with features, and `answers` with a class or a score.
    """

    rows: int = 0
    answers: int = 0
    numbers: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def bins(self, cut: Cut) -> list[int]:
        """What `Cut.bin_of` would count, for every bin; a sorted column is cut at its edges."""
        if cut.edges is not None:
            values = self.numbers[cut.feature]
            ends = [0, *(bisect_left(values, edge) for edge in cut.edges), len(values)]
            counts = [last - first for first, last in pairwise(ends)]
        else:
            texts = self.texts[cut.feature]
            named = [texts[name] for name in cut.categories or ()]
            counts = [*named, texts.total() - sum(named)]
        came = self.answers if cut.feature == PREDICTION else self.rows
        return [*counts, came - sum(counts)]


def tally(
    rows: Iterable[tuple[Mapping[str, Value] | None, str | None]], cuts: Collection[Cut]
) -> Tally:
    """Of each prediction its features, and its class if it had one."""
    by_edges = {cut.feature for cut in cuts if cut.edges is not None} - {PREDICTION}
    by_name = {cut.feature for cut in cuts if cut.edges is None} - {PREDICTION}
    found = Tally()
    for features, label in rows:
        _answered(found, label if label is not None else (features or {}).get(PREDICTION))
        if features is None:
            continue
        found.rows += 1
        for name in by_edges & features.keys():
            value = features[name]
            if type(value) is float or type(value) is int:
                found.numbers[name].append(float(value))
        for name in by_name & features.keys():
            if (value := features[name]) is not None and value != "":
                found.texts[name][class_text(value)] += 1
    for values in found.numbers.values():
        values.sort()
    return found


def _answered(found: Tally, answer: Value) -> None:
    """A score may come as the text of a number, as classes do."""
    if answer is None or answer == "":
        return
    found.answers += 1
    found.texts[PREDICTION][class_text(answer)] += 1
    try:
        score = float(answer)
    except ValueError:
        return
    if isfinite(score):
        found.numbers[PREDICTION].append(score)
