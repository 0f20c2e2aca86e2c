"""The stages of a version's life, and which may follow which."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from turnout.errors import Conflict


class Lifecycle(StrEnum):
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    REJECTED = "rejected"


TRANSITIONS: Final[Mapping[Lifecycle, tuple[Lifecycle, ...]]] = {
    Lifecycle.DEVELOPMENT: (Lifecycle.STAGING, Lifecycle.REJECTED, Lifecycle.ARCHIVED),
    Lifecycle.STAGING: (
        Lifecycle.PRODUCTION,
        Lifecycle.DEVELOPMENT,
        Lifecycle.REJECTED,
        Lifecycle.ARCHIVED,
    ),
    Lifecycle.PRODUCTION: (Lifecycle.ARCHIVED, Lifecycle.REJECTED),
    # Straight back to production is what a rollback to an earlier version does.
    Lifecycle.ARCHIVED: (Lifecycle.PRODUCTION, Lifecycle.STAGING, Lifecycle.REJECTED),
    Lifecycle.REJECTED: (Lifecycle.DEVELOPMENT, Lifecycle.ARCHIVED),
}


class InvalidTransition(Conflict):
    def __init__(self, stage: Lifecycle, to: Lifecycle) -> None:
        allowed = TRANSITIONS[stage]
        super().__init__(
            f"a version in {stage} cannot move to {to}: from {stage} it moves to"
            f" {', '.join(allowed)}",
            stage=stage,
            to=to,
            allowed=allowed,
        )


def check_transition(stage: Lifecycle, to: Lifecycle) -> None:
    if to not in TRANSITIONS[stage]:
        raise InvalidTransition(stage, to)
