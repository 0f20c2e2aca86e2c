import asyncio
import io
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Annotated, Final

from fastapi import Body, Depends, Path, Query, Request
from starlette.requests import ClientDisconnect

from turnout import http
from turnout.db import transaction
from turnout.drift import commands, examples, queries
from turnout.drift.domain.baseline import (
    Baseline,
    BaselineNotFound,
    Distribution,
    MalformedData,
    Origin,
    Share,
    TrainingDataTooLarge,
)
from turnout.drift.schemas import BaselineBody, BaselineFromTraffic, BaselineView, baseline_view
from turnout.drift.training import TrainingData
from turnout.http import Actor, Now, Reason, Resources, Session
from turnout.observations.domain.prediction import LARGEST
from turnout.problems import problems
from turnout.quantities import Line
from turnout.registry import queries as registry
from turnout.registry.domain.version import VersionNotFound

router = http.router("monitoring")

CSV: Final = "text/csv"
IN_MEMORY: Final = 1_000_000

Named = Annotated[str, Path(examples=["fraud-detection"])]
Versioned = Annotated[
    str, Path(description="A version, or `@` and an alias", examples=["1.0.0", "@champion"])
]


@router.get(
    "/models/{model}/versions/{version}/baseline",
    summary="What a version is held against",
    responses=problems(VersionNotFound, BaselineNotFound),
)
async def show_baseline(model: Named, version: Versioned, session: Session) -> BaselineView:
    """The distributions that its features and answers are compared with, and the figures of its
    evaluation. While a baseline is being taken from traffic, `collected` says of how many answers,
    and `awaited` of how many it is to be made."""
    found = await registry.version(session, (await registry.model(session, model)).id, version)
    row = await queries.baseline(session, found.id)
    if row is None:
        raise BaselineNotFound(found.model, found.version)
    return baseline_view(found, row)


@router.put(
    "/models/{model}/versions/{version}/baseline",
    summary="Say what a version is held against",
    responses=problems(VersionNotFound),
)
async def set_baseline(
    model: Named,
    version: Versioned,
    *,
    body: Annotated[BaselineBody, Body(openapi_examples=examples.BASELINE)],
    session: Session,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> BaselineView:
    """The distributions of the training data, so that drift can be told from them: of each feature
    that predictions are reported with, and of the answers (`prediction`: classes, or a score).

    Numbers are given by `edges` and `counts`: one count for what lies below the first edge, then
    one from each edge on. Classes and categories are given by name, as `categories`. Or send raw
    `values`, and they are counted for you: numbers in ten bins of about the same size.

    `{"from": "traffic", "predictions": 5000}` takes answers of the version itself: the latest of
    the last seven days or, where they are fewer, these and those to come. The worker goes through
    the traffic of the model to find them, 200,000 predictions at a time; `collected` says how many
    of the `awaited` it has.

    Replaces the former baseline; what was counted on its bins is forgotten, so that the comparison
    starts afresh.
    """
    found = await registry.version(session, (await registry.model(session, model)).id, version)
    if isinstance(body, BaselineFromTraffic):
        row = await commands.take_baseline(
            session, found, body, actor=actor, now=now, reason=reason
        )
    else:
        row = await commands.set_baseline(
            session, found, body.baseline(), origin=body.origin, actor=actor, now=now, reason=reason
        )
    return baseline_view(found, row)


@router.put(
    "/models/{model}/versions/{version}/baseline/csv",
    summary="Make the baseline of training data",
    responses=problems(VersionNotFound, MalformedData, TrainingDataTooLarge),
    max_body_size=sys.maxsize,  # counted as it is written, against the limit of model files
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {CSV: {"schema": {"type": "string"}, "example": examples.TRAINING_DATA}},
        }
    },
)
async def upload_training_data(
    model: Named,
    version: Versioned,
    *,
    request: Request,
    resources: Annotated[Resources, Depends(http.resources)],
    actor: Actor,
    now: Now,
    prediction: Annotated[
        Line | None, Query(description="The column that holds what the version should answer")
    ] = None,
    categories: Annotated[
        Sequence[Line], Query(description="Columns whose numbers are names, such as codes")
    ] = (),
    accuracy: Share | None = None,
    error_rate: Share | None = None,
    latency_p99: Annotated[
        float | None, Query(ge=0, le=LARGEST, description="Milliseconds")
    ] = None,
    reason: Reason = None,
) -> BaselineView:
    """Takes training data as CSV, as it is: `curl -T training.csv -H 'Content-Type: text/csv' …`.
    The first line names the columns; each is a feature, but for the one named as `prediction`.

    A column is of numbers if its first value is one; an empty cell, `NA`, `NaN` and `null` are
    missing values. Whatever is wrong is named by row and column. Of long files every row is
    checked, and 50,000 rows chosen by chance are counted (fewer of very wide ones).
    """
    async with transaction(resources.sessions) as session:
        found = await registry.version(session, (await registry.model(session, model)).id, version)
    # No transaction may be open while a client is slow.
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        await _receive(request, file, megabytes=resources.settings.max_artifact_megabytes)
        columns = await asyncio.to_thread(_read, file, categories, prediction)
    answers = None if prediction is None else columns.pop(prediction)
    baseline = Baseline(
        features=columns,
        prediction=answers,
        accuracy=accuracy,
        error_rate=error_rate,
        latency_p99=latency_p99,
    )
    async with transaction(resources.sessions) as session:
        row = await commands.set_baseline(
            session, found, baseline, origin=Origin.ROWS, actor=actor, now=now, reason=reason
        )
    return baseline_view(found, row)


async def _receive(request: Request, file: IO[bytes], *, megabytes: int) -> None:
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > megabytes * 1_000_000:
                raise TrainingDataTooLarge(megabytes)
            await asyncio.to_thread(file.write, chunk)
    except ClientDisconnect:
        raise MalformedData("the upload broke off before the end of the file") from None


def _read(
    file: IO[bytes], categories: Sequence[str], prediction: str | None
) -> dict[str, Distribution]:
    file.seek(0)
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
        data = TrainingData(lines, categories=categories)
    if prediction is not None and prediction not in data.names:
        raise MalformedData(
            f"there is no column {prediction!r} to be the prediction: there are"
            f" {', '.join(data.names)}",
            column=prediction,
        )
    return data.distributions()
