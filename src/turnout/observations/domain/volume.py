from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Predictions in the hour that began at `hour`, and in that hour of each earlier week since the
    model's first, the latest first."""

    hour: datetime
    predictions: int
    earlier: tuple[int, ...]
