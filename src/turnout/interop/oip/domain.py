"""Who asks, by the protocol's parameters."""

from collections.abc import Mapping
from typing import Any, Final

from turnout.errors import Unprocessable
from turnout.quantities import check_line
from turnout.traffic.domain.overrides import LONGEST, Attribute

UNIT: Final = "unit"
NOT_ABOUT_THE_CALLER: Final = frozenset({UNIT, "binary_data_output", "timeout", "priority"})
"""Parameters of Triton's about how to answer, and the unit."""

MOST: Final = 100


class ParameterMalformed(Unprocessable):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"parameter {name!r}: {reason}", field="parameters", parameter=name)


def caller_of(parameters: Mapping[str, Any]) -> tuple[str | None, dict[str, Attribute]]:
    """The unit, and what else is known: parameters that are text, a number, true or false."""
    unit = parameters.get(UNIT)
    if unit is not None:
        _check(UNIT, unit)
        if not isinstance(unit, str) or not unit:
            raise ParameterMalformed(UNIT, "it is the text that names a user, session or request")
    known = {
        name: value
        for name, value in parameters.items()
        if name not in NOT_ABOUT_THE_CALLER and isinstance(value, str | int | float)
    }
    if len(known) > MOST:
        raise ParameterMalformed([*known][MOST], f"there are at most {MOST}")
    for name, value in known.items():
        _check(name, name)
        _check(name, value)
    return unit, known


def _check(name: str, value: object) -> None:
    if not isinstance(value, str):
        return
    if len(value) > LONGEST:
        raise ParameterMalformed(name[:LONGEST], f"at most {LONGEST} characters are expected")
    try:
        check_line(value)
    except ValueError as error:
        raise ParameterMalformed(name, str(error)) from None
