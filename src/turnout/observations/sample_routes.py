"""Raw predictions, for tools that compare rows."""

import asyncio
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Path, Query, Response

from turnout import http
from turnout.callers import Role, needs
from turnout.http import Now, Session
from turnout.observations.domain.cover import DAY
from turnout.observations.domain.figures import LONGEST_WINDOW, WindowTooLong
from turnout.observations.domain.table import csv_table
from turnout.observations.samples import sampled
from turnout.problems import problems
from turnout.quantities import Duration
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound

router = http.router("observations")

CSV: Final = "text/csv"


class CsvResponse(Response):
    media_type = CSV


@router.get(
    "/models/{model}/versions/{version}/sample.csv",
    summary="The latest predictions of a version, as rows",
    response_class=CsvResponse,
    responses=problems(ModelNotFound, VersionNotFound),
)
@needs(Role.OPERATOR)
async def show_sample(
    model: Annotated[str, Path(examples=["fraud-detection"])],
    version: Annotated[str, Path(description="A version, or `@` and an alias", examples=["1.0.0"])],
    session: Session,
    now: Now,
    *,
    predictions: Annotated[int, Query(ge=1, le=20_000, description="At most so many")] = 5000,
    window: Annotated[Duration, Query(description="How far back, at most 7 days")] = DAY,
) -> CsvResponse:
    """The features that its latest answers were reported with, a column for each, and the answer as
    `prediction`: for a notebook, for another tool, or as the baseline of the next version.

    Of a version that gets very little of the traffic there may be fewer, because a million
    predictions of the model are gone through at most. It takes the role `operator`: features may
    be about people.
    """
    if not timedelta() < window <= LONGEST_WINDOW:
        raise WindowTooLong
    found = await registry.version(session, (await registry.model(session, model)).id, version)
    seen = await sampled(
        session, found.model_id, found.id, n=predictions, earliest=now - window, now=now
    )
    rows = [(one.features, one.label) for one in seen]
    return CsvResponse(
        await asyncio.to_thread(csv_table, rows), headers={"Cache-Control": "private, no-cache"}
    )
