from typing import Annotated

from fastapi import Body, Path, Query

from turnout import http
from turnout.http import Actor, Listing, Now, Paging, Reason, Session
from turnout.problems import problems
from turnout.registry import aliases, examples, queries
from turnout.registry.domain.alias import Aim, AliasMoved, AliasName, AliasNotFound
from turnout.registry.domain.fields import VersionName
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.registry.filters import after_alias, after_id
from turnout.registry.schemas import AliasStep, AliasView, alias_step, alias_view

router = http.router("registry")

Named = Annotated[str, Path(examples=["fraud-detection"])]
Aliased = Annotated[AliasName, Path(examples=["champion"])]


@router.get(
    "/models/{model}/aliases", summary="A model's aliases", responses=problems(ModelNotFound)
)
async def list_aliases(model: Named, session: Session, page: Paging) -> Listing[AliasView]:
    """Aliases in the order of their names, each with the version it leads to now."""
    found = await queries.model(session, model)
    rows = await queries.aliases(session, found.id, limit=page.limit + 1, after=after_alias(page))
    return Listing(
        items=[alias_view(alias, version) for alias, version in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row[0].name,)),
    )


@router.put(
    "/models/{model}/aliases/{alias}",
    summary="Set or move an alias",
    responses=problems(ModelNotFound, VersionNotFound, AliasMoved),
)
async def move_alias(
    model: Named,
    alias: Aliased,
    *,
    body: Annotated[Aim, Body(openapi_examples=examples.ALIAS)],
    session: Session,
    actor: Actor,
    now: Now,
) -> AliasView:
    """Lets a name such as `champion` lead to a version, from one moment to the next.

    Wherever a path names a version, `@champion` then stands for it, and so it does in the
    `version` of a prediction. An alias moves no traffic: a rollout or a split does. With
    `expected`, it is moved only if it leads there now, so that of two who move it at once one is
    refused. A version that has an alias cannot be deleted.

    Names are those that MLflow takes: letters, digits, dashes and underscores, but not `latest`
    and not `v` with a number.
    """
    found = await queries.model(session, model)
    row, version = await aliases.point(session, found.id, alias, body, actor=actor, now=now)
    return alias_view(row, version.version)


@router.delete(
    "/models/{model}/aliases/{alias}",
    status_code=204,
    summary="Delete an alias",
    responses=problems(AliasNotFound, AliasMoved),
)
async def delete_alias(
    model: Named,
    alias: Aliased,
    *,
    session: Session,
    actor: Actor,
    now: Now,
    expected: Annotated[VersionName | None, Query(description="Only if it leads there")] = None,
    reason: Reason = None,
) -> None:
    """Takes the name away; the version and the alias's history stay."""
    found = await queries.model(session, model)
    await aliases.drop(
        session,
        found.id,
        alias,
        expected=expected,
        actor=actor,
        now=now,
        reason=reason,
    )


@router.get(
    "/models/{model}/aliases/{alias}/history",
    summary="Where an alias led",
    responses=problems(ModelNotFound),
)
async def show_alias_history(
    model: Named, alias: Aliased, session: Session, page: Paging
) -> Listing[AliasStep]:
    """Every move of an alias, newest first: who, when and why. A deleted one keeps its history."""
    found = await queries.model(session, model)
    rows = await queries.alias_moves(
        session, found.id, alias, limit=page.limit + 1, after=after_id(page)
    )
    return Listing(
        items=[alias_step(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.id,)),
    )
