"""What a version that MLflow registers is in Turnout."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.callers import Caller
from turnout.interop.mlflow import schemas
from turnout.interop.mlflow.dialect import NOTE
from turnout.interop.mlflow.domain.filters import SEMVER
from turnout.interop.mlflow.domain.naming import semver_of
from turnout.interop.mlflow.domain.tags import OURS, Origin, copied_from, tagged
from turnout.interop.mlflow.lookups import version_of
from turnout.registry import catalogue, commands
from turnout.registry import queries as registry
from turnout.registry.domain.runtime import Artifact
from turnout.registry.domain.upload import File
from turnout.registry.domain.version import ModelRef, NewVersion, VersionDetails, VersionRecord
from turnout.registry.locks import locked_model


async def register(
    session: AsyncSession,
    model: ModelRef,
    body: schemas.NewVersion,
    *,
    caller: Caller,
    now: datetime,
) -> int:
    """Register a version, or a copy of one of this registry, which is served as that one is."""
    copied = copied_from(body.source)
    original = (await version_of(session, caller, *copied)).record if copied else None
    # Two that are registered at once without a name of their own get different ones.
    await locked_model(session, model.id)
    given = {tag.key: tag.value for tag in body.tags}
    version = semver_of(
        given,
        newest=await registry.newest_version(session, model.id),
        taken=set(await catalogue.version_names(session, model.id)),
        copied=original is not None,
    )
    given.pop(SEMVER, None)
    details = tagged(
        VersionDetails(description=body.description, run_id=body.run_id or None), given
    )
    new = _registration(str(version), details, body, original)
    by: dict[str, Any] = {"actor": caller.name, "now": now, "reason": _reason(body)}
    row = await commands.register_version(session, model.name, new, **by)
    if original is not None and original.file_sha256 is not None:
        size = (original.artifact.size if original.artifact else None) or 0
        file = File(sha256=original.file_sha256, size=size)
        await commands.attach_artifact(session, row.id, file, original.signature, **by)
    return row.id


def _reason(body: schemas.NewVersion) -> str:
    if copied_from(body.source):
        return f"copied from {body.source} {NOTE}"
    return f"logged by run {body.run_id}, {NOTE}" if body.run_id else f"registered {NOTE}"


def _registration(
    version: str,
    details: VersionDetails,
    body: schemas.NewVersion,
    original: VersionRecord | None,
) -> NewVersion:
    origin = Origin(
        source=body.source if original else None, run_link=body.run_link, model_id=body.model_id
    ).written()
    metadata = {**details.metadata, **({OURS: origin} if origin else {})}
    new = NewVersion(
        version=version,
        description=details.description,
        tags=details.tags,
        run_id=details.run_id,
        metadata=metadata,
        artifact=Artifact(uri=body.source),
    )
    if original is None:
        return new
    return replace(
        new,
        metrics=original.metrics,
        group_metrics=original.group_metrics,
        dataset_version=original.dataset_version,
        dependencies=original.dependencies,
        signature=original.signature,
        artifact=original.artifact,
        runtime=original.runtime,
    )
