"""What a runtime answers, and the ways in which it can fail to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from turnout.errors import Unprocessable
from turnout.observations.domain.prediction import class_text
from turnout.quantities import JsonValue

LONGEST_CLASS: Final = 100
"""A longer text is an answer in words, not the name of a class."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding an answer raises: of one that is no JSON, not UTF-8, or nested too deeply."""

ROUNDING: Final = 1e-3
"""By how much probabilities in single or half precision may miss their limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a version made of one input.

    `label` is the predicted class as text, so that a label reported later can be compared with it;
    None when the prediction is not a class (a real number, a list, free text). `answered_by` is
    the model of a provider that gave the answer, where a version may ask more than one, or the
    built-in demo.
    """

    prediction: JsonValue
    outputs: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What the prediction and the confidence were read from, by name, where the model has tensors:
    arrays, v2's tensors, or what ONNX has for maps."""

    confidence: float | None = None
    label: str | None = None
    cost: float | None = None
    answered_by: str | None = None


class Runtime(Protocol):
    """One version, ready to answer.

    `predict` keeps its own deadline. It raises InputMismatch for an input that does not fit, and
    RuntimeFailure for every trouble of the version itself that it can name.
    """

    async def predict(self, inputs: JsonValue) -> Answer: ...

    def close(self) -> None: ...


class Failure(StrEnum):
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    FAILED = "failed"
    GARBAGE = "garbage"
    OVERLOADED = "overloaded"
    NOT_LOADED = "not_loaded"


class RuntimeFailure(Exception):
    """A version did not answer; whoever called it was right to."""

    def __init__(self, kind: Failure, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


def timed_out(deadline: timedelta) -> RuntimeFailure:
    return RuntimeFailure(Failure.TIMEOUT, f"no answer within {deadline.total_seconds():g} s")


class InputMismatch(Unprocessable):
    """The input does not fit what the version takes."""


def label_of(prediction: object) -> str | None:
    """Name the class that a prediction stands for, as labels that are reported later name it."""
    match prediction:
        case bool() | int():
            return class_text(prediction)
        case float() if prediction.is_integer():
            return class_text(prediction)
        case str() if 0 < len(prediction) <= LONGEST_CLASS and prediction.isprintable():
            return prediction
        case _:
            return None


def confidence_of(score: object) -> float | None:
    """Read a confidence: a number, or the largest of the probabilities of the classes."""
    match score:
        case None:
            return None
        case bool() | str():
            raise RuntimeFailure(Failure.GARBAGE, f"the confidence {score!r} is not a number")
        case int() | float():
            if not -ROUNDING <= score <= 1 + ROUNDING:  # which NaN is not either
                raise RuntimeFailure(
                    Failure.GARBAGE, f"the confidence {score} is no probability between 0 and 1"
                )
            return min(max(float(score), 0.0), 1.0)
        case Mapping():
            return confidence_of(list(score.values()))
        case Sequence() if score:
            known = [found for part in score if (found := confidence_of(part)) is not None]
            return max(known, default=None)
        case _:
            raise RuntimeFailure(Failure.GARBAGE, f"the confidence {score!r} is not a number")
