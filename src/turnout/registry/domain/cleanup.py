"""Which versions have had their time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from annotated_types import Ge, Len

from turnout.quantities import STRICT, Duration
from turnout.registry.domain.fields import Summary
from turnout.registry.domain.lifecycle import Lifecycle

DAY: Final = timedelta(days=1)
OUT_OF_USE: Final = (Lifecycle.DEVELOPMENT, Lifecycle.ARCHIVED, Lifecycle.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Versions go that are beyond the newest `keep_last`, and older than `older_than`, and in one
    of the `stages`."""

    __pydantic_config__ = STRICT

    keep_last: Annotated[int, Ge(0)] = 10
    older_than: Duration = timedelta(days=30)
    stages: Annotated[tuple[Lifecycle, ...], Len(1, 5)] = OUT_OF_USE
    dry_run: bool = True
    reason: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """What decides whether a version may go."""

    id: int
    version: str
    stage: Lifecycle
    aliases: Sequence[str]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    version: str
    reason: str


def reason_to_keep(version: Aged, *, rank: int, retention: Retention, now: datetime) -> str | None:
    """Why a version stays; None if it may go. `rank` counts from 1, the newest precedence.

    What others refer to is not known here: the database refuses to delete it.
    """
    if version.stage is Lifecycle.PRODUCTION:
        return "it is in production"
    if version.aliases:
        return f"it has the alias {', '.join(version.aliases)}"
    if version.stage not in retention.stages:
        return f"it is in {version.stage}, which is none of the stages"
    if rank <= retention.keep_last:
        return f"it is among the newest {retention.keep_last}"
    if now - version.created_at < retention.older_than:
        return f"it is younger than {retention.older_than / DAY:g} days"
    return None
