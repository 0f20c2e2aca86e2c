"""What goes before the split: pinned units, and rules on what is known about a unit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Annotated, Any, Final

from annotated_types import MaxLen, MinLen

from turnout.quantities import STRICT, Check, Line, check_line
from turnout.registry.domain.fields import Label, VersionName

MAX_PINS: Final = 10_000
MAX_RULES: Final = 100
MAX_VALUES: Final = 1_000

LONGEST: Final = 200


def check_value(value: object) -> object:
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise ValueError(f"an attribute's text has at most {LONGEST} characters")
        return check_line(value)
    if not isinstance(value, int | float) or (isinstance(value, float) and not isfinite(value)):
        raise ValueError("an attribute is text, a number, true or false")
    return value


@dataclass(frozen=True, slots=True)
class _AsGiven:
    """Have pydantic take JSON's own types as they are: 1 is neither `true` nor `"1"`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": check_value},
        }

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Mapping[str, Any]:
        return {"type": ["string", "number", "boolean"], "maxLength": LONGEST}


Attribute = Annotated[str | int | float | bool, _AsGiven()]
"""What a caller may tell about a unit, for rules to aim at."""

Unit = Annotated[Line, MinLen(1), MaxLen(LONGEST)]
"""What is randomised: the id of a user, a session or a request."""


def check_values(values: Sequence[Attribute]) -> Sequence[Attribute]:
    if not values:
        raise ValueError("a rule without values fits nobody: name at least one")
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One unit that always gets one version, in the split or not."""

    __pydantic_config__ = STRICT

    unit: Unit
    version: VersionName


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Units with one of these values get this version. `true` and 1 are different values."""

    __pydantic_config__ = STRICT

    attribute: Label
    values: Annotated[tuple[Attribute, ...], MaxLen(MAX_VALUES), Check(check_values)]
    version: VersionName


def check_pins(pins: Sequence[Pin]) -> Sequence[Pin]:
    for unit, times in Counter(pin.unit for pin in pins).items():
        if times > 1:
            raise ValueError(f"unit {unit!r} is pinned {times} times: pin it once")
    return pins


Pins = Annotated[tuple[Pin, ...], MaxLen(MAX_PINS), Check(check_pins)]
Rules = Annotated[tuple[Rule, ...], MaxLen(MAX_RULES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What goes before the split: pins first, then the first rule that fits.

    `version_ids` names the versions that may get traffic; what aims at another one is passed over.
    """

    pins: tuple[Pin, ...] = ()
    rules: tuple[Rule, ...] = ()
    version_ids: Mapping[str, int] = field(default_factory=dict)

    pinned: Mapping[str, str] = field(init=False, repr=False, compare=False)
    targeted: tuple[tuple[str, frozenset[tuple[bool, Attribute]], str], ...] = field(
        init=False, repr=False, compare=False
    )
    empty: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = self.version_ids
        pinned = {pin.unit: pin.version for pin in self.pins if pin.version in known}
        targeted = tuple(
            (rule.attribute, frozenset(map(typed, rule.values)), rule.version)
            for rule in self.rules
            if rule.version in known
        )
        object.__setattr__(self, "pinned", pinned)
        object.__setattr__(self, "targeted", targeted)
        object.__setattr__(self, "empty", not pinned and not targeted)

    def without(self, version_id: int) -> "Overrides":
        """Leave out everything that aims at one version."""
        kept = {text: found for text, found in self.version_ids.items() if found != version_id}
        return Overrides(
            pins=tuple(pin for pin in self.pins if pin.version in kept),
            rules=tuple(rule for rule in self.rules if rule.version in kept),
            version_ids=kept,
        )


def typed(value: Attribute) -> tuple[bool, Attribute]:
    """Tell `True` from 1, which Python calls equal."""
    return isinstance(value, bool), value


NO_OVERRIDES: Final = Overrides()
