"""Asking the peers' own code, and doing without where it is not installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = REPOSITORY / ".venv-bench"
PYTHON = ENVIRONMENT / "bin" / "python"
INSTALLED = ENVIRONMENT / ".installed"
"""Left behind by `make bench` once the packages are in; an environment alone has none."""

SCRIPT = Path(__file__).with_name("their_code.py")


class SpotifyBounds(TypedDict):
    bounds: list[float]
    seconds: float


class GrowthBook(TypedDict):
    p_value: float
    chance: float


class Tested(TypedDict):
    p_value: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """In the order of the questions."""

    versions: dict[str, str]
    spotify: list[SpotifyBounds]
    growthbook: list[GrowthBook]
    means: list[dict[str, Tested]]
    deviations: list[float]


def ask(
    *,
    schedules: Sequence[tuple[Sequence[float], float]] = (),
    counts: Sequence[tuple[float, float, float]] = (),
    means: Sequence[Sequence[tuple[int, float, float]]] = (),
    sums: Sequence[tuple[int, float, float]] = (),
) -> Answers | None:
    """What their packages say; None where they are not installed.

    `schedules` are fractions with the level of a side, for Spotify's bounds; `counts` are users
    per arm and conversions of control and treatment, `means` (n, Σx, Σx²) of both arms and `sums`
    the same of one, for GrowthBook.
    """
    if not INSTALLED.exists():
        return None
    question = {"schedules": schedules, "counts": counts, "means": means, "sums": sums}
    answer = subprocess.run(
        [PYTHON, SCRIPT], input=json.dumps(question), capture_output=True, text=True, check=True
    )
    return Answers(**json.loads(answer.stdout))
