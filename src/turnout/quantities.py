"""Durations, weights and text as people write them, and as the program holds them.

A value type of a slice is request body, JSONB column and argument of a pure function at once, and
those functions must not know pydantic. The marker here therefore speaks pydantic's protocol
(`__get_pydantic_core_schema__` may return a plain mapping) without importing it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

BASIS_POINTS: Final = 10_000

Clock = Callable[[], datetime]
"""Tells the time in UTC; in tests it moves when a test says so."""

JsonValue = bool | int | float | str | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]

STRICT: Final[Any] = {"extra": "forbid", "allow_inf_nan": False}
"""Set as `__pydantic_config__` on a value type that is read from a request."""

_LONGEST = timedelta(days=3650)
_LONGEST_TEXT = 100
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def read_duration(value: object) -> object:
    """Read `"90s"`, `"1h30m"` or `"7d"`; seconds and ISO 8601 text are left to the parser."""
    if isinstance(value, bool):
        raise ValueError(  # noqa: TRY004  (pydantic reports a ValueError, not a TypeError)
            "a duration is text such as '30m', or a number of seconds"
        )
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"a duration is written in at most {_LONGEST_TEXT} characters")
    if text and not _DURATION.sub("", text):
        seconds = sum(float(n) * _SECONDS[u] for n, u in _DURATION.findall(text))
        return timedelta(seconds=min(seconds, 2 * _LONGEST.total_seconds()))
    if not text.startswith("p"):
        raise ValueError(
            f"{value!r} is not a duration: write '90s', '30m', '1h', '7d', ISO 8601 or seconds"
        )
    return value


def check_duration(value: timedelta) -> timedelta:
    if not timedelta() <= value <= _LONGEST:
        raise ValueError(f"a duration lies between 0 and {_LONGEST.days} days")
    return value


def check_moment(value: datetime) -> datetime:
    if not 1900 <= value.year < 2200:
        raise ValueError("a time lies in the years from 1900 to 2199")
    return value


def basis_points(share: object) -> int:
    """Read a share in percent, with at most two decimals, as basis points."""
    if isinstance(share, bool) or not isinstance(share, int | float | str):
        raise ValueError(  # noqa: TRY004  (as above)
            "a weight is a number in percent, such as 12.5"
        )
    try:
        exact = Decimal(str(share)) * 100
    except ArithmeticError:  # no number, or one beyond all others
        raise ValueError(f"{str(share)[:100]!r} is not a number in percent, such as 12.5") from None
    if not exact.is_finite() or not 0 <= exact <= BASIS_POINTS:
        raise ValueError(f"a weight lies between 0 and 100 percent, not {share}")
    if exact != exact.to_integral_value():
        raise ValueError(f"a weight has at most two decimals, not {share}")
    return int(exact)


def percent(weight: int) -> int | float:
    """Show basis points in percent: 525 as 5.25, 500 as 5."""
    return weight // 100 if weight % 100 == 0 else weight / 100


def check_line(value: str) -> str:
    if _INVISIBLE.search(value):
        raise ValueError("control and invisible characters are not allowed here")
    return value


def check_text(value: str) -> str:
    if _UNPRINTABLE.search(value):
        raise ValueError("control characters are not allowed, except tabs and line ends")
    return value


def as_told(text: str, *, most: int) -> str:
    """What somebody else said, as it can be kept and shown."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text[:most])


def _same(value: object) -> object:
    return value


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, so that `Line | None` works
class Reading:
    """How one kind of quantity is read from outside, checked, shown, and described in OpenAPI."""

    describe: Mapping[str, Any]
    read: Callable[[Any], Any] = _same
    check: Callable[[Any], Any] = _same
    show: Callable[[Any], Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        read = {"type": "no-info", "function": self.read}
        check = {"type": "no-info", "function": self.check}
        inner = {"type": "function-before", "function": read, "schema": handler(source)}
        schema: dict[str, Any] = {"type": "function-after", "function": check, "schema": inner}
        if self.show is not None:
            schema["serialization"] = {"type": "function-plain", "function": self.show}
        return schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Mapping[str, Any]:
        return dict(self.describe)


@dataclass(frozen=True, slots=True)
class ByKind:
    """Have pydantic pick one of these by its `kind`, so that errors speak of that one alone."""

    kinds: tuple[Any, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {
            "type": "tagged-union",
            "discriminator": "kind",
            "choices": {
                kind.__dataclass_fields__["kind"].default: handler.generate_schema(kind)
                for kind in self.kinds
            },
        }


@dataclass(frozen=True, slots=True)
class Check:
    """A rule about a whole value, such as a list; OpenAPI describes the value as it is."""

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        check = {"type": "no-info", "function": self.check}
        return {"type": "function-after", "function": check, "schema": handler(source)}


Duration = Annotated[
    timedelta,
    Reading(
        read=read_duration,
        check=check_duration,
        describe={
            "type": "string",
            "description": "`90s`, `30m`, `1h`, `7d`, ISO 8601, or seconds; answered in ISO 8601",
            "examples": ["30m"],
        },
    ),
]

MOMENT: Final = Reading(check=check_moment, describe={"type": "string", "format": "date-time"})
Moment = Annotated[datetime, MOMENT]
"""A time that is still one in every zone, and with any duration added."""

Weight = Annotated[
    int,
    Reading(
        read=basis_points,
        show=percent,
        describe={
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "description": "Share of traffic in percent, with at most two decimals",
        },
    ),
]
"""Basis points inside, percent outside."""

Line = Annotated[str, Reading(check=check_line, describe={"type": "string", "maxLength": 500})]
"""One line of text without control or invisible characters (no length check of its own)."""

Text = Annotated[str, Reading(check=check_text, describe={"type": "string"})]
