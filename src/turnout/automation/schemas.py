from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.automation import queries
from turnout.automation.domain.checks import RuleFinding
from turnout.automation.domain.policy import UpdatePolicy
from turnout.automation.domain.statistics import UpdateSummary
from turnout.automation.domain.update import UpdateState, UpdateTrigger, UpdateWish
from turnout.automation.tables import Update, UpdatePolicyRow, UpdateSchedule
from turnout.gates.domain.report import Result
from turnout.registry import queries as registry


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateView:
    """An update and where it stands.

    `reason` is that of its newest step, or what it waits for. `version` is known once the update
    has begun, or the training pipeline has registered one. `cause` is what called for it, and
    `schedule` and `due` are of the schedule that started it.
    """

    id: UUID
    model: str
    trigger: UpdateTrigger
    state: UpdateState
    reason: str
    version: str | None
    rollout: UUID | None
    wish: UpdateWish
    cause: str | None
    dataset_version: str | None
    schedule: UUID | None
    due: datetime | None
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFindingView:
    """A rule and what was found by it; an `obstacle` kept the update from beginning."""

    result: Result
    obstacle: bool
    finding: RuleFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStepView:
    state: UpdateState
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStory(UpdateView):
    """The whole story: `history` has every step, oldest first, `findings` what the rules said. The
    rollout that it led to tells the rest under its own id."""

    findings: Sequence[RuleFindingView]
    history: Sequence[UpdateStepView]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateScheduleView:
    """`next_at` is when it is due next, `last_at` the run that last started an update."""

    id: UUID
    model: str
    cron: str
    zone: str
    update: UpdateWish
    next_at: datetime
    last_at: datetime | None
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePolicyView:
    """`set_at` is null while the standard applies."""

    model: str
    policy: UpdatePolicy
    set_at: datetime | None
    set_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStatistics:
    """`ended` is about those that ended in the last `days`; `unfinished` counts the others by
    state, of which `at_once` may be under way at a time."""

    days: int
    ended: UpdateSummary
    unfinished: Mapping[UpdateState, int]
    under_way: int
    at_once: int


async def update_views(session: AsyncSession, rows: Sequence[Update]) -> list[UpdateView]:
    models = await registry.models_by_id(session, {row.model_id for row in rows})
    ids = {row.version_id for row in rows if row.version_id is not None}
    versions = await registry.versions_by_id(session, ids)
    return [
        UpdateView(
            id=row.id,
            model=models[row.model_id].name,
            trigger=row.trigger,
            state=row.state,
            reason=row.reason,
            version=None if row.version_id is None else versions[row.version_id].version,
            rollout=row.rollout_id,
            wish=row.wish,
            cause=row.cause,
            dataset_version=row.dataset_version,
            schedule=row.schedule_id,
            due=row.slot,
            requested_by=row.requested_by,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )
        for row in rows
    ]


async def update_story(session: AsyncSession, row: Update) -> UpdateStory:
    [view] = await update_views(session, [row])
    return UpdateStory(
        **{name: getattr(view, name) for name in UpdateView.__dataclass_fields__},
        findings=[
            RuleFindingView(result=found.result, obstacle=found.obstacle, finding=found)
            for found in row.findings
        ],
        history=[
            UpdateStepView(state=step.state, at=step.at, actor=step.actor, reason=step.reason)
            for step in await queries.steps(session, row.id)
        ],
    )


def schedule_view(row: UpdateSchedule, model: str) -> UpdateScheduleView:
    return UpdateScheduleView(
        id=row.id,
        model=model,
        cron=row.plan.cron,
        zone=row.plan.zone,
        update=row.plan.update,
        next_at=row.next_at,
        last_at=row.last_at,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def policy_view(model: str, row: UpdatePolicyRow | None) -> UpdatePolicyView:
    return UpdatePolicyView(
        model=model,
        policy=row.policy if row else UpdatePolicy(),
        set_at=row.set_at if row else None,
        set_by=row.set_by if row else None,
    )
