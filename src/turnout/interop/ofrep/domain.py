"""OpenFeature's words for which version a unit gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct
from xxhash import xxh64_hexdigest

from turnout.buckets import bucket
from turnout.errors import NotFound, Unprocessable
from turnout.quantities import check_line
from turnout.traffic.domain.assignment import Route, assign
from turnout.traffic.domain.overrides import LONGEST, Attribute
from turnout.traffic.domain.split import Assignment, OwnerKind, Reason, Split

TARGETING_KEY: Final = "targetingKey"
REASONS: Final = {
    Reason.SINGLE: "STATIC",
    Reason.SPLIT: "SPLIT",
    Reason.PINNED: "TARGETING_MATCH",
    Reason.TARGETED: "TARGETING_MATCH",
}


class FlagNotFound(NotFound):
    def __init__(self, key: str) -> None:
        super().__init__(
            f"there is neither a model nor an experiment {key!r}, which is what flags are here",
            key=key,
        )


class FlagAmbiguous(NotFound):
    def __init__(self, key: str, models: list[str]) -> None:
        super().__init__(
            f"{key!r} is the key of experiments on {', '.join(models)}: ask for the model instead",
            key=key,
            models=models,
        )


class ContextInvalid(Unprocessable):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field)


class TargetingKeyMissing(Unprocessable):
    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key} is split by unit: send the user, session or request as {TARGETING_KEY}",
            field=f"context.{TARGETING_KEY}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whom a flag is evaluated for, and what is known about it."""

    unit: str | None
    attributes: Mapping[str, Attribute]


class Flag(Struct, kw_only=True, frozen=True):
    key: str
    value: str
    reason: str
    variant: str
    metadata: dict[str, str | int]


class Failure(Struct, kw_only=True, frozen=True):
    key: str
    errorCode: str  # noqa: N815  (OFREP's name)
    errorDetails: str  # noqa: N815


def asked(context: Mapping[str, Any]) -> Asked:
    """Read a context. What no rule can aim at, such as an object, says nothing here."""
    unit = context.get(TARGETING_KEY)
    field = f"context.{TARGETING_KEY}"
    if unit == "":
        unit = None
    if unit is not None:
        if not isinstance(unit, str) or len(unit) > LONGEST:
            raise ContextInvalid(field, f"text of at most {LONGEST} characters is expected")
        try:
            check_line(unit)
        except ValueError as error:
            raise ContextInvalid(field, str(error)) from None
    known = {
        name: value
        for name, value in context.items()
        if name != TARGETING_KEY and isinstance(value, str | int | float)
    }
    return Asked(unit=unit, attributes=known)


def check_unit(key: str, split: Split, chosen: Assignment, asked: Asked) -> None:
    """Where units stay with their version, there has to be one; a rule may do without."""
    if asked.unit is None and split.by_unit and chosen.reason is Reason.SPLIT:
        raise TargetingKeyMissing(key)


def steady(key: str, route: Route, asked: Asked) -> Assignment:
    """The version of a unit that gets the same one whenever it is asked, also where the split draws
    anew for every request: what is asked for in bulk is kept, and takes no turn."""
    split = route.split
    draw = 0 if asked.unit is None else bucket(split.salt, asked.unit)
    chosen = assign(split, route.overrides, unit=asked.unit, attributes=asked.attributes, draw=draw)
    if asked.unit is None and chosen.reason is Reason.SPLIT:
        raise TargetingKeyMissing(key)
    return chosen


def flag(
    key: str,
    model: str,
    chosen: Assignment,
    *,
    prediction_id: str | None = None,
    experiment: str | None = None,
) -> Flag:
    """What is answered. Its metadata are what a report of the prediction needs."""
    known = {
        "model": model,
        "experiment": experiment,
        "prediction_id": prediction_id,
        "split_id": chosen.split_id,
    }
    return Flag(
        key=key,
        value=chosen.version,
        reason=REASONS[chosen.reason],
        variant=chosen.variant,
        metadata={name: value for name, value in known.items() if value is not None},
    )


def experiment_of(split: Split) -> str | None:
    """The id of the experiment that decides where the traffic goes."""
    under_way = split.owned and split.owner.kind is OwnerKind.EXPERIMENT
    return split.owner.id if under_way else None


def etag(body: bytes) -> str:
    return f'"{xxh64_hexdigest(body)}"'
