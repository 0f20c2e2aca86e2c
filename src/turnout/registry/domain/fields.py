"""The kinds of text, number and document that registrations are made of."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Final

from annotated_types import Len, MaxLen

from turnout.quantities import Reading, check_line, check_text
from turnout.registry.domain.semver import LONGEST, SemVer

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_DEEPEST: Final = 20


def check_model_name(name: str) -> str:
    if not MODEL_NAME.fullmatch(name):
        raise ValueError(
            "a model's name has 1 to 100 letters, digits, dots, dashes and underscores,"
            " and begins with a letter or digit, such as fraud-detection"
        )
    return name


def check_version(text: str) -> str:
    return str(SemVer.parse(text))


def check_number(value: object) -> object:
    """Refuse what would be taken for a number by kindness: `true` and `"0.9"`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(  # noqa: TRY004  (pydantic reports a ValueError, not a TypeError)
            "a metric is a number, such as 0.93"
        )
    return value


def check_document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what JSON text can carry but JSONB, or its next reader, cannot."""
    pending: list[tuple[Any, int]] = [(document, 1)]
    while pending:
        found, depth = pending.pop()
        if depth > _DEEPEST:
            raise ValueError(f"a document is nested at most {_DEEPEST} levels deep")
        match found:
            case str():
                check_text(found)
            case float() if not isfinite(found):
                raise ValueError("NaN and infinity are not JSON numbers")
            case Mapping():
                pending += [(part, depth + 1) for pair in found.items() for part in pair]
            case list():
                pending += [(part, depth + 1) for part in found]
    return document


def _line(least: int, most: int) -> Reading:
    return Reading(
        check=check_line,
        describe={"type": "string", "minLength": least, "maxLength": most},
    )


ModelName = Annotated[
    str,
    Reading(
        check=check_model_name,
        describe={
            "type": "string",
            "pattern": f"^{MODEL_NAME.pattern}$",
            "examples": ["fraud-detection"],
        },
    ),
]

VersionName = Annotated[
    str,
    Reading(
        check=check_version,
        describe={
            "type": "string",
            "maxLength": LONGEST,
            "description": "Semantic Versioning 2.0.0; `v2.0.0` and `2.0` mean `2.0.0`",
            "examples": ["2.0.0"],
        },
    ),
]

Label = Annotated[str, Len(1, 100), _line(1, 100)]
Summary = Annotated[str, MaxLen(500), _line(0, 500)]
Address = Annotated[str, Len(1, 2000), _line(1, 2000)]
Prose = Annotated[
    str,
    MaxLen(20_000),
    Reading(check=check_text, describe={"type": "string", "maxLength": 20_000}),
]
Number = Annotated[float, Reading(read=check_number, describe={"type": "number"})]
Document = Annotated[Mapping[str, Any], Reading(check=check_document, describe={"type": "object"})]
