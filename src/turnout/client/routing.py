"""Which version answers which unit, worked out here: the service's rules, on its documents.

They are written down in `docs/guides/assignment.md`. A choice is one hash and one look into a
table, so that it costs less than a microsecond.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, TypedDict

from xxhash import xxh64_intdigest

from turnout.buckets import BUCKETS, RoundRobin, random_draw

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]


class Reason(StrEnum):
    """Why a version was chosen; only what `split` and `single` choose is evidence about it."""

    SPLIT = "split"
    SINGLE = "single"
    PINNED = "pinned"
    TARGETED = "targeted"
    FORCED = "forced"
    DEFAULT = "default"
    """No route was known, so the caller's default was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What every unit with the same answer has in common."""

    model: str
    version: str
    variant: str
    reason: Reason
    split_id: int | None = None
    experiment: str | None = None


class Choice:
    """The version that answers a unit, and all that is recorded with what it answers.

    `experiment` is the key of the experiment that drew it, if one did.
    """

    __slots__ = ("arm", "attributes", "unit")

    def __init__(self, arm: Arm, unit: str | None, attributes: Attributes | None) -> None:
        self.arm = arm
        self.unit = unit
        self.attributes = attributes

    @classmethod
    def forced(cls, model: str, version: str, unit: str | None = None) -> "Choice":
        """A version that you chose yourself: what it answers is no evidence for or against it."""
        return cls(
            Arm(model=model, version=version, variant=version, reason=Reason.FORCED), unit, None
        )

    @property
    def model(self) -> str:
        return self.arm.model

    @property
    def version(self) -> str:
        return self.arm.version

    @property
    def variant(self) -> str:
        return self.arm.variant

    @property
    def reason(self) -> Reason:
        return self.arm.reason

    @property
    def split_id(self) -> int | None:
        return self.arm.split_id

    @property
    def experiment(self) -> str | None:
        return self.arm.experiment

    def __repr__(self) -> str:
        return (
            f"Choice({self.model} {self.version}, {self.variant!r} by {self.reason},"
            f" unit={self.unit!r})"
        )


class ArmDocument(TypedDict):
    name: str
    version: str
    buckets: tuple[int, int] | None


class PinDocument(TypedDict):
    unit: str
    version: str


class RuleDocument(TypedDict):
    attribute: str
    values: Sequence[Attribute]
    version: str


class RouteDocument(TypedDict):
    """What `GET /models/{model}/route` answers."""

    model: str
    split_id: int
    strategy: Literal["random", "round_robin", "sticky", "canary"]
    salt: str
    owner: Mapping[str, str]
    experiment: str | None
    variants: Sequence[ArmDocument]
    pins: Sequence[PinDocument]
    rules: Sequence[RuleDocument]


_BY_UNIT: Final = {"sticky", "canary"}


class Route:
    """A model's route, laid out for choosing. `versions` are all that it may lead to."""

    __slots__ = (
        "_by_unit",
        "_draw",
        "_pinned",
        "_prefix",
        "_table",
        "_targeted",
        "split_id",
        "versions",
    )

    def __init__(self, document: RouteDocument, former: "Route | None" = None) -> None:
        """Turns of round robin count on from the `former` route if the split is the same."""
        serving = [variant for variant in document["variants"] if variant["buckets"] is not None]
        widths = [_width(variant) for variant in serving]
        alone = BUCKETS in widths
        self.split_id = document["split_id"]
        self._prefix = document["salt"] + ":"
        self._by_unit = document["strategy"] in _BY_UNIT and not alone
        self._draw = self._draws(document, widths, former)
        arms = [_arm(document, variant, alone=alone) for variant in serving]
        self._table = [arm for arm, width in zip(arms, widths, strict=True) for _ in range(width)]
        self._pinned = {
            pin["unit"]: _beside(document, pin["version"], Reason.PINNED)
            for pin in document["pins"]
        }
        self._targeted = [
            (
                rule["attribute"],
                frozenset(map(_typed, rule["values"])),
                _beside(document, rule["version"], Reason.TARGETED),
            )
            for rule in document["rules"]
        ]
        self.versions = frozenset(
            arm.version for arm in (*arms, *self._pinned.values(), *(t[2] for t in self._targeted))
        )

    def choose(self, unit: str | None, attributes: Attributes | None) -> Choice:
        """A pin, else the first rule that fits, else the split."""
        if (self._pinned or self._targeted) and (arm := self._override(unit, attributes)):
            return Choice(arm, unit, attributes)
        if unit is not None and self._by_unit:
            try:
                place = xxh64_intdigest((self._prefix + unit).encode()) % BUCKETS
            except TypeError:
                raise TypeError(f"a unit is text, such as str({unit!r})") from None
        else:
            place = self._draw()
        return Choice(self._table[place], unit, attributes)

    def _override(self, unit: str | None, attributes: Attributes | None) -> Arm | None:
        if unit is not None and (pinned := self._pinned.get(unit)):
            return pinned
        if attributes:
            for attribute, wanted, arm in self._targeted:
                value = attributes.get(attribute)
                if value is not None and _typed(value) in wanted:
                    return arm
        return None

    def _draws(
        self, document: RouteDocument, widths: Sequence[int], former: "Route | None"
    ) -> Callable[[], int]:
        if document["strategy"] != "round_robin":
            return random_draw
        if former is not None and former.split_id == self.split_id:
            return former._draw  # noqa: SLF001  (one of the same class)
        return RoundRobin(widths).draw


def _width(variant: ArmDocument) -> int:
    first, end = variant["buckets"] or (0, 0)
    return end - first


def _arm(document: RouteDocument, variant: ArmDocument, *, alone: bool) -> Arm:
    return Arm(
        model=document["model"],
        version=variant["version"],
        variant=variant["name"],
        reason=Reason.SINGLE if alone else Reason.SPLIT,
        split_id=document["split_id"],
        experiment=None if alone else document["experiment"],
    )


def _beside(document: RouteDocument, version: str, reason: Reason) -> Arm:
    """A version that the split did not choose; it has its variant's name if it is in the split."""
    names = {variant["version"]: variant["name"] for variant in document["variants"]}
    return Arm(
        model=document["model"],
        version=version,
        variant=names.get(version, version),
        reason=reason,
    )


def _typed(value: Any) -> tuple[bool, Any]:
    """Tell `True` from 1, which Python calls equal, and take a numpy scalar as what it is."""
    found = value.item() if hasattr(value, "item") else value
    return isinstance(found, bool), found
