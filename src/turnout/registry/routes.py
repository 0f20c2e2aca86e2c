from typing import Annotated

from fastapi import Body, Depends, Path, Query

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.http import Actor, Calling, Listing, Now, Paging, Reason, Session
from turnout.problems import problems
from turnout.registry import commands, examples, queries
from turnout.registry.domain.fields import Label, ModelName
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import (
    ModelExists,
    ModelNotFound,
    NewModel,
    NewVersion,
    NoProductionVersion,
    StillUsed,
    VersionExists,
    VersionNotFound,
    VersionRef,
)
from turnout.registry.filters import (
    RANGE_PARAMETERS,
    after_model,
    after_version,
    metric_ranges,
)
from turnout.registry.schemas import (
    ModelPatch,
    ModelView,
    NextVersions,
    VersionPatch,
    VersionView,
    VersionWithHistory,
    model_view,
    version_view,
    version_with_history,
)

router = http.router("registry")

Named = Annotated[str, Path(examples=["fraud-detection"])]
Versioned = Annotated[
    str, Path(description="A version, or `@` and an alias", examples=["1.0.0", "@champion"])
]


@router.post(
    "/models", status_code=201, summary="Register a model", responses=problems(ModelExists)
)
async def register_model(
    body: Annotated[NewModel, Body(openapi_examples=examples.MODEL)],
    session: Session,
    actor: Actor,
    now: Now,
) -> ModelView:
    """Makes a name for versions to be registered under, best as `<domain>-<task>`.

    Not needed first: registering a version registers its model as well.
    """
    return model_view(
        await commands.register_model(session, body, actor=actor, now=now, reason=body.reason)
    )


@router.get("/models", summary="All models", responses=problems())
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def list_models(session: Session, page: Paging, caller: Calling) -> Listing[ModelView]:
    """Models in the order of their names; of these, the ones the caller's key is for."""
    rows = await queries.models(
        session, names=caller.models, limit=page.limit + 1, after=after_model(page)
    )
    return Listing(
        items=[model_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.name,)),
    )


@router.get("/models/{model}", summary="One model", responses=problems(ModelNotFound))
async def show_model(model: Named, session: Session) -> ModelView:
    """What is known about a model; its versions are a list of their own."""
    return model_view(await queries.model_row(session, model))


@router.patch("/models/{model}", summary="Edit a model", responses=problems(ModelNotFound))
async def edit_model(
    model: Named, patch: ModelPatch, session: Session, actor: Actor, now: Now
) -> ModelView:
    """Changes the fields you send and keeps the rest (a JSON merge patch, RFC 7396).

    `null` resets a field; a list replaces the old one. The name stays.
    """
    found = await queries.model(session, model)
    return model_view(
        await commands.edit_model(
            session, found.id, patch, actor=actor, now=now, reason=patch.reason
        )
    )


@router.delete(
    "/models/{model}",
    status_code=204,
    summary="Delete a model",
    responses=problems(ModelNotFound, StillUsed),
)
async def delete_model(
    model: Named, session: Session, actor: Actor, now: Now, reason: Reason = None
) -> None:
    """Deletes a model that has no versions."""
    found = await queries.model(session, model)
    await commands.delete_model(session, found.id, actor=actor, now=now, reason=reason)


@router.post(
    "/models/{model}/versions",
    status_code=201,
    summary="Register a version",
    responses=problems(VersionExists),
)
async def register_version(
    model: Annotated[ModelName, Path(examples=["fraud-detection"])],
    body: Annotated[NewVersion, Body(openapi_examples=examples.VERSION)],
    session: Session,
    actor: Actor,
    now: Now,
) -> VersionView:
    """Registers one immutable release of a model, and the model itself on first use.

    The version follows Semantic Versioning 2.0.0. `runtime` says how it is served: `onnx` (upload
    the file next), `http` (a model server), `openai` (a chat model), or `external` (the default:
    you run the model, Turnout routes and measures). It starts its life in `development` and gets
    no traffic by itself.
    """
    row = await commands.register_version(
        session, model, body, actor=actor, now=now, reason=body.reason
    )
    return version_view(model, row)


@router.get(
    "/models/{model}/versions",
    summary="Versions of a model",
    responses=problems(ModelNotFound),
    openapi_extra={"parameters": RANGE_PARAMETERS},
)
async def list_versions(
    model: Named,
    session: Session,
    *,
    page: Paging,
    ranges: Annotated[list[queries.MetricRange], Depends(metric_ranges)],
    stage: Lifecycle | None = None,
    tag: Annotated[list[Label] | None, Query(description="Has this tag; repeat for more")] = None,
) -> Listing[VersionView]:
    """Versions by Semantic Versioning precedence, the newest first.

    Conditions are combined: `?stage=staging&tag=security-reviewed&metric.accuracy.min=0.9` are
    the reviewed ones in staging with an accuracy of at least 0.9. A version without a metric
    meets no condition on it.
    """
    found = await queries.model(session, model)
    rows = await queries.versions(
        session,
        found.id,
        stage=stage,
        tags=tag or (),
        ranges=ranges,
        limit=page.limit + 1,
        after=after_version(page),
    )
    return Listing(
        items=[version_view(found.name, row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.precedence, row.id)),
    )


@router.get(
    "/models/{model}/versions/next",
    summary="What to call the next version",
    responses=problems(ModelNotFound),
)
async def suggest_versions(model: Named, session: Session) -> NextVersions:
    """The next major, minor, patch and prerelease after the newest version, whatever its stage.

    A prerelease is followed by its release: after `2.0.0-rc.1`, the next major is `2.0.0`.
    """
    found = await queries.model(session, model)
    newest = await queries.newest_version(session, found.id) or SemVer(0, 0, 0)
    return NextVersions(
        major=str(newest.next_major),
        minor=str(newest.next_minor),
        patch=str(newest.next_patch),
        prerelease=str(newest.next_prerelease),
    )


@router.get(
    "/models/{model}/versions/current",
    summary="The version in production",
    responses=problems(NoProductionVersion),
)
async def show_current_version(model: Named, session: Session) -> VersionWithHistory:
    """The one version whose stage is `production`."""
    found = await queries.model(session, model)
    current = await queries.current_version(session, found.id)
    if current is None:
        raise NoProductionVersion(found.name)
    return await _in_full(session, current)


@router.get(
    "/models/{model}/versions/{version}",
    summary="One version",
    responses=problems(VersionNotFound),
)
async def show_version(model: Named, version: Versioned, session: Session) -> VersionWithHistory:
    """Everything that is known about a version, and how it came to its stage."""
    return await _in_full(session, await _version(session, model, version))


@router.patch(
    "/models/{model}/versions/{version}",
    summary="Edit what is said about a version",
    responses=problems(VersionNotFound),
)
async def edit_version(
    model: Named,
    version: Versioned,
    *,
    patch: VersionPatch,
    session: Session,
    actor: Actor,
    now: Now,
) -> VersionView:
    """Changes the metadata you send and keeps the rest (a JSON merge patch, RFC 7396).

    `null` resets a field, objects such as `metrics` are merged, a list replaces the old one. What
    the version *is* (signature, artifact, runtime, parent) never changes.
    """
    found = await _version(session, model, version)
    row = await commands.edit_version(
        session, found.id, patch, actor=actor, now=now, reason=patch.reason
    )
    return version_view(found.model, row)


@router.delete(
    "/models/{model}/versions/{version}",
    status_code=204,
    summary="Delete a version",
    responses=problems(VersionNotFound, StillUsed),
)
async def delete_version(
    model: Named,
    version: Versioned,
    *,
    session: Session,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> None:
    """Deletes a version that is not in production, gets no traffic and is in no rollout.

    To take a version out of use and keep its record, archive it instead.
    """
    found = await _version(session, model, version)
    await commands.delete_version(session, found.id, actor=actor, now=now, reason=reason)


async def _version(session: Session, model: str, version: str) -> VersionRef:
    found = await queries.model(session, model)
    return await queries.version(session, found.id, version)


async def _in_full(session: Session, version: VersionRef) -> VersionWithHistory:
    row = await queries.version_row(session, version.id)
    return version_with_history(version.model, row, await queries.history(session, version.id))
