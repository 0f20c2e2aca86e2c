"""What blocking and awaiting clients have in common: whatever never waits."""

import inspect
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args, overload

from turnout.client.core import Core, made_now
from turnout.client.engine import Address
from turnout.client.experiment import Experiment, Load, Model
from turnout.client.recording import Feedback, Label, Prediction, Recordings
from turnout.client.routing import Choice

Method = TypeVar("Method", bound=Callable[..., object])

HERE = "http://127.0.0.1:8000"


def signed(method: Method, build: Callable[..., object]) -> Method:
    """Have `help` show the method of an operation as it is called, and not the request it makes."""
    made = inspect.signature(build)
    (answer,) = get_args(made.return_annotation)
    client = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = made.replace(
        parameters=[client, *made.parameters.values()], return_annotation=answer
    )
    vars(method)["__signature__"] = signature
    return method


class Face:
    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        buffer_rows: int = 100_000,
    ) -> None:
        """`url` and `api_key` are TURNOUT_URL and TURNOUT_API_KEY of the environment unless given.

        `timeout` is for one answer, in seconds. At most `buffer_rows` recordings wait while the
        service is away. Nothing is sent before there is something to do.
        """
        self._core = Core(
            Address(
                url=url or os.environ.get("TURNOUT_URL") or HERE,
                api_key=(api_key or os.environ.get("TURNOUT_API_KEY") or "").strip() or None,
                timeout=timeout,
            ),
            buffer_rows=buffer_rows,
        )
        self._routes = self._core.routes  # looked at first, so that a choice is one call

    def record_prediction(
        self,
        choice: Choice,
        *,
        latency_ms: float | None = None,
        confidence: float | None = None,
        label: Label | None = None,
        error: bool | str | None = None,
        cost: float | None = None,
        prediction_id: str | None = None,
        at: datetime | None = None,
    ) -> str:
        """Say what a version predicted, or with `error` that it failed; returns the prediction's
        id, to report by it what came of it.

        `label` is the predicted class, `confidence` lies between 0 and 1. Never waits: recordings
        are sent in batches, and each counts once however often that is tried.
        """
        made, now = made_now()
        prediction = Prediction(
            choice=choice,
            prediction_id=prediction_id or made,
            at=at or now,
            latency_ms=latency_ms,
            confidence=confidence,
            label=label,
            error=error,
            cost=cost,
        )
        self._core.record(choice.model, prediction)
        return prediction.prediction_id

    def record_feedback(
        self,
        model: str,
        *,
        prediction_id: str | None = None,
        unit: str | None = None,
        correct: bool | None = None,
        label: Label | None = None,
        metric: str | None = None,
        value: float | None = None,
        at: datetime | None = None,
    ) -> None:
        """Say what came of a prediction, or of a unit, now or days later.

        One of `correct`, the true `label`, or the `value` of a `metric` such as revenue. It counts
        for the version that answered, whatever serves by then. Never waits.
        """
        feedback = Feedback(
            at=at or datetime.now(UTC),
            prediction_id=prediction_id,
            unit=unit,
            metric=metric,
            value=value,
            correct=correct,
            label=label,
        )
        self._core.record(model, feedback)

    @property
    def recordings(self) -> Recordings:
        """How many recordings were taken, refused and shed, and how many wait."""
        return self._core.buffer.recordings()

    @overload
    def experiment(
        self,
        key: str,
        *,
        load: Callable[[str], Coroutine[Any, Any, Model]],
        model: str | None = None,
        default: str | None = None,
    ) -> Experiment[Model]: ...
    @overload
    def experiment(
        self,
        key: str,
        *,
        load: Callable[[str], Model],
        model: str | None = None,
        default: str | None = None,
    ) -> Experiment[Model]: ...
    def experiment(
        self,
        key: str,
        *,
        load: Load,
        model: str | None = None,
        default: str | None = None,
    ) -> Experiment[Any]:
        """Let a function answer with the version that its unit is to see.

            @client.experiment("ticket-router-2.0", load=load_router)
            def route(router, text):
                return router.predict(text)

            answer = route("user-42", "my invoice is wrong")

        Where the function takes the model, its callers give the unit. `load` makes the model of a
        version, once. Latency, errors and what the function says by `Scored` are recorded, and the
        answer names experiment, variant and version. Works for coroutine functions as well.

        When the experiment is over, or before it has begun, the version is that which the model's
        split chooses. `model` is found by the key unless it is given, which takes the role
        `viewer`; `default` is the version to answer with as long as no route is known.
        """
        return Experiment(self._core, key, load, model, default)
