from typing import Annotated

from fastapi import Body, Path

from turnout import http
from turnout.callers import Role, needs
from turnout.http import Actor, Now, Session
from turnout.problems import problems
from turnout.registry import approvals, examples, queries
from turnout.registry.domain.approval import ApprovedModels, NewApprovedModels
from turnout.registry.domain.version import ModelNotFound

router = http.router("registry")

Named = Annotated[str, Path(examples=["fraud-detection"])]
Rules = Annotated[NewApprovedModels, Body(openapi_examples=examples.APPROVED_MODELS)]


@router.get(
    "/registry/approved-models", summary="Chat models that may be used", responses=problems()
)
async def show_approved_models(session: Session) -> ApprovedModels:
    """What holds for every version run as `openai`; nothing is forbidden until it is set."""
    return await approvals.approved_models(session)


@router.put(
    "/registry/approved-models", summary="Set which chat models may be used", responses=problems()
)
@needs(Role.ADMIN)
async def set_approved_models(
    body: Rules, session: Session, actor: Actor, now: Now
) -> ApprovedModels:
    """An allow-list of a provider's models (`gpt-4o*`), a highest temperature, and tags such as
    `security-reviewed` that a version needs.

    Checked when a version is registered, when a rollout of it starts, and when a split is set by
    hand: 409 names every rule that it breaks. What serves already goes on, so that a rollback is
    never refused. A model can have rules of its own besides; both hold.
    """
    rules = _rules(body)
    await approvals.approve_models(session, None, rules, actor=actor, now=now, reason=body.reason)
    return rules


@router.get(
    "/models/{model}/approved-models",
    summary="Chat models that may be used for one model",
    responses=problems(ModelNotFound),
)
async def show_approved_models_of_model(model: Named, session: Session) -> ApprovedModels:
    """The rules of this model alone; those of the service hold as well."""
    found = await queries.model(session, model)
    return await approvals.approved_models(session, found.id)


@router.put(
    "/models/{model}/approved-models",
    summary="Set which chat models may be used for one model",
    responses=problems(ModelNotFound),
)
@needs(Role.ADMIN)
async def set_approved_models_of_model(
    model: Named, *, body: Rules, session: Session, actor: Actor, now: Now
) -> ApprovedModels:
    """Rules for the versions of one model, in addition to those of the service."""
    found = await queries.model(session, model)
    rules = _rules(body)
    await approvals.approve_models(session, found, rules, actor=actor, now=now, reason=body.reason)
    return rules


def _rules(body: NewApprovedModels) -> ApprovedModels:
    return ApprovedModels(
        models=body.models,
        max_temperature=body.max_temperature,
        required_tags=body.required_tags,
    )
