"""Names that lead to a version and can be moved to another one, such as `champion`."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from turnout.errors import Conflict, NotFound, Unprocessable
from turnout.quantities import STRICT, Reading
from turnout.registry.domain.fields import Summary, VersionName

MARK: Final = "@"
"""Stands before an alias where a version is expected."""

_NAME: Final = re.compile(r"[\w-]{1,255}")
# MLflow's reserved names; `latest` would lie as soon as a newer version is registered.
_RESERVED: Final = re.compile(r"latest|v\d+", re.IGNORECASE)


class AliasNotFound(NotFound):
    def __init__(self, model: str, alias: str) -> None:
        super().__init__(f"{model} has no alias {alias!r}", model=model, alias=alias)


class AliasMoved(Conflict):
    def __init__(self, alias: str, *, expected: str, found: str | None) -> None:
        where = "does not exist" if found is None else f"leads to {found}"
        super().__init__(
            f"alias {alias!r} {where}, not to {expected} as was expected: somebody else moved it",
            alias=alias,
            expected=expected,
            version=found,
        )


class MalformedAlias(Unprocessable):
    pass


def check_alias(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "an alias has 1 to 255 letters, digits, dashes and underscores, such as champion"
        )
    if _RESERVED.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be an alias: latest, and v followed by a number, are reserved because"
            " other registries give them a meaning"
        )
    return name


def read_alias(text: str) -> str:
    """Check an alias that stands outside a body."""
    try:
        return check_alias(text)
    except ValueError as error:
        raise MalformedAlias(str(error), alias=text) from None


def check_expected(alias: str, *, expected: str | None, found: str | None) -> None:
    if expected is not None and expected != found:
        raise AliasMoved(alias, expected=expected, found=found)


AliasName = Annotated[
    str,
    Reading(
        check=check_alias,
        describe={"type": "string", "pattern": f"^{_NAME.pattern}$", "examples": ["champion"]},
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Where an alias is to lead. With `expected`, only if it leads there now."""

    __pydantic_config__ = STRICT

    version: VersionName
    expected: VersionName | None = None
    reason: Summary | None = None
