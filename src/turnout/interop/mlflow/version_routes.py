from dataclasses import replace
from typing import Annotated

from fastapi import Query

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.http import Actor, Calling, Now, Session
from turnout.interop.mlflow.dialect import NOTE, PREFIX, REFUSALS, TAG, MlflowRoute, NoLocation
from turnout.interop.mlflow.domain.filters import OF_VERSIONS, conditions, version_order
from turnout.interop.mlflow.domain.tags import semver_kept, tagged, untagged
from turnout.interop.mlflow.lookups import (
    Filter,
    OrderBy,
    Token,
    model_of,
    offset_of,
    page,
    version_of,
)
from turnout.interop.mlflow.model_routes import Name, delete_with_aliases
from turnout.interop.mlflow.registration import register
from turnout.interop.mlflow.schemas import (
    FoundVersions,
    Location,
    NewVersion,
    Nothing,
    Numbered,
    OneVersion,
    VersionDescription,
    VersionTag,
    version_view,
)
from turnout.registry import catalogue, commands

router = http.router(TAG, prefix=PREFIX, route_class=MlflowRoute, responses=REFUSALS)

Version = Annotated[str, Query(description="The version's number", examples=["1"])]


@router.post("/model-versions/create", summary="Create a model version")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def create_model_version(
    body: NewVersion, *, session: Session, caller: Calling, now: Now
) -> OneVersion:
    """Its number is the next one. Its semantic version is that of the tag `semver`; else that of
    a tag `version`, if it is one and free; else the next minor version, from `1.0.0` on.

    A `source` of `models:/<name>/<number>` makes a copy, which is served as its original is and
    has its metrics. A copy whose semantic version is taken counts up.
    """
    found = await model_of(session, caller, body.name)
    version_id = await register(session, found, body, caller=caller, now=now)
    return await _shown(session, version_id)


@router.get("/model-versions/get", summary="One model version")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def get_model_version(
    name: Name, version: Version, session: Session, caller: Calling
) -> OneVersion:
    """With its tags, among which `semver` is its semantic version in Turnout."""
    return OneVersion(model_version=version_view(await version_of(session, caller, name, version)))


@router.get("/model-versions/search", summary="Search model versions")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def search_model_versions(
    session: Session,
    caller: Calling,
    *,
    filter: Filter = "",  # noqa: A002  (MLflow's name for it)
    max_results: Annotated[int, Query(ge=1, le=200_000)] = 10_000,
    order_by: OrderBy = None,
    page_token: Token = "",
) -> FoundVersions:
    """Clauses on `name`, `run_id`, `source_path`, `version_number` and `tags.<key>`, joined by AND.

    `tags.semver = '1.2.0'` finds by semantic version. Prompts are left out unless the filter asks
    for them.
    """
    offset = offset_of(page_token)
    found = await catalogue.versions(
        session,
        conditions(filter, OF_VERSIONS),
        order=version_order(order_by or ()),
        names=caller.models,
        limit=max_results + 1,
        offset=offset,
    )
    shown, token = page(found, limit=max_results, offset=offset)
    return FoundVersions(model_versions=[version_view(one) for one in shown], next_page_token=token)


@router.get("/model-versions/get-download-uri", summary="Where a model version's files are")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def get_model_version_download_uri(
    name: Name, version: Version, session: Session, caller: Calling
) -> Location:
    """The address that the version was registered with; of a copy, that of its original. The
    client fetches the files there by itself."""
    listed = await version_of(session, caller, name, version)
    uri = listed.record.artifact.uri if listed.record.artifact else None
    if uri is None:
        raise NoLocation(listed.record.model, listed.number, listed.record.version)
    return Location(artifact_uri=uri)


@router.patch("/model-versions/update", summary="Describe a model version")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def update_model_version(
    body: VersionDescription, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> OneVersion:
    """Replaces the description."""
    listed = await version_of(session, caller, body.name, body.version)
    await commands.edit_version(
        session,
        listed.record.id,
        lambda details: replace(details, description=body.description),
        actor=actor,
        now=now,
        reason=NOTE,
    )
    return await _shown(session, listed.record.id)


@router.delete("/model-versions/delete", summary="Delete a model version")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def delete_model_version(
    body: Numbered, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """With its aliases; refused for one that is in production, gets traffic or is in a rollout.
    Its number is not given again."""
    model = await model_of(session, caller, body.name)
    listed = await version_of(session, caller, body.name, body.version)
    await delete_with_aliases(session, model, listed.record.id, actor=actor, now=now)
    return Nothing()


@router.post("/model-versions/set-tag", summary="Tag a model version")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def set_model_version_tag(
    body: VersionTag, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """A tag with a value becomes an entry of the version's metadata, one without a tag: gates that
    ask for metadata or tags find them there."""
    listed = await version_of(session, caller, body.name, body.version)
    if semver_kept(body.key, body.value, version=listed.record.version):
        return Nothing()
    await commands.edit_version(
        session,
        listed.record.id,
        lambda details: tagged(details, {body.key: body.value}),
        actor=actor,
        now=now,
        reason=NOTE,
    )
    return Nothing()


@router.delete("/model-versions/delete-tag", summary="Delete a tag of a model version")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def delete_model_version_tag(
    body: VersionTag, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """One that is not there is as good as deleted."""
    listed = await version_of(session, caller, body.name, body.version)
    semver_kept(body.key, "", version=listed.record.version)
    await commands.edit_version(
        session,
        listed.record.id,
        lambda details: untagged(details, body.key),
        actor=actor,
        now=now,
        reason=NOTE,
    )
    return Nothing()


async def _shown(session: Session, version_id: int) -> OneVersion:
    await session.flush()
    return OneVersion(model_version=version_view(await catalogue.version(session, version_id)))
