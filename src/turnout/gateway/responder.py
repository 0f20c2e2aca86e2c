"""From a route and a request to an answer: who answers, who answers instead, what is recorded."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from prometheus_client import Counter

from turnout.errors import Refusal, Unavailable
from turnout.gateway import metrics
from turnout.gateway.inputs import InputSample
from turnout.gateway.recorder import Recorder
from turnout.gateway.runtimes.answers import (
    Answer,
    Failure,
    InputMismatch,
    RuntimeFailure,
)
from turnout.gateway.runtimes.pool import RuntimePool
from turnout.gateway.schemas import PredictRequest
from turnout.gateway.shadows import Shadows
from turnout.gateway.snapshot import LiveRoute
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.quantities import Clock, JsonValue
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import VersionRef
from turnout.telemetry import first_line, log
from turnout.tracing import TRACES, fail_by
from turnout.traffic.domain.assignment import fallback
from turnout.traffic.domain.overrides import Attribute
from turnout.traffic.domain.split import Assignment, Reason

ERROR_LENGTH: Final = 200
NOTHING: Final = Answer(prediction=None)
_RESULTS: Final = {Answer: "answered", RuntimeFailure: "failed", InputMismatch: "refused"}

FAILURES: Final = Counter(
    "turnout_runtime_failures_total",
    "Predictions that a version failed to make, also those that another one then answered",
    ["model", "version", "kind"],
)


class NoAnswer(Unavailable):
    """The version that was chosen failed, and so did the one that should answer instead."""

    def __init__(self, model: str, attempts: "Sequence[Attempt]") -> None:
        told = "; ".join(f"{tried.version.version}: {tried.result}" for tried in attempts)
        super().__init__(
            f"{model} cannot answer now ({told})",
            model=model,
            failures=[
                {"version": tried.version.version, "failure": str(tried.result)}
                for tried in attempts
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An answer, and who gave it."""

    prediction_id: str
    model: str
    by: Assignment
    answer: Answer
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one version made of one input, and how long that took."""

    version: VersionRef
    split_id: int | None
    result: Answer | RuntimeFailure | InputMismatch
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    pool: RuntimePool
    recorder: Recorder
    shadows: Shadows
    clock: Clock
    inputs: InputSample = field(default_factory=InputSample)

    async def predict(
        self, live: LiveRoute, by: Assignment, version: VersionRef, request: PredictRequest
    ) -> Served:
        """Let the version answer, or the baseline, once, when it fails.

        Raises InputMismatch when the input is to blame, which is when the baseline says so too:
        an input that only a candidate refuses is the candidate's failure. A version that the
        caller forced is not answered for by another.
        """
        at = self.clock()
        attempts = [await self._attempt(version, by.variant, by.split_id, request.inputs)]
        randomised = by.split_id is not None
        if not isinstance(attempts[0].result, Answer) and (stand_in := _stand_in(live, by)):
            by = stand_in
            steady = live.route.versions[by.version]
            attempts.append(await self._attempt(steady, by.variant, by.split_id, request.inputs))
        last = attempts[-1].result
        if isinstance(last, InputMismatch):
            raise last
        prediction_id = uuid7(at)
        self._record(attempts, prediction_id, request, at)
        if live.shadows and randomised:
            self._mirror(live, prediction_id, request, at)
        if isinstance(last, RuntimeFailure):
            raise NoAnswer(live.route.model.name, attempts)
        return Served(
            prediction_id=prediction_id,
            model=live.route.model.name,
            by=by,
            answer=last,
            latency_ms=sum(attempt.latency_ms for attempt in attempts),
        )

    async def _attempt(
        self, version: VersionRef, variant: str, split_id: int | None, inputs: JsonValue
    ) -> Attempt:
        start = time.perf_counter()
        with TRACES.inner(f"predict {version.runtime.kind}", _traced(version, variant)) as span:
            result = await self._result(version, inputs)
            if not isinstance(result, Answer):
                fail_by(span, result.kind if isinstance(result, RuntimeFailure) else "input")
        if isinstance(result, RuntimeFailure):
            FAILURES.labels(version.model, version.version, result.kind).inc()
        taken = (time.perf_counter() - start) * 1000
        metrics.answered(version.model, version.version, variant, _RESULTS[type(result)], taken)
        return Attempt(version, split_id, result, taken)

    async def _result(
        self, version: VersionRef, inputs: JsonValue
    ) -> Answer | RuntimeFailure | InputMismatch:
        try:
            runtime = self.pool.ready(version.id) or await self.pool.runtime(version)
            return await runtime.predict(inputs)
        except (RuntimeFailure, InputMismatch) as trouble:
            return trouble
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001  (a defect in one runtime must not stop answers)
            log.error("runtime failed unexpectedly", version=version.version, exc_info=error)
            return RuntimeFailure(Failure.FAILED, first_line(error))

    def _record(
        self, attempts: Sequence[Attempt], prediction_id: str, request: PredictRequest, at: datetime
    ) -> None:
        """A failure that was answered for gets an id of its own: the id names who answered.

        What refused an input is recorded only if another version took that input.
        """
        *failed, last = attempts
        for attempt in failed:
            if isinstance(last.result, Answer) or isinstance(attempt.result, RuntimeFailure):
                self._offer(attempt, uuid7(at), request, at)
        self._offer(last, prediction_id, request, at)

    def _mirror(
        self, live: LiveRoute, prediction_id: str, request: PredictRequest, at: datetime
    ) -> None:
        async def copy(version: VersionRef) -> None:
            split_id = live.route.split.id
            attempt = await self._attempt(version, metrics.SHADOW, split_id, request.inputs)
            self._offer(attempt, prediction_id, request, at, shadow=True)

        for version in live.shadows:
            self.shadows.send(partial(copy, version))

    def _offer(
        self,
        attempt: Attempt,
        prediction_id: str,
        request: PredictRequest,
        at: datetime,
        *,
        shadow: bool = False,
    ) -> None:
        failed = not isinstance(attempt.result, Answer)
        answer = attempt.result if isinstance(attempt.result, Answer) else NOTHING
        self.recorder.offer(
            attempt.version.model_id,
            Prediction(
                prediction_id=prediction_id,
                version_id=attempt.version.id,
                split_id=attempt.split_id,
                unit=request.unit,
                at=at,
                latency_ms=attempt.latency_ms,
                confidence=answer.confidence,
                label=answer.label,
                error=failed,
                error_text=_error_text(attempt.result) if failed else None,
                cost=answer.cost,
                shadow=shadow,
                attributes=_attributes(request, answer),
                inputs=None
                if failed or shadow
                else self.inputs.take(attempt.version.id, request.inputs, answer, at),
            ),
        )


def _traced(version: VersionRef, variant: str) -> dict[str, str | int]:
    return {
        "turnout.model": version.model,
        "turnout.version": version.version,
        "turnout.variant": variant,
    }


def _stand_in(live: LiveRoute, failed: Assignment) -> Assignment | None:
    """Who answers instead: nobody for a version that was forced, or that is the baseline itself."""
    if failed.reason is Reason.FORCED:
        return None
    found = fallback(live.route.split, failed)
    if found and isinstance(live.route.versions[found.version].runtime, ExternalRuntime):
        return None
    return found


def _attributes(request: PredictRequest, answer: Answer) -> Mapping[str, Attribute] | None:
    """Note which of a provider's models answered where versions can be compared by it."""
    if answer.answered_by is None:
        return request.attributes
    return {"answered_by": answer.answered_by, **(request.attributes or {})}


def _error_text(trouble: object) -> str:
    text = f"refused the input: {trouble}" if isinstance(trouble, InputMismatch) else str(trouble)
    return "".join(char if char.isprintable() else " " for char in text[:ERROR_LENGTH])
