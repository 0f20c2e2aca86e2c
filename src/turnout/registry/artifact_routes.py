import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from turnout import http
from turnout.db import transaction
from turnout.errors import Unprocessable
from turnout.http import Actor, Now, Reason, Resources, Session
from turnout.problems import problems
from turnout.registry import artifacts, commands, onnx, queries
from turnout.registry.domain.upload import ArtifactFixed, ArtifactTooLarge, NoArtifact, check_file
from turnout.registry.domain.version import VersionNotFound, VersionRef
from turnout.registry.schemas import VersionView, version_view

router = http.router("registry")

Named = Annotated[str, Path(examples=["fraud-detection"])]
Versioned = Annotated[
    str, Path(description="A version, or `@` and an alias", examples=["1.0.0", "@champion"])
]


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


async def _body(request: Request, megabytes: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > megabytes * 1_000_000:
        raise ArtifactTooLarge(megabytes)
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise Unprocessable("the upload broke off before the end of the file") from None
