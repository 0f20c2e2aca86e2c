"""What is known of a control before its experiment starts."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.experiments.domain.aim import Past
from turnout.observations import history
from turnout.observations.domain.metric import Metric
from turnout.stats.baseline import Baseline
from turnout.stats.effect import per_exposed_unit


async def past(
    session: AsyncSession, model_id: int, version_id: int, metric: Metric, *, now: datetime
) -> Past:
    """Read from totals and from a sample of the latest outcomes, whatever the traffic was."""
    exposed = await history.recent_totals(session, model_id, version_id, "error_rate")
    found = await history.recent_totals(session, model_id, version_id, metric.metric)
    pace = await history.pace(session, model_id, now=now)
    delay = await history.label_delay(session, model_id, metric.metric)
    known = Past(
        units_per_day=pace.units_per_day if pace else None,
        label_delay=max(delay.p90 if delay else timedelta(), metric.maturity or timedelta()),
    )
    # An outcome may be folded a moment before the prediction that it speaks of.
    if not 0 < found.units <= exposed.units:
        return known
    per_unit = metric.per == "unit"
    totals = per_exposed_unit(exposed, found) if per_unit else found
    return replace(
        known,
        baseline=Baseline.of(totals, proportion=metric.proportion),
        measured_share=1.0 if per_unit else found.units / exposed.units,
    )
