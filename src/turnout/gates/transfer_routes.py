import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Final

from fastapi import Depends, Query
from fastapi.responses import StreamingResponse

from turnout import http
from turnout.callers import Role, needs
from turnout.gates import transfer
from turnout.gates.domain.document import WholeRegistry, gate_contradictions
from turnout.http import Actor, Now, Reason, Resources, Session
from turnout.problems import problems
from turnout.registry import artifacts
from turnout.registry.domain.document import (
    Damaged,
    ImportConflicts,
    contradictions,
)

router = http.router("registry")

IN_MEMORY: Final = 4_000_000
BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingFile:
    model: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What was added, or would be. What was here already, and is the same, is not counted."""

    dry_run: bool
    models: int
    versions: int
    aliases: int
    gate_policies: int
    approvals: int
    missing_files: Sequence[MissingFile]


@router.get(
    "/registry/export",
    summary="Every model, version and alias as one document",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/WholeRegistry"}}
            }
        },
        **problems(),
    },
)
async def export_registry(
    resources: Annotated[Resources, Depends(http.resources)],
) -> StreamingResponse:
    """Every model with its versions in full, their histories, and aliases with theirs, as of one
    moment. The same registry always gives the same bytes.

    Model files are named by their SHA-256 (`file_sha256`) and do not travel in it: copy the
    directory `artifacts` of TURNOUT_DATA_DIR, or download and upload them one by one. `gates` has
    each model's own gate policy, revision by revision, and every approval. The service's rules (its
    default policy, approved models) are no part of it, nor are gate reports, splits, rollouts,
    experiments, observations and the audit log: `turnout backup` is for everything.
    """
    # Into a file first: a reader may be slow, and no transaction may wait for one.
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (closed below)
    async with resources.sessions() as session, session.begin():
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        async for piece in transfer.exported(session):
            await asyncio.to_thread(spool.write, piece)
    spool.seek(0)
    return StreamingResponse(
        _blocks(spool),
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="turnout-registry.json"'},
    )


@router.post(
    "/registry/import",
    summary="Take in an exported registry",
    responses=problems(ImportConflicts, Damaged),
)
@needs(Role.ADMIN)
async def import_registry(
    document: WholeRegistry,
    session: Session,
    resources: Annotated[Resources, Depends(http.resources)],
    actor: Actor,
    now: Now,
    *,
    dry_run: Annotated[bool, Query(description="Only say what would happen")] = False,
    reason: Reason = None,
) -> ImportReport:
    """Adds every model, version, alias, gate policy and approval of the document that is not here,
    with its times, people and history as they were; what is here and the same is left alone, so
    that importing again changes nothing. An approval is taken as the document has it: import only
    from where you trust the people. Rules for chat models are not asked here, but before a version
    gets traffic.

    All or nothing: whatever differs from what is here is listed as a conflict, one by one, and
    then nothing is imported. `missing_files` are model files that this replica does not have: copy
    them into TURNOUT_DATA_DIR, or upload each to its version, which takes only the very same file.
    A document over TURNOUT_MAX_BODY_MEGABYTES needs that setting raised.
    """
    if errors := [*contradictions(document), *gate_contradictions(document)]:
        raise Damaged(errors)
    done = await transfer.take_in(
        session, document, dry_run=dry_run, actor=actor, now=now, reason=reason
    )
    root = resources.settings.artifacts_dir
    missing = await asyncio.to_thread(lambda: list(_missing(document, root)))
    return ImportReport(
        dry_run=dry_run,
        models=done.models,
        versions=done.versions,
        aliases=done.aliases,
        gate_policies=done.gate_policies,
        approvals=done.approvals,
        missing_files=missing,
    )


def _missing(document: WholeRegistry, root: Path) -> Iterator[MissingFile]:
    for model in document.models:
        for version in model.versions:
            sha256 = version.file_sha256
            if sha256 is not None and not artifacts.location(root, sha256).is_file():
                yield MissingFile(model=model.name, version=version.version, sha256=sha256)


async def _blocks(spool: IO[bytes]) -> AsyncIterator[bytes]:
    with spool:
        while block := await asyncio.to_thread(spool.read, BLOCK):
            yield block
