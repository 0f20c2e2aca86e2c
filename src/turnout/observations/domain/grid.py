"""How the values of features are counted: into the bins that a version's baseline has."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

PREDICTION: Final = ""
"""Stands for the predicted class or score among the features, whose names are not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The bins of one feature: numbers by the edges between them, or texts by name.

    Numbers have a bin below the first edge and one from each edge on; texts have one for each that
    is known and one for all others. The last bin of either counts what is missing, among it a text
    where a number belongs.
    """

    feature: str
    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if (self.edges is None) == (self.categories is None):
            raise ValueError("a feature is cut by edges or by categories")

    @property
    def bins(self) -> int:
        return 2 + len(self.edges if self.edges is not None else self.categories or ())

    @property
    def missing(self) -> int:
        return self.bins - 1

    def bin_of(self, value: float | str | None) -> int:
        """As the fold does it in the database."""
        if self.edges is not None:
            return bisect_right(self.edges, value) if isinstance(value, float) else self.missing
        assert self.categories is not None
        if not isinstance(value, str) or value == "":
            return self.missing
        return self.categories.index(value) if value in self.categories else self.bins - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The cuts of one version, and the number that its counts are kept under."""

    id: int
    model_id: int
    version_id: int
    size: int
