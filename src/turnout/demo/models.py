"""What the demo releases, what it is tried on, and at what pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MODEL: Final = "digits-classifier"


class Quality(StrEnum):
    BASELINE = "baseline"
    BETTER = "better"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model as its training pipeline hands it over.

    `accuracy` is measured by that same pipeline on its validation part, so a mistake in how the
    pipeline reads its data does not show in it.
    """

    quality: Quality
    description: str
    onnx: bytes
    accuracy: float
    training_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Rows that no model was trained or validated on, as production sends them, and the truth."""

    pixels: Sequence[Sequence[float]]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    baseline: TrainedModel
    better: TrainedModel
    broken: TrainedModel
    held_out: HeldOut
    dataset_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times are in seconds. A stage has its weight in percent and its bake time; a rollout lasts at
    most `limit`, and the truth about an answer is known `label_delay` after it."""

    stages: tuple[tuple[float, float], ...] = ((10, 4), (50, 4), (100, 3))
    limit: float = 120
    requests_per_second: float = 250
    label_delay: float = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    version: str
    model: TrainedModel


def candidates(material: Material, *, swapped: bool) -> tuple[Release, Release]:
    """The two versions that have to prove themselves after 1.0.0, in the order of their release."""
    first, second = material.better, material.broken
    if swapped:
        first, second = second, first
    return Release(version="1.1.0", model=first), Release(version="1.2.0", model=second)
