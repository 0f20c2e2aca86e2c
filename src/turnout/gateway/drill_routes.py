"""The rollback drill: what the rollouts know of the target, and whether it answers here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from annotated_types import MaxLen
from fastapi import Body, Path, Request

from turnout import http
from turnout.gateway.app import Gateway
from turnout.gateway.runtimes.answers import InputMismatch, RuntimeFailure
from turnout.http import Session
from turnout.problems import problems
from turnout.quantities import STRICT, Text
from turnout.registry.domain.fields import VersionName
from turnout.registry.domain.runtime import ExternalRuntime, HttpRuntime, OpenAIRuntime
from turnout.registry.domain.version import ModelNotFound, VersionNotFound, VersionRef
from turnout.rollouts.commands.drill import rehearse

router = http.router("rollouts")

EXAMPLES: Final[Any] = {
    "last proven version": {"value": {}},
    "with an input": {
        "summary": "Have the version answer, too",
        "value": {"inputs": [5.1, 3.5, 1.4, 0.2]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOrder:
    """Without `to_version`, the version that a rollback would choose. `inputs` as for a
    prediction: the version is then asked for an answer, which is not recorded."""

    __pydantic_config__ = STRICT

    to_version: VersionName | None = None
    inputs: Any = None
    reason: Annotated[Text, MaxLen(2000)] | None = None


THE_USUAL: Final = DrillOrder()


class Result(StrEnum):
    PROVEN = "proven"
    UNPROVEN = "unproven"
    OBSTACLE = "obstacle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One thing that was tried, and how it turned out."""

    result: Result
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What a rollback would do now; it is `possible` exactly when there is no obstacle."""

    possible: bool
    from_version: str | None
    to_version: str | None
    trials: tuple[Trial, ...]


@router.post(
    "/models/{model}/rollback/drill",
    summary="Rehearse a rollback",
    responses=problems(ModelNotFound, VersionNotFound),
)
async def drill_rollback(
    model: Annotated[str, Path(examples=["fraud-detection"])],
    session: Session,
    request: Request,
    body: Annotated[DrillOrder, Body(openapi_examples=EXAMPLES)] = THE_USUAL,
) -> Drill:
    """Proves, without changing anything, that a rollback would work now: that there is a version to
    go back to, that it may take traffic and is not quarantined, and that this replica can load it
    and, given `inputs`, gets an answer from it.

    Run it before you need it, for instance every night. Answers 200 with `possible: false` and the
    obstacle when a rollback would be refused; `unproven` is what cannot be tried from here.
    """
    rehearsal = await rehearse(session, model, body.to_version)
    if rehearsal.obstacle is not None or rehearsal.target is None:
        trials = [Trial(result=Result.OBSTACLE, sentence=rehearsal.obstacle or "no target")]
    else:
        gateway: Gateway = request.app.state.gateway
        trials = [
            Trial(
                result=Result.PROVEN, sentence=f"{rehearsal.target.version} may take all traffic"
            ),
            await _try_out(gateway, rehearsal.target, body.inputs),
        ]
    return Drill(
        possible=all(trial.result is not Result.OBSTACLE for trial in trials),
        from_version=rehearsal.leaving.version if rehearsal.leaving else None,
        to_version=rehearsal.target.version if rehearsal.target else None,
        trials=tuple(trials),
    )


async def _try_out(gateway: Gateway, version: VersionRef, inputs: Any) -> Trial:
    if isinstance(version.runtime, ExternalRuntime):
        return Trial(
            result=Result.UNPROVEN, sentence="its caller runs it, so only the caller can try it"
        )
    if isinstance(version.runtime, HttpRuntime | OpenAIRuntime) and inputs is None:
        return Trial(
            result=Result.UNPROVEN, sentence="its server was not asked: send inputs for it"
        )
    try:
        answer = await gateway.probe(version, inputs)
    except (RuntimeFailure, InputMismatch) as failure:
        return Trial(result=Result.OBSTACLE, sentence=f"it does not answer: {failure}")
    sentence = "it is loaded" if answer is None else f"it answers {answer.prediction!r}"
    return Trial(result=Result.PROVEN, sentence=sentence)
