from dataclasses import replace
from typing import Annotated

from fastapi import Query

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.http import Actor, Calling, Now, Session
from turnout.interop.mlflow.dialect import NOTE, PREFIX, REFUSALS, TAG, MlflowRoute, NameStays
from turnout.interop.mlflow.domain.filters import OF_MODELS, conditions, model_order
from turnout.interop.mlflow.domain.tags import tagged, untagged
from turnout.interop.mlflow.lookups import (
    Filter,
    OrderBy,
    Token,
    aliased,
    model_of,
    offset_of,
    page,
    version_of,
)
from turnout.interop.mlflow.schemas import (
    FoundModels,
    ModelAlias,
    ModelDescription,
    ModelTag,
    Named,
    NewAlias,
    NewModel,
    Nothing,
    OneModel,
    OneVersion,
    Renaming,
    model_view,
    version_view,
)
from turnout.registry import aliases, catalogue, commands
from turnout.registry.domain.alias import Aim, AliasNotFound
from turnout.registry.domain.version import ModelDetails, ModelRef
from turnout.registry.domain.version import NewModel as Registration

router = http.router(TAG, prefix=PREFIX, route_class=MlflowRoute, responses=REFUSALS)

Name = Annotated[str, Query(examples=["fraud-detection"])]


@router.post("/registered-models/create", summary="Create a registered model")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def create_registered_model(
    body: NewModel, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> OneModel:
    """A name here is what a model's name is in Turnout: letters, digits, dots, dashes and
    underscores. A tag with a value becomes an entry of the model's metadata, one without a tag.
    """
    caller.check_models([body.name])
    details = tagged(
        ModelDetails(description=body.description), {tag.key: tag.value for tag in body.tags}
    )
    new = Registration(
        name=body.name,
        description=details.description,
        tags=details.tags,
        metadata=details.metadata,
    )
    row = await commands.register_model(session, new, actor=actor, now=now, reason=NOTE)
    return await _shown(session, ModelRef(id=row.id, name=row.name))


@router.get("/registered-models/get", summary="One registered model")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def get_registered_model(name: Name, session: Session, caller: Calling) -> OneModel:
    """With its tags and aliases, and the last version of each stage."""
    return await _shown(session, await model_of(session, caller, name))


@router.get("/registered-models/search", summary="Search registered models")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def search_registered_models(
    session: Session,
    caller: Calling,
    *,
    filter: Filter = "",  # noqa: A002  (MLflow's name for it)
    max_results: Annotated[int, Query(ge=1, le=1000)] = 100,
    order_by: OrderBy = None,
    page_token: Token = "",
) -> FoundModels:
    """Clauses on `name` and `tags.<key>`, joined by AND. Prompts are left out unless the filter
    asks for them."""
    offset = offset_of(page_token)
    found = await catalogue.models(
        session,
        conditions(filter, OF_MODELS),
        order=model_order(order_by or ()),
        names=caller.models,
        limit=max_results + 1,
        offset=offset,
    )
    shown, token = page(found, limit=max_results, offset=offset)
    return FoundModels(registered_models=[model_view(one) for one in shown], next_page_token=token)


@router.patch("/registered-models/update", summary="Describe a registered model")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def update_registered_model(
    body: ModelDescription, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> OneModel:
    """Replaces the description."""
    found = await model_of(session, caller, body.name)
    await commands.edit_model(
        session,
        found.id,
        lambda details: replace(details, description=body.description),
        actor=actor,
        now=now,
        reason=NOTE,
    )
    return await _shown(session, found)


@router.post("/registered-models/rename", summary="Rename a registered model: refused")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def rename_registered_model(body: Renaming, session: Session, caller: Calling) -> OneModel:
    """Splits, rollouts and histories go by a model's name, so it stays. Copy the versions to a
    model of the other name instead."""
    found = await model_of(session, caller, body.name)
    if body.new_name != found.name:
        raise NameStays(found.name)
    return await _shown(session, found)


@router.delete("/registered-models/delete", summary="Delete a registered model")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def delete_registered_model(
    body: Named, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """With its versions and aliases: all of them, or none when one is in production or gets
    traffic."""
    found = await model_of(session, caller, body.name)
    for version_id in await catalogue.version_ids(session, found.id):
        await delete_with_aliases(session, found, version_id, actor=actor, now=now)
    await commands.delete_model(session, found.id, actor=actor, now=now, reason=NOTE)
    return Nothing()


@router.post("/registered-models/set-tag", summary="Tag a registered model")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def set_registered_model_tag(
    body: ModelTag, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """Sets or replaces one tag."""
    found = await model_of(session, caller, body.name)
    await commands.edit_model(
        session,
        found.id,
        lambda details: tagged(details, {body.key: body.value}),
        actor=actor,
        now=now,
        reason=NOTE,
    )
    return Nothing()


@router.delete("/registered-models/delete-tag", summary="Delete a tag of a registered model")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def delete_registered_model_tag(
    body: ModelTag, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """One that is not there is as good as deleted."""
    found = await model_of(session, caller, body.name)
    await commands.edit_model(
        session,
        found.id,
        lambda details: untagged(details, body.key),
        actor=actor,
        now=now,
        reason=NOTE,
    )
    return Nothing()


@router.post("/registered-models/alias", summary="Set or move an alias")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def set_registered_model_alias(
    body: NewAlias, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """Lets `models:/<name>@<alias>` lead to this version, from one moment to the next."""
    listed = await version_of(session, caller, body.name, body.version)
    aim = Aim(version=listed.record.version, reason=NOTE)
    await aliases.point(session, listed.record.model_id, body.alias, aim, actor=actor, now=now)
    return Nothing()


@router.delete("/registered-models/alias", summary="Delete an alias")
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def delete_registered_model_alias(
    body: ModelAlias, *, session: Session, caller: Calling, actor: Actor, now: Now
) -> Nothing:
    """One that is not there is as good as deleted."""
    found = await model_of(session, caller, body.name)
    try:
        await aliases.drop(
            session, found.id, body.alias, expected=None, actor=actor, now=now, reason=NOTE
        )
    except AliasNotFound:
        return Nothing()
    return Nothing()


@router.get("/registered-models/alias", summary="The version that an alias leads to")
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def get_model_version_by_alias(
    name: Name,
    alias: Annotated[str, Query(examples=["champion"])],
    session: Session,
    caller: Calling,
) -> OneVersion:
    """`latest` is the version that was registered last."""
    found = await model_of(session, caller, name)
    return OneVersion(model_version=version_view(await aliased(session, found, alias)))


async def delete_with_aliases(
    session: Session, model: ModelRef, version_id: int, *, actor: Actor, now: Now
) -> None:
    """MLflow drops the aliases of what it deletes; here, that is a step of its own."""
    listed = await catalogue.version(session, version_id)
    for alias in listed.aliases:
        await aliases.drop(
            session, model.id, alias, expected=None, actor=actor, now=now, reason=NOTE
        )
    await session.flush()
    await commands.delete_version(session, version_id, actor=actor, now=now, reason=NOTE)


async def _shown(session: Session, model: ModelRef) -> OneModel:
    await session.flush()
    return OneModel(registered_model=model_view(await catalogue.model(session, model)))
