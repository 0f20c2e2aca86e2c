from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.gates.domain.facts import Facts, SignOff, fingerprint
from turnout.gates.domain.judge import slow_gates
from turnout.gates.domain.outcome import PolicyInForce
from turnout.gates.domain.policy import Feat, StagePolicy
from turnout.gates.domain.report import Finding
from turnout.gates.tables import Achievement, Approval, GatePolicyRow, GateReport
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import ModelRef, VersionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that decides whether a version may enter a stage, slow gates apart."""

    to: Lifecycle
    facts: Facts
    in_force: PolicyInForce
    policy: StagePolicy

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.facts.version)


async def policy_row(session: AsyncSession, model_id: int | None) -> GatePolicyRow | None:
    """The newest revision of a model's own policy, or of the service's default."""
    query = select(GatePolicyRow).where(GatePolicyRow.model_id.is_not_distinct_from(model_id))
    return await session.scalar(query.order_by(GatePolicyRow.revision.desc()).limit(1))


async def policy_in_force(session: AsyncSession, model: ModelRef) -> PolicyInForce | None:
    """The model's own policy, or else the service's."""
    for model_id, name in ((model.id, model.name), (None, None)):
        row = await policy_row(session, model_id)
        if row is not None and row.policy is not None:
            return PolicyInForce(id=row.id, model=name, revision=row.revision, policy=row.policy)
    return None


async def case(
    session: AsyncSession,
    version_id: int,
    to: Lifecycle,
    *,
    requester: str,
    promised: frozenset[Feat] = frozenset(),
) -> Case | None:
    """Gather what the gates need; None when none stands before this stage."""
    version = (await registry.records(session, [version_id]))[version_id]
    model = ModelRef(id=version.model_id, name=version.model)
    in_force = await policy_in_force(session, model)
    policy = in_force.before(to) if in_force else None
    if in_force is None or policy is None or not policy.gates:
        return None
    production = await in_production(session, version.model_id)
    facts = Facts(
        version=version,
        production=production,
        owner=version.owner or await registry.owner(session, version.model_id),
        requester=requester,
        approvals=[
            SignOff(by=row.by, at=row.at)
            for row in await approvals(session, version_id, to)
            if row.withdrawn_at is None
        ],
        feats=await feats(session, version_id),
        promised=promised,
    )
    return Case(to=to, facts=facts, in_force=in_force, policy=policy)


async def in_production(session: AsyncSession, model_id: int) -> VersionRecord | None:
    """All that is known of the version that others are held against."""
    current = await registry.current_version(session, model_id)
    return None if current is None else (await registry.records(session, [current.id]))[current.id]


async def ran(session: AsyncSession, case: Case) -> Sequence[Finding]:
    """The newest finding of each slow gate at the version as it is now, if it has run."""
    slow = slow_gates(case.policy)
    if not slow:
        return ()
    query = (
        select(GateReport)
        .where(
            GateReport.version_id == case.facts.version.id,
            GateReport.fingerprint == case.fingerprint,
        )
        .order_by(GateReport.id.desc())
        .limit(20)
    )
    found: list[Finding] = []
    for row in (await session.scalars(query)).all():
        for finding in row.report.findings:
            known = any(one.gate == finding.gate for one in found)
            if finding.gate in slow and finding.ran_at is not None and not known:
                found.append(finding)
    return found


async def reports(
    session: AsyncSession, version_id: int, *, limit: int, before: int | None
) -> Sequence[GateReport]:
    """A version's reports, newest first, older than the report `before`."""
    query = select(GateReport).where(GateReport.version_id == version_id)
    if before is not None:
        query = query.where(GateReport.id < before)
    return (await session.scalars(query.order_by(GateReport.id.desc()).limit(limit))).all()


async def approvals(
    session: AsyncSession, version_id: int, to: Lifecycle | None = None
) -> Sequence[Approval]:
    """Approvals of a version, oldest first, withdrawn ones too."""
    query = select(Approval).where(Approval.version_id == version_id)
    if to is not None:
        query = query.where(Approval.to_stage == to)
    return (await session.scalars(query.order_by(Approval.id))).all()


async def feats(session: AsyncSession, version_id: int) -> dict[Feat, str]:
    """What a version has succeeded in, with the latest place of each."""
    query = select(Achievement).where(Achievement.version_id == version_id)
    rows = (await session.scalars(query.order_by(Achievement.at))).all()
    return {Feat(row.feat): row.subject for row in rows}
