"""One answer of one version, and the id it is known by."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from turnout.traffic.domain.overrides import Attribute

LARGEST: Final = 1e15
"""Bounds what is measured, so that no sum of squares can overflow."""

LONGEST_LABEL: Final = 200

UUID_LENGTH: Final = 36

NO_SPLIT: Final = 0
"""Stands for the split of a prediction that no split randomised (forced, pinned, targeted)."""

_EXACT = 2.0**53
"""Below this, every whole number is a float of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer of one version, or its failure to give one.

    `split_id` is None for whatever the split did not randomise; such predictions are no evidence.
    A shadow's answer carries the id of the prediction that was served beside it, so that one
    label reaches both; a failure that another version then answered for needs an id of its own.
    """

    prediction_id: str
    version_id: int
    split_id: int | None
    unit: str | None
    at: datetime
    latency_ms: float | None = None
    confidence: float | None = None
    label: str | None = None
    error: bool = False
    error_text: str | None = None
    cost: float | None = None
    shadow: bool = False
    attributes: Mapping[str, Attribute] | None = None
    """What the caller said about the unit, to compare versions by it."""
    inputs: Mapping[str, Attribute] | None = None
    """Of a sample: what the version was given by name. Those that a baseline names are kept."""


def class_text(label: str | float | bool) -> str:
    """Write a class as text: `3` and `3.0` as "3", `true` as "true"."""
    if isinstance(label, str):
        return label
    if isinstance(label, bool):
        return "true" if label else "false"
    return str(int(label)) if abs(label) < _EXACT and label == int(label) else str(label)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def uuid7(now: datetime) -> str:
    """Make a time-ordered id (RFC 9562, section 5.7) in its canonical text."""
    ms = (now - _EPOCH) // _MILLISECOND
    bits = secrets.randbits(74)
    text = f"{ms << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0x2 << 62 | bits & (1 << 62) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_of_id(prediction_id: str) -> datetime | None:
    """Tell the time from an id that is a UUIDv7."""
    if len(prediction_id) != UUID_LENGTH or prediction_id[14] != "7":
        return None
    try:
        ms = int(prediction_id[:8] + prediction_id[9:13], 16)
        return _EPOCH + ms * _MILLISECOND
    except (ValueError, OverflowError):
        return None
