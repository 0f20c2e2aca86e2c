"""The planner over HTTP: it reads, and changes nothing."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Body
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.errors import Conflict
from turnout.experiments.domain.aim import Past
from turnout.experiments.domain.forecast import Forecast
from turnout.experiments.domain.inquiry import Inquiry
from turnout.experiments.domain.planner import forecast
from turnout.experiments.past import past
from turnout.http import Calling, Now, Session
from turnout.observations.domain.metric import Metric
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import (
    ModelNotFound,
    ModelRef,
    VersionNotFound,
    VersionRef,
)
from turnout.traffic import queries as traffic

router = http.router("experiments")

INQUIRY: Final[Any] = {
    "share": {
        "summary": "A share of 12 %, to find 2 points more",
        "value": {"baseline": 0.12, "minimum_detectable_effect": 0.02, "units_per_day": 2000},
    },
    "variants": {
        "summary": "Three treatments, of which each gets 10 %",
        "value": {
            "baseline": 0.12,
            "minimum_detectable_effect": 0.01,
            "weights": [10, 10, 10],
            "units_per_day": 20000,
            "label_delay": "2d",
            "max_duration": "14d",
        },
    },
    "measurement": {
        "summary": "Five milliseconds less, of a mean of 180",
        "value": {
            "metric": "latency_mean",
            "baseline": 180,
            "standard_deviation": 60,
            "minimum_detectable_effect": 5,
            "power": 0.9,
        },
    },
    "clustered": {
        "summary": "Ten predictions of each user, which go together",
        "value": {
            "metric": "accuracy",
            "baseline": 0.9,
            "events_per_unit": 10,
            "correlation": 0.2,
            "minimum_detectable_effect": 0.01,
            "units_per_day": 500,
        },
    },
}


class NothingKnown(Conflict):
    """The past of the model does not tell what to plan by."""

    def __init__(self, model: ModelRef, metric: str, version: str | None) -> None:
        whose = f"version {version} of {model.name}" if version else f"any version of {model.name}"
        super().__init__(
            f"nothing is known of {metric} of {whose} yet: state its baseline (and, for a mean of"
            f" measurements, its standard_deviation)",
            model=model.name,
            version=version,
            metric=metric,
        )


@router.post(
    "/experiments/plan",
    summary="How many, how long, can it conclude?",
    responses=problems(ModelNotFound, VersionNotFound, NothingKnown),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def plan_experiment(
    body: Annotated[Inquiry, Body(openapi_examples=INQUIRY)],
    session: Session,
    caller: Calling,
    now: Now,
) -> Forecast:
    """Works out an experiment before it is started: nothing is created and no traffic moves.

    The answer says how many units each variant needs at most (`sample_size`), how many on average
    if there is no effect, the one looked for, or twice that (`expected`: looking often, and giving
    up what is futile, ends it earlier), how long that takes, and the chance of finding effects of
    each size (`power_curve`). The figures are of the test that the experiment will use, looks and
    futility included.

    `can_conclude: false` says with figures why the units or the time will not do, and `ways` what
    would help: a longer `max_duration`, a larger effect, or equal shares.

    Name a `model` and a `metric`, and the baseline, the variance, the units per day and the delay
    of labels are those of the last days.
    """
    known = Past()
    if body.model is not None:
        caller.check_models([body.model])
    if body.model is not None and body.measure is not None:
        known = await _known(session, body, body.model, body.measure, now=now)
    baseline = body.given(known) or known.baseline
    assert baseline is not None
    pace = body.units_per_day or known.units_per_day
    delay = known.label_delay if body.label_delay is None else body.label_delay
    return await asyncio.to_thread(
        forecast,
        body.aim,
        replace(known, units_per_day=pace, label_delay=delay),
        baseline,
        baseline_is="given" if body.given(known) else "measured",
        pace_is=None if pace is None else "given" if body.units_per_day else "measured",
    )


async def _known(
    session: AsyncSession, inquiry: Inquiry, name: str, metric: Metric, *, now: datetime
) -> Past:
    """The past of the control; refused where neither it nor the inquiry tells the variance."""
    model = await registry.model(session, name)
    version = await _control(session, model, inquiry.control)
    found = Past()
    if version is not None:
        found = await past(session, model.id, version.id, metric, now=now)
    if inquiry.given(found) is None and found.baseline is None:
        raise NothingKnown(model, metric.metric, version.version if version else None)
    return found


async def _control(session: AsyncSession, model: ModelRef, named: str | None) -> VersionRef | None:
    """The version that is named, or the one that answers most."""
    if named is not None:
        return await registry.version(session, model.id, named)
    split = await traffic.active_split(session, model.id)
    if split is None:
        return await registry.current_version(session, model.id)
    most = max(split.serving, key=lambda variant: variant.weight)
    return (await registry.versions_by_id(session, [most.version_id]))[most.version_id]
