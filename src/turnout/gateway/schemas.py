"""Bodies of the hot path.

They are msgspec structs, not the value types used elsewhere: these three operations decode and
encode JSON by hand, so that FastAPI's own validation costs them nothing.
"""

import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from turnout.errors import Unprocessable
from turnout.quantities import check_line
from turnout.traffic.domain.overrides import Attribute

MOST_ITEMS: Final = 1_000

_NAMED: Final = re.compile(r"Object (missing|contains unknown)(?: required)? field `(.*)`")

Unit = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="What is randomised: a user, session or request. The same unit gets the same"
        " version of a sticky split; without one, every request draws anew",
        examples=["user-42"],
    ),
]
Attributes = Annotated[
    dict[Annotated[str, Meta(max_length=100)], Attribute],
    Meta(
        max_length=100,
        description="What is known about the unit, for rules to aim at",
        examples=[{"country": "DE"}],
    ),
]
Version = Annotated[
    str,
    Meta(
        max_length=300,
        description="Force this version; such a prediction is no evidence for or against it",
        examples=["2.0.0"],
    ),
]

Body = TypeVar("Body", bound="AssignRequest | BatchRequest")


class Malformed(Unprocessable):
    """The body is not what the operation takes."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", errors=[{"field": field, "reason": reason}])


class AssignRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    unit: Unit | None = None
    attributes: Attributes | None = None
    version: Version | None = None


class PredictRequest(AssignRequest, forbid_unknown_fields=True, kw_only=True):
    inputs: Annotated[
        Any,
        Meta(
            description="What the model takes: an object with a value per input, or the bare value"
            " (such as a row of numbers) for a model with one input",
        ),
    ]


class BatchRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    items: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST_ITEMS)]


class AssignReply(Struct, kw_only=True):
    prediction_id: str
    version: str
    variant: str
    reason: str
    split_id: int | None


class PredictReply(Struct, kw_only=True, omit_defaults=True):
    prediction_id: str
    model: str
    version: str
    variant: str
    reason: str
    prediction: Any
    confidence: float | None
    latency_ms: float
    fallback: bool
    answered_by: Annotated[
        str | None,
        Meta(
            description="Of a chat model: which of the provider's models gave the answer;"
            " or `demo-sentiment`, the built-in demo"
        ),
    ] = None


assign_requests: Final = msgspec.json.Decoder(AssignRequest)
predict_requests: Final = msgspec.json.Decoder(PredictRequest)
batch_requests: Final = msgspec.json.Decoder(BatchRequest)


def read(
    decoder: msgspec.json.Decoder[Body], body: bytes | msgspec.Raw, *, at: str = "body"
) -> Body:
    """Decode and check a body; `at` says where it stands in what was sent."""
    try:
        found = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _malformed(str(error), at) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(at, f"not valid JSON: {error}") from None
    except RecursionError:
        raise Malformed(at, "nested too deeply") from None
    if isinstance(found, AssignRequest) and found.unit is not None:
        try:
            check_line(found.unit)
        except ValueError as error:
            raise Malformed(f"{at}.unit", str(error)) from None
    return found


def _malformed(message: str, at: str) -> Malformed:
    """Say in the words of the other operations what msgspec found."""
    reason, _, path = message.partition(" - at `$")
    field = at + path.rstrip("`")
    if named := _NAMED.fullmatch(reason):
        what, name = named.groups()
        return Malformed(f"{field}.{name}", "missing" if what == "missing" else "unknown field")
    return Malformed(field, reason.replace("`", ""))


def described(kind: type[Struct]) -> dict[str, Any]:
    """The JSON schema of one struct, for OpenAPI."""
    document = msgspec.json.schema(kind)
    found: dict[str, Any] = document["$defs"][kind.__name__]
    return found
