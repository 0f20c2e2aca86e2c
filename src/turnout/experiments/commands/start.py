import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.experiments import queries
from turnout.experiments.commands.apply import apply
from turnout.experiments.domain import machine
from turnout.experiments.domain.aim import Aim, Past
from turnout.experiments.domain.forecast import Forecast
from turnout.experiments.domain.machine import Order
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.planner import forecast, settle
from turnout.experiments.domain.words import about
from turnout.experiments.past import past
from turnout.experiments.tables import Experiment
from turnout.registry.approvals import check_deployment
from turnout.registry.queries import versions_by_id
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import Owner, OwnerKind, Split, check_owner

LOCK: Final = 0x6578
"""Keeps this slice's advisory locks apart from other uses of them in the same database."""


class ExperimentUnderWay(Conflict):
    def __init__(self, live: Experiment) -> None:
        super().__init__(
            f"the experiment {live.key!r} of this model is {live.progress.status}: stop or"
            f" conclude it first",
            experiment=str(live.id),
            experiment_status=live.progress.status,
        )


class NothingToPlanBy(Conflict):
    def __init__(self, plan: Plan) -> None:
        super().__init__(
            f"nothing is known yet of {plan.goal.metric} under {plan.control}, so how many units"
            f" this takes cannot be told: give target_sample_size, or let {plan.control} run and"
            f" its outcomes come in first",
            metric=plan.goal.metric,
            control=plan.control,
        )


class CannotConclude(Conflict):
    def __init__(self, plan: Plan, found: Forecast) -> None:
        ways = _ways(found)
        super().__init__(
            f"this could not be concluded: {found.reason}. {ways}, or give target_sample_size to"
            f" run it all the same",
            sample_size=found.sample_size.total,
            units_per_day=found.assumptions.units_per_day,
            baseline=found.assumptions.baseline,
            minimum_detectable_effect=plan.goal.minimum_detectable_effect,
            detectable_effect=found.detectable_effect,
        )


class ControlDoesNotAnswer(Conflict):
    def __init__(self, plan: Plan, split: Split) -> None:
        answering = [variant.version for variant in split.serving if variant.weight]
        super().__init__(
            f"the control {plan.control} does not answer now, {' and '.join(answering)} would"
            f" lose all traffic to this experiment: name the version that answers as the control,"
            f" or give {plan.control} the traffic first",
            control=plan.control,
            answering=answering,
        )


def _ways(found: Forecast) -> str:
    ways = []
    if found.ways and found.ways.minimum_detectable_effect is not None:
        ways.append(
            f"set minimum_detectable_effect to {found.ways.minimum_detectable_effect:.3g} or more"
        )
    if found.ways and found.ways.max_duration is not None:
        ways.append(f"set max_duration to {about(found.ways.max_duration)} or more")
    return (", or ".join(ways) or "plan for another effect").capitalize()


async def start(
    session: AsyncSession, experiment_id: UUID, order: Order, *, actor: str, now: datetime
) -> Experiment:
    """Settle the sample size, lock the plan and put its split in force.

    Refused while another experiment or a rollout decides where the model's traffic goes, for a
    control other than what answers now, and for a plan that leaves its size open and could not be
    concluded at the model's pace.
    """
    experiment = await queries.locked(session, experiment_id)
    machine.check_draft(experiment.progress)
    await session.execute(select(func.pg_advisory_xact_lock(LOCK, experiment.model_id)))
    if (live := await queries.live(session, experiment.model_id)) is not None:
        raise ExperimentUnderWay(live)
    plan = experiment.plan
    await _check_traffic(session, experiment)
    await _check_approved(session, experiment)
    target = plan.target_sample_size or await _size(session, experiment, now)
    transition = machine.start(plan, experiment.progress, order, target_sample_size=target, now=now)
    await apply(session, experiment, transition, None, actor=actor, now=now)
    return experiment


async def _check_traffic(session: AsyncSession, experiment: Experiment) -> None:
    """An experiment takes a share from what answers, and gives it back; it replaces nothing."""
    split = await traffic.active_split(session, experiment.model_id)
    check_owner(split, Owner(kind=OwnerKind.EXPERIMENT, id=str(experiment.id)))
    if split is None:
        return
    answering = {variant.version for variant in split.serving if variant.weight}
    if experiment.plan.control not in answering:
        raise ControlDoesNotAnswer(experiment.plan, split)


async def _check_approved(session: AsyncSession, experiment: Experiment) -> None:
    """The policy may have become stricter since the versions were registered."""
    version_ids = (await queries.arms(session, [experiment.id]))[experiment.id]
    treatments = [version_ids[arm.version] for arm in experiment.plan.treatments]
    for version in (await versions_by_id(session, treatments)).values():
        await check_deployment(session, version)


async def _size(session: AsyncSession, experiment: Experiment, now: datetime) -> int:
    """What the plan needs, by what the control did before."""
    plan = experiment.plan
    control = (await queries.arms(session, [experiment.id]))[experiment.id][plan.control]
    known = await past(session, experiment.model_id, control, plan.goal, now=now)
    if known.baseline is None and not plan.goal.share:
        raise NothingToPlanBy(plan)
    # Up to half a second of arithmetic, in which other requests are served.
    return await asyncio.to_thread(_settled, plan, known)


def _settled(plan: Plan, known: Past) -> int:
    if known.baseline is not None:
        found = forecast(
            Aim.of(plan), known, known.baseline, baseline_is="measured", pace_is="measured"
        )
        if found.can_conclude is False:
            raise CannotConclude(plan, found)
    return settle(plan, known).target_sample_size
