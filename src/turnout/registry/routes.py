import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Body, Depends, Path, Query, Request
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from turnout import http
from turnout.db import transaction
from turnout.errors import Unprocessable
from turnout.http import Actor, Listing, Now, Paging, Resources, Session
from turnout.problems import problems
from turnout.registry import artifacts, commands, examples, onnx, queries
from turnout.registry.domain.fields import Label, ModelName, Summary
from turnout.registry.domain.lifecycle import InvalidTransition, Lifecycle
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.upload import (
    ArtifactFixed,
    ArtifactTooLarge,
    NoArtifact,
    check_file,
)
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
    Destination,
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
Reason = Annotated[Summary | None, Query(description="Why, for the audit log")]


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
async def list_models(session: Session, page: Paging) -> Listing[ModelView]:
    """Models in the order of their names."""
    rows = await queries.models(session, limit=page.limit + 1, after=after_model(page))
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


@router.post(
    "/models/{model}/versions/{version}/transitions",
    summary="Move a version to another stage",
    responses=problems(VersionNotFound, InvalidTransition),
)
async def transition_version(
    model: Named,
    version: Versioned,
    *,
    body: Annotated[Destination, Body(openapi_examples=examples.TRANSITION)],
    session: Session,
    actor: Actor,
    now: Now,
) -> VersionWithHistory:
    """Moves a version along its life: development, staging, production, archived, or rejected.

    Entering production archives the version that was there. The stage is a label: it moves no
    traffic, which a rollout or a split does. A refusal lists the stages that are allowed.
    """
    found = await _version(session, model, version)
    await commands.transition(session, found.id, body.to, actor=actor, now=now, reason=body.reason)
    return await _in_full(session, found)


@router.put(
    "/models/{model}/versions/{version}/artifact",
    summary="Upload a version's file",
    responses=problems(VersionNotFound, ArtifactFixed, ArtifactTooLarge),
    max_body_size=sys.maxsize,  # the store counts as it writes, against a limit of its own
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload_artifact(
    model: Named,
    version: Versioned,
    *,
    request: Request,
    resources: Annotated[Resources, Depends(http.resources)],
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> VersionView:
    """Takes the file as the body, as it is: `curl --upload-file model.onnx …/artifact`.

    The file is held against the `sha256` and `size` of the registration, if any. For the runtime
    `onnx` it has to be one ONNX file without external data and custom operators; its inputs and
    outputs become the version's signature, or are held against the declared one. Sending the same
    file again changes nothing; another file is refused, since a version never changes.
    """
    # Two transactions with the upload between them: none may be open while a client is slow.
    store = resources.settings.artifacts_dir
    async with transaction(resources.sessions) as session:
        found = await _version(session, model, version)
    limit = resources.settings.max_artifact_megabytes
    async with artifacts.received(store, _body(request, limit), megabytes=limit) as incoming:
        check_file(incoming.file, announced=found.artifact, present=found.file_sha256)
        signature = await onnx.checked_signature(found, incoming.path)
        await asyncio.to_thread(artifacts.keep, store, incoming)
    async with transaction(resources.sessions) as session:
        row = await commands.attach_artifact(
            session, found.id, incoming.file, signature, actor=actor, now=now, reason=reason
        )
    return version_view(found.model, row)


@router.get(
    "/models/{model}/versions/{version}/artifact",
    summary="Download a version's file",
    response_class=FileResponse,
    responses=problems(VersionNotFound, NoArtifact),
)
async def download_artifact(
    model: Named,
    version: Versioned,
    session: Session,
    resources: Annotated[Resources, Depends(http.resources)],
) -> FileResponse:
    """The uploaded file, byte for byte; the header `ETag` holds its SHA-256."""
    found = await _version(session, model, version)
    if found.file_sha256 is None:
        raise NoArtifact(f"nothing was uploaded for {found.model} {found.version}")
    path = artifacts.location(resources.settings.artifacts_dir, found.file_sha256)
    if not await asyncio.to_thread(path.is_file):
        raise artifacts.NotHere(found.file_sha256)
    return FileResponse(
        path,
        media_type="application/octet-stream",
        filename=f"{found.model}-{found.version}",
        headers={"ETag": f'"{found.file_sha256}"'},
    )


async def _version(session: Session, model: str, version: str) -> VersionRef:
    found = await queries.model(session, model)
    return await queries.version(session, found.id, version)


async def _in_full(session: Session, version: VersionRef) -> VersionWithHistory:
    row = await queries.version_row(session, version.id)
    return version_with_history(version.model, row, await queries.history(session, version.id))


async def _body(request: Request, megabytes: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > megabytes * 1_000_000:
        raise ArtifactTooLarge(megabytes)
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise Unprocessable("the upload broke off before the end of the file") from None
