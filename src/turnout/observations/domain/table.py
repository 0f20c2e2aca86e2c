"""Raw predictions as a table that any tool reads."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Final

from turnout.observations.domain.prediction import class_text

ANSWER: Final = "prediction"

Value = int | float | str | bool | None
Row = tuple[Mapping[str, Value], str | None]
"""The features of a prediction, and what was answered."""


def csv_table(rows: Sequence[Row]) -> str:
    """A column for each feature, by name, and the answer last; what is missing is left empty."""
    names = sorted({name for features, _ in rows for name in features})
    answer = ANSWER
    while answer in names:
        answer += "_"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, answer])
    for features, label in rows:
        writer.writerow([*(_cell(features.get(name)) for name in names), label or ""])
    return text.getvalue()


def _cell(value: Value) -> str:
    return "" if value is None else class_text(value)
