"""What is asked of gates, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from turnout.gates.domain.outcome import Outcome
from turnout.gates.domain.policy import GatePolicy
from turnout.gates.domain.report import Report
from turnout.gates.tables import Approval, GatePolicyRow, GateReport
from turnout.quantities import STRICT
from turnout.registry.domain.fields import Summary
from turnout.registry.domain.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """`inputs`, as for a prediction, are what a latency benchmark runs on."""

    __pydantic_config__ = STRICT

    to: Lifecycle
    inputs: Any = None
    reason: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    __pydantic_config__ = STRICT

    to: Lifecycle = Lifecycle.PRODUCTION
    reason: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView(GatePolicy):
    """`model` is null for the service's default. Reports name the revision they went by."""

    model: str | None
    revision: int
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView(Report):
    """`policy_model` and `policy_revision` name the policy; without a model, the default."""

    id: int
    to: Lifecycle
    outcome: Outcome
    policy_model: str | None
    policy_revision: int
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where the version is now. Without a report, no gate stood in its way."""

    model: str
    version: str
    from_stage: Lifecycle
    stage: Lifecycle
    report: ReportView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    id: int
    to: Lifecycle
    by: str
    at: datetime
    reason: str | None
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    items: Sequence[ApprovalView]


def policy_view(model: str | None, row: GatePolicyRow) -> PolicyView:
    policy = row.policy or GatePolicy()
    return PolicyView(
        staging=policy.staging,
        production=policy.production,
        model=model,
        revision=row.revision,
        at=row.at,
        actor=row.actor,
        reason=row.reason,
    )


def report_view(row: GateReport) -> ReportView:
    return ReportView(
        verdict=row.report.verdict,
        compared_with=row.report.compared_with,
        findings=row.report.findings,
        id=row.id,
        to=Lifecycle(row.to_stage),
        outcome=Outcome(row.outcome),
        policy_model=row.policy_model,
        policy_revision=row.policy_revision,
        at=row.at,
        actor=row.actor,
        reason=row.reason,
    )


def approval_view(row: Approval) -> ApprovalView:
    return ApprovalView(
        id=row.id,
        to=row.stage,
        by=row.by,
        at=row.at,
        reason=row.reason,
        withdrawn_at=row.withdrawn_at,
    )
