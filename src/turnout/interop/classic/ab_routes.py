"""A/B tests at the classic paths."""

from typing import Annotated

from fastapi import Body, Depends, Path

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.db import transaction
from turnout.experiments.clearing import clear_winner
from turnout.experiments.commands.create import KeyTaken
from turnout.experiments.commands.start import ExperimentUnderWay
from turnout.gates.dependencies import Clearing
from turnout.http import Actor, Calling, Now, Session
from turnout.interop.classic import commands, examples, queries
from turnout.interop.classic.dependencies import PREFIX, TAG, UNMEANT, Meant, Retention
from turnout.interop.classic.domain import (
    ABTest,
    AbTestEnded,
    AbTestExists,
    AbTestNotFound,
    AbTestNotRunning,
)
from turnout.interop.classic.schemas import (
    ABTests,
    ABTestView,
    ConclusionBody,
    FeedbackReceipt,
    VariantFeedback,
    ab_test_view,
    receipt,
)
from turnout.problems import problems
from turnout.registry.domain.version import VersionNotFound
from turnout.traffic.domain.split import SplitOwned

router = http.router(TAG, prefix="")

Identified = Annotated[str, Path(description="The `test_id`", examples=["two-against-one"])]
AS_IT_IS = ConclusionBody()


@router.post(
    f"{PREFIX}/ab-tests",
    status_code=201,
    summary="Plan an A/B test",
    responses=problems(*UNMEANT, VersionNotFound, AbTestExists, KeyTaken),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def create_ab_test(
    body: Annotated[ABTest, Body(openapi_examples=examples.AB_TEST)],
    session: Session,
    model: Meant,
    actor: Actor,
    now: Now,
) -> ABTestView:
    """Compares two versions by how often they are right. No traffic moves before it is started.

    `RANDOM`, `ROUND_ROBIN` and `STICKY` are experiments. A `CANARY` is a rollout: 10 % at first, 10
    points more a phase. A phase lasts ten minutes, and until a hundred of the treatment's answers
    have feedback; it is rolled back as soon as it does harm.
    """
    test_id = await commands.create_test(session, model, body, actor=actor, now=now)
    return ab_test_view(await queries.conduct(session, model, test_id))


@router.get(f"{PREFIX}/ab-tests", summary="All A/B tests", responses=problems(*UNMEANT))
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def list_ab_tests(session: Session, model: Meant) -> ABTests:
    """Those made at these paths, the newest first, each with what it has shown."""
    return ABTests(tests=[ab_test_view(one) for one in await queries.conducts(session, model)])


@router.get(
    f"{PREFIX}/ab-tests/{{test_id}}",
    summary="One A/B test",
    responses=problems(*UNMEANT, AbTestNotFound),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def show_ab_test(test_id: Identified, session: Session, model: Meant) -> ABTestView:
    """Where it stands, what each variant did, and what that shows."""
    return ab_test_view(await queries.conduct(session, model, test_id))


@router.post(
    f"{PREFIX}/ab-tests/{{test_id}}/start",
    summary="Start an A/B test",
    responses=problems(*UNMEANT, AbTestNotFound, ExperimentUnderWay, SplitOwned),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def start_ab_test(
    test_id: Identified, session: Session, model: Meant, actor: Actor, now: Now
) -> ABTestView:
    """Splits the traffic by it. Refused while another test, an experiment or a rollout decides
    where the traffic goes, and for a control that does not answer now."""
    await commands.start_test(session, model, test_id, actor=actor, now=now)
    return ab_test_view(await queries.conduct(session, model, test_id))


@router.post(
    f"{PREFIX}/ab-tests/{{test_id}}/feedback",
    summary="Was an answer of a variant right?",
    responses=problems(*UNMEANT, AbTestNotFound, AbTestNotRunning),
)
@needs(Role.RECORDER, scoping=Scoping.OWN)
async def give_variant_feedback(
    test_id: Identified,
    body: Annotated[VariantFeedback, Body(openapi_examples=examples.VARIANT_FEEDBACK)],
    session: Session,
    model: Meant,
    *,
    retention: Retention,
    now: Now,
) -> FeedbackReceipt:
    """For callers who run the versions themselves: each feedback stands for one answer of the
    variant. So feedback should come in the shares in which the variants answer; otherwise the
    conclusion is that the figures cannot be believed.

    Who predicts through Turnout sends the `prediction_id` with it, so that no answer is counted
    twice.
    """
    found = await queries.conduct(session, model, test_id)
    if body.prediction_id is not None:
        return receipt(
            await commands.give_feedback(
                session,
                model,
                body.prediction_id,
                correct=body.was_correct,
                retention=retention,
                now=now,
            )
        )
    report = await commands.give_variant_feedback(
        session,
        model,
        found,
        body.variant_name,
        correct=body.was_correct,
        retention=retention,
        now=now,
    )
    return receipt(report, found.asked.version(body.variant_name))


async def clear_winner_of_test(
    test_id: Identified,
    clearing: Clearing,
    caller: Calling,
    body: Annotated[ConclusionBody, Body(openapi_examples=examples.CONCLUSION)] = AS_IT_IS,
) -> None:
    """Have slow gates run before the transaction of the conclusion is opened."""
    known = clearing.resources
    async with transaction(known.sessions) as session:
        model = await queries.classic_model(session, known.settings.classic_model, caller)
        caller.check_models([model.name])
        experiment_id = (await queries.test_row(session, model, test_id)).experiment_id
    if experiment_id is not None:
        await clear_winner(clearing, experiment_id, body.promote_winner, None)


@router.post(
    f"{PREFIX}/ab-tests/{{test_id}}/conclude",
    summary="Conclude an A/B test",
    dependencies=[Depends(clear_winner_of_test)],
    responses=problems(*UNMEANT, AbTestNotFound, AbTestEnded),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def conclude_ab_test(
    test_id: Identified,
    session: Session,
    model: Meant,
    *,
    actor: Actor,
    now: Now,
    body: Annotated[ConclusionBody, Body(openapi_examples=examples.CONCLUSION)] = AS_IT_IS,
) -> ABTestView:
    """Looks once more and ends with what that says. A `winner` is named only where chance is ruled
    out. With `promote_winner` a treatment that won gets all traffic and enters production; in
    every other case the control answers.

    Feedback counts within a second of its arrival.
    """
    await commands.conclude_test(
        session, model, test_id, promote_winner=body.promote_winner, actor=actor, now=now
    )
    return ab_test_view(await queries.conduct(session, model, test_id))
