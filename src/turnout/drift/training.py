"""Training data as CSV, read once from the beginning to the end, whatever its size.

Every cell is checked; of the rows, a sample of a size that does not grow is kept.
"""

import csv
import random
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NoReturn

from turnout.drift.domain.baseline import MOST_FEATURES, Distribution, MalformedData
from turnout.drift.domain.columns import Cell, cell, distribution

MOST_CELLS: Final = 2_000_000
MOST_ROWS: Final = 50_000
MISSING: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None"})


class TrainingData:
    """The columns of a table, of which the first line holds the names."""

    def __init__(self, lines: Iterable[str], *, categories: Collection[str] = ()) -> None:
        reader = csv.reader(lines, strict=True)
        rows = _rows(reader)
        self.names = _names(next(rows, None), categories)
        self.rows = 0
        self._numeric: list[bool | None] = [
            False if name in categories else None for name in self.names
        ]
        kept = min(MOST_ROWS, MOST_CELLS // len(self.names))
        self._sample: list[list[Cell]] = []
        # Of a fixed seed, so that the same file makes the same baseline.
        draw = random.Random(0)  # noqa: S311
        for row in rows:
            cells = self._read(row, reader.line_num)
            self.rows += 1
            if self.rows <= kept:
                self._sample.append(cells)
            elif (place := draw.randrange(self.rows)) < kept:
                self._sample[place] = cells
        if not self._sample:
            raise MalformedData("there are names of columns, and no row below them", row=2)

    def distributions(self) -> dict[str, Distribution]:
        found = {}
        for name, column in zip(self.names, zip(*self._sample, strict=True), strict=True):
            try:
                found[name] = distribution(column)
            except ValueError as error:
                raise MalformedData(f"column {name!r} {error}", column=name) from None
        return found

    def _read(self, row: list[str], line: int) -> list[Cell]:
        if len(row) != len(self.names):
            raise MalformedData(
                f"row {line} has {len(row)} fields, where the first line names {len(self.names)}"
                f" columns",
                row=line,
            )
        return [self._cell(place, text, line) for place, text in enumerate(row)]

    def _cell(self, place: int, text: str, line: int) -> Cell:
        if text in MISSING:
            return None
        value = _value(text)
        if self._numeric[place] is None:
            self._numeric[place] = isinstance(value, float)
        numeric = self._numeric[place]
        try:
            return cell(value if numeric else text, numeric=numeric)
        except ValueError as error:
            name = self.names[place]
            raise MalformedData(
                f"row {line}, column {name!r}: {error}. Leave it empty where it is missing, or name"
                f" the column in `categories` if its numbers are names",
                row=line,
                column=name,
            ) from None


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _broken(reader, str(error))
        except UnicodeDecodeError as error:
            _broken(reader, f"it is not UTF-8 ({error.reason})")
        if row:
            yield row


def _broken(reader: Iterator[list[str]], why: str) -> NoReturn:
    line = getattr(reader, "line_num", 0) + 1
    raise MalformedData(f"row {line} cannot be read: {why}", row=line) from None


def _names(row: list[str] | None, categories: Collection[str]) -> list[str]:
    if row is None:
        raise MalformedData("the file is empty: its first line names the columns", row=1)
    names = [name.strip() for name in row]
    if len(names) > MOST_FEATURES:
        raise MalformedData(f"{len(names)} columns, where {MOST_FEATURES} are allowed", row=1)
    for place, name in enumerate(names, start=1):
        if not name or not name.isprintable() or len(name) > 200:
            raise MalformedData(
                f"column {place} has no name of 1 to 200 printable characters", row=1, column=name
            )
        if names.count(name) > 1:
            raise MalformedData(f"two columns are named {name!r}", row=1, column=name)
    for name in categories:
        if name not in names:
            raise MalformedData(
                f"there is no column {name!r} to take as categories: there are {', '.join(names)}",
                column=name,
            )
    return names
