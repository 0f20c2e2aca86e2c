from turnout import http
from turnout.alerts import queries as alerts
from turnout.callers import Role, Scoping, needs
from turnout.experiments.domain.state import Status
from turnout.http import Calling, Now, Paging, Session
from turnout.overview.domain import health
from turnout.overview.gathering import LATELY, Overview, alerts_now, models_now, totals
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.filters import after_model
from turnout.rollouts.domain.phases import Phase

router = http.router("overview")


@router.get("/overview", summary="How is everything?", responses=problems())
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def show_overview(session: Session, page: Paging, caller: Calling, now: Now) -> Overview:
    """The health of everything in one answer: what each model serves and how that did in the last
    15 minutes, open alerts, rollouts and experiments under way, and updates that have not ended.

    `totals` and `alerts` are about all models, `models` is a page of them in the order of their
    names. Made to be asked every few seconds: it costs as many queries for a hundred models as for
    one. A caller whose key is for some models sees those.
    """
    names = caller.models
    rows = await registry.models(
        session, names=names, limit=page.limit + 1, after=after_model(page)
    )
    shown = {row.id: row.name for row in rows[: page.limit]}
    open_alerts = await alerts.open_by_model(session, names)
    every = await totals(session, names, open_alerts)
    waits = (
        every.rollouts.get(Phase.PAUSED, 0)
        + every.rollouts.get(Phase.AWAITING_APPROVAL, 0)
        + every.experiments.get(Status.PAUSED, 0)
    )
    return Overview(
        at=now,
        health=health(every.alerts, serves=every.models > 0, waits=waits > 0),
        window=LATELY,
        totals=every,
        alerts=await alerts_now(session, names),
        models=await models_now(session, shown, open_alerts, now=now),
        next_cursor=page.cursor(rows, lambda row: (row.name,)),
    )
