"""Webhooks: where events are sent, which ones, and in what form."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

from annotated_types import Len, MaxLen

from turnout.addresses import Reach, check_url
from turnout.errors import Conflict, NotFound, Unprocessable
from turnout.events.domain import Event, EventType, check_pattern, wanted
from turnout.quantities import STRICT, Line, Reading, check_line

SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
ROTATION: Final = timedelta(hours=24)
"""How long the secret before signs beside the new one."""


class Format(StrEnum):
    STANDARD = "standard"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    CLOUDEVENTS = "cloudevents"

    @property
    def signed(self) -> bool:
        return self in {Format.STANDARD, Format.CLOUDEVENTS}


class WebhookNotFound(NotFound):
    def __init__(self, webhook_id: UUID) -> None:
        super().__init__(f"there is no webhook {webhook_id}", webhook=str(webhook_id))


class DeliveryNotFound(NotFound):
    def __init__(self, webhook_id: UUID, delivery_id: UUID) -> None:
        super().__init__(
            f"webhook {webhook_id} has no delivery {delivery_id}", delivery=str(delivery_id)
        )


class WebhookInactive(Conflict):
    def __init__(self, webhook_id: UUID) -> None:
        super().__init__(
            f"webhook {webhook_id} is not active: activate it with PATCH first",
            webhook=str(webhook_id),
        )


class StillPending(Conflict):
    def __init__(self, delivery_id: UUID) -> None:
        super().__init__(
            f"delivery {delivery_id} is pending and will be tried by itself",
            delivery=str(delivery_id),
        )


class WrongSecret(Unprocessable):
    """The secret does not fit the webhook's format."""


def check_hook(url: str) -> str:
    """Accept an address that some installation may call; what this one may is checked then."""
    check_line(url)
    return check_url(url, Reach.PRIVATE)


Url = Annotated[
    str,
    Len(1, 2000),
    Reading(
        check=check_hook,
        describe={
            "type": "string",
            "format": "uri",
            "examples": ["https://ops.example.com/turnout"],
        },
    ),
]
Pattern = Annotated[
    str,
    Reading(
        check=check_pattern,
        describe={
            "type": "string",
            "description": "A type of event, or a pattern such as `rollout.*` or `*`",
            "examples": ["rollout.rolled_back"],
        },
    ),
]
Patterns = Annotated[tuple[Pattern, ...], Len(1, 50)]
Models = Annotated[tuple[Annotated[Line, Len(1, 100)], ...], Len(1, 500)]
Secret = Annotated[Line, Len(1, 500)]
Description = Annotated[Line, MaxLen(500)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """`secret` signs what is sent (`whsec_` and base64 of 24 to 64 bytes; one is generated where
    none is given); for `pagerduty` it is the integration's routing key, and required. `models`
    restricts it to events about these models."""

    url: Url
    events: Patterns
    models: Models | None = None
    secret: Secret | None = None
    format: Format = Format.STANDARD
    description: Description = ""
    active: bool = True

    __pydantic_config__ = STRICT


def is_for(event: Event, *, events: tuple[str, ...], models: tuple[str, ...] | None) -> bool:
    """Whether a webhook is told of an event. Tests are sent by hand, to one webhook."""
    return event.type != EventType.WEBHOOK_TEST and wanted(
        event.type, event.model, types=events, models=models
    )


def shown_url(url: str, form: Format) -> str:
    """The address as it may be read by everybody: Slack's path is what gives access."""
    if form is not Format.SLACK:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"
