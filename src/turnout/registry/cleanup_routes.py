from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Body, Depends, Path

from turnout import http
from turnout.db import transaction
from turnout.http import Actor, Now, Resources
from turnout.problems import problems
from turnout.registry import examples, queries
from turnout.registry.cleanup import clean_up, remove_files
from turnout.registry.domain.cleanup import Kept, Retention
from turnout.registry.domain.version import ModelNotFound

router = http.router("registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupReport:
    """What was deleted, or would be, and why every other version stays."""

    dry_run: bool
    deleted: Sequence[str]
    kept: Sequence[Kept]
    files_removed: int


@router.post(
    "/models/{model}/cleanup",
    summary="Delete what has had its time",
    responses=problems(ModelNotFound),
)
async def clean_up_model(
    model: Annotated[str, Path(examples=["fraud-detection"])],
    body: Annotated[Retention, Body(openapi_examples=examples.CLEANUP)],
    resources: Annotated[Resources, Depends(http.resources)],
    actor: Actor,
    now: Now,
) -> CleanupReport:
    """Deletes versions that are beyond the newest `keep_last`, older than `older_than` and in one
    of `stages` (development, archived, rejected). Only says what it would do until `dry_run` is
    false.

    What is in production, has an alias, serves or was part of a rollout or experiment stays in any
    case, and the answer says why. Then the model files that no version refers to any more are
    removed, unless they were placed within the last hour.
    """
    # The files go when the versions are gone for good: after the commit.
    async with transaction(resources.sessions) as session:
        found = await queries.model(session, model)
        done = await clean_up(session, found.id, body, actor=actor, now=now)
    removed = 0
    if not body.dry_run:
        removed = await remove_files(resources.sessions, resources.settings.artifacts_dir)
    return CleanupReport(
        dry_run=body.dry_run, deleted=done.deleted, kept=done.kept, files_removed=removed
    )
