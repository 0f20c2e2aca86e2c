"""What the quick start makes of versions: ids, labels, and weights that are set one by one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from turnout.errors import Conflict, NotFound, Unavailable
from turnout.interop.own import QUICK_START
from turnout.quantities import BASIS_POINTS, percent
from turnout.registry.domain.version import VersionDetails
from turnout.traffic.domain.split import OwnerKind, Role, Split

MODEL: Final = QUICK_START

NOTE: Final = "quick_start"
"""Where a version's metadata has what only the quick start knows of it."""

_ID: Final = re.compile(r"model-([0-9a-f]{6,8})", re.ASCII)
_MAJOR: Final = re.compile(r"v?(0|[1-9]\d{0,8})", re.ASCII)
_LARGEST_ID: Final = 2**31 - 1


class NoSuchId(NotFound):
    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"there is no model {model_id!r}: GET /models lists those that there are",
            model_id=model_id,
        )


class NothingActive(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "no model is active: give one a share of the traffic by"
            ' POST /models/{model_id}/activate {"traffic_percent": 100}'
        )


class Overbooked(Conflict):
    """The weights would sum to more than everything."""

    def __init__(self, entry: "Entry", wanted: int, taken: Mapping[str, int]) -> None:
        free = BASIS_POINTS - sum(taken.values())
        held = ", ".join(f"{label} has {percent(weight)} %" for label, weight in taken.items())
        super().__init__(
            f"{percent(wanted)} % for {entry.label} are too much: {held}, so {percent(free)} % are"
            f" free. Lower another model first",
            wanted_percent=percent(wanted),
            free_percent=percent(free),
            taken={label: percent(weight) for label, weight in taken.items()},
        )


class Status(StrEnum):
    """`testing` is what a rollout or an experiment tries out, or what gets a copy of the traffic
    and answers nobody."""

    ACTIVE = "active"
    TESTING = "testing"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A version as the quick start knows it; `asked` is its weight as set by hand."""

    version_id: int
    version: str
    name: str
    label: str
    asked: int

    @property
    def model_id(self) -> str:
        return id_of(self.version_id)

    @property
    def note(self) -> Mapping[str, str | int]:
        return {"name": self.name, "label": self.label, "weight": self.asked}


def entry(version_id: int, version: str, details: VersionDetails) -> Entry:
    """Read the note; a version that was registered elsewhere has none, and goes by its version."""
    found = details.metadata.get(NOTE)
    note: Mapping[str, object] = found if isinstance(found, Mapping) else {}
    name, label, asked = note.get("name"), note.get("label"), note.get("weight")
    return Entry(
        version_id=version_id,
        version=version,
        name=name if isinstance(name, str) else MODEL,
        label=label if isinstance(label, str) else version,
        asked=asked if isinstance(asked, int) and 0 <= asked <= BASIS_POINTS else 0,
    )


def id_of(version_id: int) -> str:
    return f"model-{version_id:06x}"


def read_id(text: str) -> int:
    found = _ID.fullmatch(text)
    version_id = int(found[1], 16) if found else _LARGEST_ID + 1
    if version_id > _LARGEST_ID:
        raise NoSuchId(text)
    return version_id


def full_version(label: str) -> str:
    """Take `v1` and `1` for 1.0.0, which the registry itself does not."""
    short = _MAJOR.fullmatch(label)
    return f"{short[1]}.0.0" if short else label


def proportional(asked: Mapping[int, int]) -> dict[int, int]:
    """Weights in the proportions asked for that sum to 100 %, by the largest remainders.

    One that was asked for at all gets something: what is asked for sums to 100 % at the most.
    """
    total = sum(asked.values())
    exact = {key: divmod(weight * BASIS_POINTS, total) for key, weight in asked.items() if weight}
    weights = {key: whole for key, (whole, _) in exact.items()}
    left = BASIS_POINTS - sum(weights.values())
    for key in sorted(exact, key=lambda key: (-exact[key][1], key))[:left]:
        weights[key] += 1
    return weights


def present(entries: Sequence[Entry], split: Split | None) -> dict[int, int]:
    """The weights in force by version, as they were asked for; where a rollout, an experiment or
    another split has overtaken that, the weights of the split."""
    if split is None:
        return {}
    serving = {variant.version_id: variant.weight for variant in split.serving if variant.weight}
    asked = {each.version_id: each.asked for each in entries if each.asked}
    return asked if proportional(asked) == serving else serving


def with_weight(
    entries: Sequence[Entry], split: Split | None, wanted: Entry, weight: int
) -> dict[int, int]:
    """All weights once this one is set; refused when more than everything would be given away."""
    weights = present(entries, split) | {wanted.version_id: weight}
    others = {
        each.label: weights[each.version_id]
        for each in entries
        if each.version_id != wanted.version_id and weights.get(each.version_id)
    }
    if weight + sum(others.values()) > BASIS_POINTS:
        raise Overbooked(wanted, weight, others)
    return {version_id: asked for version_id, asked in weights.items() if asked}


def status(version_id: int, split: Split | None) -> Status:
    variant = split.variant(version_id) if split else None
    if split is None or variant is None or not (variant.weight or variant.shadow):
        return Status.INACTIVE
    steady = variant.name in {Role.BASELINE, Role.CONTROL}
    tried = split.owned and split.owner.kind is not OwnerKind.PERSON and not steady
    return Status.TESTING if tried or variant.shadow else Status.ACTIVE
