"""A sample of what versions are given, for the comparison with what they were trained on.

Taken on the way of a request, so that no more than the sample waits for the database. Which of the
inputs are kept is known where they are written: those that a baseline names, and no others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from turnout.gateway.runtimes.answers import Answer
from turnout.observations.domain.grid import PREDICTION
from turnout.observations.domain.prediction import LARGEST
from turnout.observations.feature_fold import SAMPLED_PER_MINUTE
from turnout.quantities import JsonValue
from turnout.traffic.domain.overrides import Attribute

MOST_INPUTS = 200
LONGEST_TEXT = 200


@dataclass(slots=True)
class InputSample:
    """So many of each version and minute, the first to come."""

    _taken: dict[int, tuple[int, int]] = field(default_factory=dict)

    def take(
        self, version_id: int, inputs: JsonValue, answer: Answer, at: datetime
    ) -> Mapping[str, Attribute] | None:
        """Inputs by name, and beside them an answer that is a score and no class."""
        named = inputs if isinstance(inputs, Mapping) and len(inputs) <= MOST_INPUTS else {}
        score = answer.prediction if answer.label is None else None
        if not (named or isinstance(score, float)) or not self._room(version_id, at):
            return None
        taken = {name: _single(value) for name, value in named.items()}
        if isinstance(score, float):
            taken[PREDICTION] = score
        return {name: value for name, value in taken.items() if value is not None}

    def _room(self, version_id: int, at: datetime) -> bool:
        minute = int(at.timestamp()) // 60
        latest, n = self._taken.get(version_id, (minute, 0))
        n = n + 1 if latest == minute else 1
        self._taken[version_id] = (minute, n)
        return n <= SAMPLED_PER_MINUTE


def _single(value: JsonValue) -> Attribute | None:
    """A number or a text, also as a row of its own; nothing larger waits for the database."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else None
    if isinstance(value, bool):
        return value
    return value if isinstance(value, int | float) and abs(value) <= LARGEST else None
