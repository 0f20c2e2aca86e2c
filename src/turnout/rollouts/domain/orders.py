"""What a person says with a verb: request bodies and arguments alike."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, MaxLen, MinLen

from turnout.quantities import STRICT, Text
from turnout.registry.domain.fields import VersionName
from turnout.rollouts.domain.plan import check_reasons

Reason = Annotated[Text, MaxLen(2000)]
StatedReason = Annotated[Text, MinLen(1), MaxLen(2000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person says with a verb.

    With `expected_stage`, the index of the stage that the person saw, a verb that comes too late
    is refused and changes nothing.
    """

    __pydantic_config__ = STRICT

    reason: Reason | None = None
    expected_stage: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance(Order):
    """An order to go on; in a freeze window only with `override_freeze`, and a reason."""

    __pydantic_config__ = STRICT

    override_freeze: bool = False

    def __post_init__(self) -> None:
        check_reasons(self.reason, freeze=self.override_freeze)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Advance):
    """`full` goes on to the last stage; without it, to the next one."""

    __pydantic_config__ = STRICT

    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency(Order):
    """An order that goes over what the plan asks for, so it says why."""

    __pydantic_config__ = STRICT

    reason: StatedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A wish to run the same plan again, from its first stage."""

    __pydantic_config__ = STRICT

    reason: Reason | None = None
    override_quarantine: bool = False
    override_freeze: bool = False

    def __post_init__(self) -> None:
        check_reasons(self.reason, quarantine=self.override_quarantine, freeze=self.override_freeze)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """A wish to go back: to a version that is named, or to the last one that proved itself."""

    __pydantic_config__ = STRICT

    reason: StatedReason
    to_version: VersionName | None = None
