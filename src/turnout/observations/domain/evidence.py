"""What an arm of a split has shown, for those who judge it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEvidence:
    """All that one version of one split has shown, whatever the number of its predictions."""

    version_id: int
    metrics: Mapping[str, UnitTotals]
    latency: QuantileSketch
    predictions: int
    last_at: datetime | None
    crossed: int = 0
    """Of its units, those that another arm of the same split had seen before: where a unit keeps
    its arm, each of them is a fault between assignment and recording."""
