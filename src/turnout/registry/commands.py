"""What changes the registry."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import TypeVar

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from turnout.access.commands import audit
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.registry.approvals import check_registration
from turnout.registry.domain.lifecycle import Lifecycle, check_transition
from turnout.registry.domain.runtime import Artifact
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.signature import Signature
from turnout.registry.domain.upload import File, check_file
from turnout.registry.domain.version import (
    ModelDetails,
    ModelExists,
    NewModel,
    NewVersion,
    StillUsed,
    VersionDetails,
    VersionExists,
)
from turnout.registry.locks import (
    beside_others,
    locked_model,
    locked_version,
    next_number,
    shared_model,
)
from turnout.registry.tables import LifecycleTransition, Model, Version

Details = TypeVar("Details", ModelDetails, VersionDetails)


async def register_model(
    session: AsyncSession, new: NewModel, *, actor: str, now: datetime, reason: str | None
) -> Model:
    details = _details(ModelDetails, new)
    model = await _add_model(session, new.name, details, actor=actor, now=now, reason=reason)
    if model is None:
        raise ModelExists(new.name)
    return model


async def edit_model(
    session: AsyncSession,
    model_id: int,
    edit: Callable[[ModelDetails], ModelDetails],
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Model:
    model = await locked_model(session, model_id)
    before, model.details = model.details, edit(model.details)
    model.updated_at = now
    audit(
        session,
        actor=actor,
        action="model.edited",
        subject=_path(model),
        before=to_jsonable_python(before),
        after=to_jsonable_python(model.details),
        reason=reason,
        now=now,
    )
    return model


async def delete_model(
    session: AsyncSession, model_id: int, *, actor: str, now: datetime, reason: str | None
) -> None:
    """Delete a model that has no versions."""
    model = await locked_model(session, model_id)
    query = select(Version.version).where(Version.model_id == model_id)
    versions = (await session.scalars(query.order_by(Version.precedence))).all()
    if versions:
        listed = ", ".join(versions[:10]) + (", …" if len(versions) > 10 else "")
        raise StillUsed(f"{model.name} has versions: delete {listed} first", versions=len(versions))
    await _delete(session, model, model.name)
    audit(
        session,
        actor=actor,
        action="model.deleted",
        subject=_path(model),
        before=to_jsonable_python(model.details),
        reason=reason,
        now=now,
    )


async def register_version(
    session: AsyncSession,
    model_name: str,
    new: NewVersion,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Version:
    """Register a version, and its model with it when this is the model's first."""
    model = await _shared_or_added(session, model_name, actor=actor, now=now, reason=reason)
    await check_registration(session, model.id, model_name, new)
    insertion = insert(Version).values(
        model_id=model.id,
        version=new.version,
        number=await next_number(session, model.id),
        precedence=SemVer.parse(new.version).precedence,
        stage=Lifecycle.DEVELOPMENT,
        details=_details(VersionDetails, new),
        parent_version=new.parent_version,
        signature=new.signature,
        artifact=new.artifact,
        runtime=new.runtime,
        created_at=now,
        created_by=actor,
        updated_at=now,
    )
    wanted = insertion.on_conflict_do_nothing().returning(Version)
    version: Version | None = await session.scalar(wanted)
    if version is None:
        raise VersionExists(model_name, new.version)
    set_committed_value(version, "aliases", [])  # which RETURNING cannot look up
    audit(
        session,
        actor=actor,
        action="version.registered",
        subject=_path(model, version),
        after=to_jsonable_python(new),
        reason=reason,
        now=now,
    )
    told = {"stage": version.stage, "reason": reason, "actor": actor}
    _tell(session, EventType.VERSION_REGISTERED, model, version, now=now, told=told)
    return version


async def edit_version(
    session: AsyncSession,
    version_id: int,
    edit: Callable[[VersionDetails], VersionDetails],
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Version:
    model, version = await locked_version(session, version_id)
    before, version.details = version.details, edit(version.details)
    version.updated_at = now
    audit(
        session,
        actor=actor,
        action="version.edited",
        subject=_path(model, version),
        before=to_jsonable_python(before),
        after=to_jsonable_python(version.details),
        reason=reason,
        now=now,
    )
    return version


async def delete_version(
    session: AsyncSession, version_id: int, *, actor: str, now: datetime, reason: str | None
) -> None:
    """Delete a version that is not in production, has no alias, and that nothing refers to.

    A slice that gives a version traffic, or may return to it, says so by a foreign key.
    """
    model, version = await locked_version(session, version_id)
    name = f"{model.name} {version.version}"
    if version.stage is Lifecycle.PRODUCTION:
        raise StillUsed(f"{name} is in production", stage=version.stage)
    if version.aliases:
        listed = ", ".join(version.aliases)
        raise StillUsed(
            f"{name} has the alias {listed}: move it to another version, or delete it first",
            aliases=version.aliases,
        )
    await _delete(session, version, name)
    audit(
        session,
        actor=actor,
        action="version.deleted",
        subject=_path(model, version),
        before={"stage": version.stage, **to_jsonable_python(version.details)},
        reason=reason,
        now=now,
    )


async def attach_artifact(
    session: AsyncSession,
    version_id: int,
    file: File,
    signature: Signature | None,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Version:
    """Make a file of the artifact store the version's own, for good.

    `signature` is what the file says of itself; it fills in for one that was not declared.
    """
    model, version = await locked_version(session, version_id)
    check_file(file, announced=version.artifact, present=version.file_sha256)
    if version.file_sha256 == file.sha256:
        return version
    announced = version.artifact
    version.file_sha256 = file.sha256
    version.artifact = replace(version.artifact or Artifact(), sha256=file.sha256, size=file.size)
    version.signature = version.signature or signature
    version.updated_at = now
    audit(
        session,
        actor=actor,
        action="version.artifact_attached",
        subject=_path(model, version),
        before=to_jsonable_python(announced),
        after=to_jsonable_python(version.artifact),
        reason=reason,
        now=now,
    )
    return version


async def transition(
    session: AsyncSession,
    version_id: int,
    to: Lifecycle,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Version:
    """Move a version to another stage; whatever was in production before it is archived."""
    model, version = await locked_version(session, version_id)
    check_transition(version.stage, to)
    if to is Lifecycle.PRODUCTION:
        query = select(Version).where(Version.model_id == model.id)
        previous = await session.scalar(query.where(Version.stage == Lifecycle.PRODUCTION))
        if previous is not None:
            note = f"{version.version} took over"
            _move(session, model, previous, Lifecycle.ARCHIVED, actor=actor, now=now, reason=note)
            await session.flush()  # an index allows one version in production at any moment
    _move(session, model, version, to, actor=actor, now=now, reason=reason)
    return version


async def enter_production(
    session: AsyncSession, version_id: int, *, actor: str, now: datetime, reason: str | None
) -> None:
    """Bring a version into production, by way of staging if it comes from development.

    Nothing happens to one that is there; a rejected one is refused.
    """
    _, version = await locked_version(session, version_id)
    if version.stage is Lifecycle.PRODUCTION:
        return
    if version.stage is Lifecycle.DEVELOPMENT:
        staging = Lifecycle.STAGING
        await transition(session, version_id, staging, actor=actor, now=now, reason=reason)
    production = Lifecycle.PRODUCTION
    await transition(session, version_id, production, actor=actor, now=now, reason=reason)


async def _shared_or_added(
    session: AsyncSession, name: str, *, actor: str, now: datetime, reason: str | None
) -> Model:
    model = await shared_model(session, name)
    if model is None:
        model = await _add_model(session, name, ModelDetails(), actor=actor, now=now, reason=reason)
    if model is None:  # another registration came in between, and has been committed
        model = await shared_model(session, name)
    assert model is not None
    return model


async def _add_model(
    session: AsyncSession,
    name: str,
    details: ModelDetails,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Model | None:
    """Add a model; None if there is one of that name."""
    await beside_others(session)
    insertion = insert(Model).values(
        name=name, details=details, created_at=now, created_by=actor, updated_at=now
    )
    model: Model | None = await session.scalar(insertion.on_conflict_do_nothing().returning(Model))
    if model is not None:
        audit(
            session,
            actor=actor,
            action="model.registered",
            subject=_path(model),
            after=to_jsonable_python(details),
            reason=reason,
            now=now,
        )
    return model


def _move(
    session: AsyncSession,
    model: Model,
    version: Version,
    to: Lifecycle,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    """The only writer of a stage: the row, its history and the audit log together."""
    before, version.stage = version.stage, to
    version.updated_at = now
    session.add(
        LifecycleTransition(
            version_id=version.id,
            from_stage=before,
            to_stage=to,
            at=now,
            actor=actor,
            reason=reason,
        )
    )
    audit(
        session,
        actor=actor,
        action="version.transitioned",
        subject=_path(model, version),
        before={"stage": before},
        after={"stage": to},
        reason=reason,
        now=now,
    )
    told = {"from_stage": before, "stage": to, "reason": reason, "actor": actor}
    _tell(session, EventType.VERSION_TRANSITIONED, model, version, now=now, told=told)


def _tell(
    session: AsyncSession,
    kind: EventType,
    model: Model,
    version: Version,
    *,
    told: Mapping[str, str | None],
    now: datetime,
) -> None:
    data = {"model": model.name, "version": version.version, **told}
    subject = _path(model, version)
    emit(session, kind, subject=subject, model=model.name, data=data, now=now)


async def _delete(session: AsyncSession, row: Model | Version, name: str) -> None:
    """Delete, unless a row of another slice refers to this one."""
    try:
        async with session.begin_nested():
            await session.delete(row)
    except IntegrityError as error:
        table = getattr(getattr(error.orig, "__cause__", None), "table_name", None)
        raise StillUsed(f"{name} is in use: a {table} refers to it", used_by=table) from None


def _details(kind: type[Details], new: Details) -> Details:
    """The part of a registration that may be edited later."""
    return kind(**{part.name: getattr(new, part.name) for part in fields(kind)})


def _path(model: Model, version: Version | None = None) -> str:
    path = f"models/{model.name}"
    return path if version is None else f"{path}/versions/{version.version}"
