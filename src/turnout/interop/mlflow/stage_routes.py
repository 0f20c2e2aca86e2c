from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pydantic_core import to_jsonable_python

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.db import transaction
from turnout.gates import moves
from turnout.gates.dependencies import Gates
from turnout.gates.domain.outcome import GatesNotPassed, Outcome
from turnout.gates.moves import Request as Move
from turnout.http import Calling, Resources, Session, Work
from turnout.interop.mlflow.dialect import (
    NOTE,
    PREFIX,
    REFUSALS,
    TAG,
    MlflowRoute,
    NothingToArchive,
)
from turnout.interop.mlflow.domain.stages import SHOWN, Stage, read_stage, steps
from turnout.interop.mlflow.lookups import model_of, version_id_of
from turnout.interop.mlflow.model_routes import Name
from turnout.interop.mlflow.schemas import (
    FoundVersions,
    OneVersion,
    StagesOf,
    StageTransition,
    version_view,
)
from turnout.problems import answer
from turnout.registry import catalogue
from turnout.registry import queries as registry
from turnout.registry.catalogue import ListedVersion
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import VersionRef

router = http.router(TAG, prefix=PREFIX, route_class=MlflowRoute, responses=REFUSALS)

Shared = Annotated[Resources, Depends(http.resources)]


@router.post(
    "/model-versions/transition-stage",
    summary="Move a model version to another stage",
    response_model=OneVersion,
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def transition_model_version_stage(
    body: StageTransition,
    *,
    request: Request,
    resources: Shared,
    gates: Gates,
    work: Work,
    caller: Calling,
) -> OneVersion | Response:
    """`None` is development, and `Archived` also shows what was rejected. The version passes the
    gates before every stage on its way: from None to Production it goes by Staging, and stays there
    if it may not go on. A refusal says which gate, and is not tried again by the client.

    There is one version in Production: the one before it is archived, whatever
    `archive_existing_versions` says. The stage moves no traffic.
    """
    to = read_stage(body.stage)
    if body.archive_existing_versions and to not in {Stage.STAGING, Stage.PRODUCTION}:
        raise NothingToArchive(to)
    await work.check_unanswered()
    async with transaction(resources.sessions) as session:
        version_id = await version_id_of(session, caller, body.name, body.version)
        version = (await registry.versions_by_id(session, [version_id]))[version_id]
    try:
        for step in steps(version.stage, to):
            version = await _moved(resources, gates, version, step, actor=caller.name)
        if body.archive_existing_versions and to is Stage.STAGING:
            await _archive_others(resources, gates, version, actor=caller.name)
    except GatesNotPassed as refusal:
        await work.begin()
        return answer(request, refusal)
    session = await work.begin()
    return OneVersion(model_version=version_view(await catalogue.version(session, version_id)))


@router.post("/registered-models/get-latest-versions", summary="The last version of each stage")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def get_latest_versions(body: StagesOf, session: Session, caller: Calling) -> FoundVersions:
    """Of the named stages, or of all. A semantic version is understood in the place of a stage, so
    that `models:/fraud-detection/1.2.0` leads to it."""
    return await _latest(session, caller, body.name, body.stages)


@router.get("/registered-models/get-latest-versions", summary="The same, for older clients")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def get_latest_versions_by_query(
    name: Name,
    session: Session,
    caller: Calling,
    stages: Annotated[list[str] | None, Query(examples=[["Production"]])] = None,
) -> FoundVersions:
    """Of the named stages, or of all."""
    return await _latest(session, caller, name, tuple(stages or ()))


async def _latest(
    session: Session, caller: Calling, name: str, stages: tuple[str, ...]
) -> FoundVersions:
    model = await model_of(session, caller, name)
    latest = (await catalogue.latest_versions(session, [model.id])).get(model.id, [])
    by_stage = {SHOWN[one.record.stage]: one for one in latest}  # in the order of numbers
    found: dict[int, ListedVersion] = {}
    for text in stages or tuple(Stage):
        listed = (
            await _of_semver(session, model.id, text)
            if _is_semver(text)
            else by_stage.get(read_stage(text))
        )
        if listed is not None:
            found[listed.number] = listed
    return FoundVersions(model_versions=[version_view(one) for one in found.values()])


def _is_semver(text: str) -> bool:
    try:
        SemVer.parse(text)
    except ValueError:
        return False
    return True


async def _of_semver(session: Session, model_id: int, text: str) -> ListedVersion:
    version = await registry.version(session, model_id, text)
    return await catalogue.version(session, version.id)


async def _moved(
    resources: Resources, gates: Gates, version: VersionRef, to: Lifecycle, *, actor: str
) -> VersionRef:
    move = Move(version=version, to=to, actor=actor, reason=NOTE)
    row = await moves.ask(resources.sessions, gates, move, clock=resources.clock)
    if row is not None and row.outcome != Outcome.MOVED:
        rejected = row.outcome == Outcome.REJECTED
        raise GatesNotPassed(
            version.model,
            version.version,
            to,
            row.report,
            shown=to_jsonable_python(row.report),
            stage=Lifecycle.REJECTED if rejected else version.stage,
            note=" and is rejected" if rejected else "",
        )
    return replace(version, stage=to)


async def _archive_others(
    resources: Resources, gates: Gates, version: VersionRef, *, actor: str
) -> None:
    async with transaction(resources.sessions) as session:
        staged = await catalogue.version_ids(session, version.model_id, stage=Lifecycle.STAGING)
        others = await registry.versions_by_id(
            session, [one for one in staged if one != version.id]
        )
    for other in others.values():
        await _moved(resources, gates, other, Lifecycle.ARCHIVED, actor=actor)
