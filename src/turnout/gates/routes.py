from typing import Annotated

from fastapi import Body, Depends, Path, Request, Response
from pydantic_core import to_jsonable_python

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.db import transaction
from turnout.gates import commands, examples, moves, queries
from turnout.gates.dependencies import Gates
from turnout.gates.domain.outcome import (
    GATED,
    ApprovalNotFound,
    ApprovedAlready,
    GatesNotPassed,
    NoGates,
    NoPolicy,
    NotGated,
    NothingToApprove,
    NotYours,
    Outcome,
    WithdrawnAlready,
)
from turnout.gates.domain.policy import GatePolicy, NewPolicy
from turnout.gates.moves import Request as Move
from turnout.gates.schemas import (
    Approvals,
    ApprovalView,
    Destination,
    Moved,
    NewApproval,
    PolicyView,
    ReportView,
    approval_view,
    policy_view,
    report_view,
)
from turnout.gates.tables import GateReport
from turnout.http import Actor, Listing, Now, Paging, Reason, Resources, Session, Work
from turnout.problems import answer, problems
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import InvalidTransition, Lifecycle
from turnout.registry.domain.version import ModelNotFound, ModelRef, VersionNotFound, VersionRef
from turnout.registry.filters import after_id

router = http.router("gates")

Named = Annotated[str, Path(examples=["fraud-detection"])]
Versioned = Annotated[str, Path(examples=["1.0.0"])]
Shared = Annotated[Resources, Depends(http.resources)]


@router.post(
    "/models/{model}/versions/{version}/transitions",
    summary="Move a version to another stage",
    response_model=Moved,
    responses=problems(VersionNotFound, InvalidTransition),
)
async def transition_version(
    model: Named,
    version: Versioned,
    *,
    body: Annotated[Destination, Body(openapi_examples=examples.TRANSITION)],
    request: Request,
    resources: Shared,
    gates: Gates,
    work: Work,
    actor: Actor,
) -> Moved | Response:
    """Moves a version along its life: development, staging, production, archived, or rejected.

    Before staging and production it passes the gates of the policy, if one is set. Where one is
    not passed, the answer is 409 with the whole report, and the version stays where it is or is
    rejected, as the policy says. Entering production archives the version that was there. The
    stage is a label: it moves no traffic, which a rollout or a split does. A refusal lists the
    stages that are allowed. Sent again with its `Idempotency-Key`, a move is answered again with
    the report that it had, be it one of refusal, and no gate is run.
    """
    await work.check_unanswered()
    found = await _outside(resources, model, version)
    asked = Move(version=found, to=body.to, actor=actor, reason=body.reason, inputs=body.inputs)
    heard = await moves.hear(resources.sessions, gates, asked, clock=resources.clock)
    report = await moves.settle(await work.begin(), heard, now=resources.clock())
    if report is not None and report.outcome != Outcome.MOVED:
        return answer(request, _refusal(found, report))
    return Moved(
        model=found.model,
        version=found.version,
        from_stage=found.stage,
        stage=body.to,
        report=report_view(report) if report else None,
    )


@router.post(
    "/models/{model}/versions/{version}/gates",
    summary="Run the gates without moving anything",
    responses=problems(VersionNotFound, NoGates, NotGated),
)
async def run_gates(
    model: Named,
    version: Versioned,
    *,
    body: Annotated[Destination, Body(openapi_examples=examples.DRY_RUN)],
    resources: Shared,
    gates: Gates,
    work: Work,
    actor: Actor,
) -> ReportView:
    """Answers 200 with the report, whatever it says; the report is kept with the others.

    Every gate is run anew, whatever it found before. What the worker starts or concludes by itself
    goes by what slow gates (latency, entry points, webhooks) found last, as long as the version is
    unchanged.
    """
    if body.to not in GATED:
        raise NotGated(body.to)
    await work.check_unanswered()
    found = await _outside(resources, model, version)
    asked = Move(
        version=found,
        to=body.to,
        actor=actor,
        reason=body.reason,
        inputs=body.inputs,
        dry_run=True,
    )
    heard = await moves.hear(resources.sessions, gates, asked, clock=resources.clock)
    report = await moves.settle(await work.begin(), heard, now=resources.clock())
    assert report is not None
    return report_view(report)


@router.get(
    "/models/{model}/versions/{version}/gates",
    summary="Gate reports of a version",
    responses=problems(VersionNotFound),
)
async def list_gate_reports(
    model: Named, version: Versioned, *, session: Session, page: Paging
) -> Listing[ReportView]:
    """Newest first. A report never changes: it holds every gate as the policy stated it then, each
    check's value, limit and verdict, and the version in production it was compared with.

    `outcome` says what came of it: `moved`, `stayed`, `rejected`, `dry_run`, `rollout` (run before
    a rollout started) or `overruled` (it had all the traffic, and the policy had become stricter).
    """
    found = await _version(session, model, version)
    rows = await queries.reports(session, found.id, limit=page.limit + 1, before=after_id(page))
    return Listing(
        items=[report_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.id,)),
    )


@router.get(
    "/models/{model}/gate-policy",
    summary="Which gates stand before a model's stages",
    responses=problems(ModelNotFound, NoPolicy),
)
async def show_gate_policy(model: Named, session: Session) -> PolicyView:
    """The model's own policy, or else the service's default, which `model: null` shows."""
    found = await registry.model(session, model)
    for model_id, name in ((found.id, found.name), (None, None)):
        row = await queries.policy_row(session, model_id)
        if row is not None and row.policy is not None:
            return policy_view(name, row)
    raise NoPolicy(found.name)


@router.put(
    "/models/{model}/gate-policy",
    summary="Put gates before a model's stages",
    responses=problems(ModelNotFound),
)
@needs(Role.ADMIN)
async def set_gate_policy(
    model: Named,
    body: Annotated[NewPolicy, Body(openapi_examples=examples.POLICY)],
    *,
    session: Session,
    actor: Actor,
    now: Now,
) -> PolicyView:
    """Replaces the model's policy; it stands in the place of the service's default, not beside it.

    Each stage has a list of gates, all of which must be passed, or is `"standard"` for the
    ready-made one. It counts from the next transition and the next start of a rollout on; a
    rollout under way ends as it was planned.
    """
    found = await registry.model(session, model)
    return await _set(session, found, body, actor=actor, now=now)


@router.delete(
    "/models/{model}/gate-policy",
    status_code=204,
    summary="Go back to the service's default gates",
    responses=problems(ModelNotFound, NoPolicy),
)
@needs(Role.ADMIN)
async def delete_gate_policy(
    model: Named, *, session: Session, actor: Actor, now: Now, reason: Reason = None
) -> None:
    """Takes the model's own policy away. To have no gates in spite of a default, PUT `{}`."""
    found = await registry.model(session, model)
    row = await queries.policy_row(session, found.id)
    if row is None or row.policy is None:
        raise NoPolicy(found.name)
    await commands.set_policy(session, found, None, actor=actor, now=now, reason=reason)


@router.get(
    "/gate-policy",
    summary="The service's default gates",
    responses=problems(NoPolicy),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def show_default_gate_policy(session: Session) -> PolicyView:
    """What counts for every model without a policy of its own."""
    row = await queries.policy_row(session, None)
    if row is None:
        raise NoPolicy(None)
    return policy_view(None, row)


@router.put("/gate-policy", summary="Put gates before every model's stages", responses=problems())
@needs(Role.ADMIN)
async def set_default_gate_policy(
    body: Annotated[NewPolicy, Body(openapi_examples=examples.POLICY)],
    *,
    session: Session,
    actor: Actor,
    now: Now,
) -> PolicyView:
    """Replaces what counts for every model without a policy of its own. `{}` is no gates."""
    return await _set(session, None, body, actor=actor, now=now)


@router.post(
    "/models/{model}/versions/{version}/approvals",
    status_code=201,
    summary="Sign a version off for a stage",
    responses=problems(VersionNotFound, ApprovedAlready, NothingToApprove, NotGated),
)
async def approve_version(
    model: Named,
    version: Versioned,
    *,
    body: Annotated[NewApproval, Body(openapi_examples=examples.APPROVAL)],
    session: Session,
    actor: Actor,
    now: Now,
) -> ApprovalView:
    """Says, in your name, that this version may enter the stage. A policy's gate `approvals` asks
    for the owner's, for others', and, with `four_eyes`, for that of somebody who neither
    registered the version nor asks for the move. It moves nothing by itself. A version of the
    runtime `onnx` is signed off once its file is there, or was announced by its hash.
    """
    found = await _version(session, model, version)
    row = await commands.approve(session, found, body.to, actor=actor, now=now, reason=body.reason)
    return approval_view(row)


@router.get(
    "/models/{model}/versions/{version}/approvals",
    summary="Approvals of a version",
    responses=problems(VersionNotFound),
)
async def list_approvals(model: Named, version: Versioned, session: Session) -> Approvals:
    """Oldest first, with those that were withdrawn."""
    found = await _version(session, model, version)
    rows = await queries.approvals(session, found.id)
    return Approvals(items=[approval_view(row) for row in rows])


@router.delete(
    "/models/{model}/versions/{version}/approvals/{approval}",
    summary="Withdraw an approval",
    responses=problems(ApprovalNotFound, WithdrawnAlready, NotYours),
)
async def withdraw_approval(
    model: Named,
    version: Versioned,
    approval: Annotated[int, Path(ge=1, lt=2**31)],
    *,
    session: Session,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> ApprovalView:
    """Takes your own approval back. It stays on record, and a version that has entered the stage
    stays there."""
    found = await _version(session, model, version)
    row = await commands.withdraw(session, found, approval, actor=actor, now=now, reason=reason)
    return approval_view(row)


async def _set(
    session: Session, model: ModelRef | None, body: NewPolicy, *, actor: Actor, now: Now
) -> PolicyView:
    policy = GatePolicy(staging=body.staging, production=body.production)
    row = await commands.set_policy(
        session, model, policy, actor=actor, now=now, reason=body.reason
    )
    return policy_view(model.name if model else None, row)


async def _version(session: Session, model: str, version: str) -> VersionRef:
    found = await registry.model(session, model)
    return await registry.version(session, found.id, version)


async def _outside(resources: Resources, model: str, version: str) -> VersionRef:
    """Look a version up in a transaction of its own: none stays open while gates run."""
    async with transaction(resources.sessions) as session:
        return await _version(session, model, version)


def _refusal(version: VersionRef, row: GateReport) -> GatesNotPassed:
    rejected = row.outcome == Outcome.REJECTED
    return GatesNotPassed(
        version.model,
        version.version,
        Lifecycle(row.to_stage),
        row.report,
        shown=to_jsonable_python(report_view(row)),
        stage=Lifecycle.REJECTED if rejected else version.stage,
        note=" and is rejected" if rejected else "",
    )
