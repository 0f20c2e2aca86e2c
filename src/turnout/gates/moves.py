"""Ways into a stage: each asks the policy, and stores what it found.

Slow gates run between two transactions, never inside one. What they found holds for the version
as it was: the second transaction locks the model, decides the quick gates anew on the facts of
that moment, and refuses to go by findings at a version that has been edited since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.access.commands import audit
from turnout.db import Sessions, transaction
from turnout.gates import queries
from turnout.gates.domain.judge import judge, slow_gates
from turnout.gates.domain.outcome import ChangedMeanwhile, GatesNotPassed, NoGates, Outcome
from turnout.gates.domain.policy import Feat, SlowGate
from turnout.gates.domain.report import Finding, Report, Result
from turnout.gates.queries import Case
from turnout.gates.runs import Runner
from turnout.gates.tables import GateReport
from turnout.quantities import Clock
from turnout.registry import commands as registry
from turnout.registry.domain.lifecycle import Lifecycle, check_transition
from turnout.registry.domain.version import VersionRef
from turnout.registry.locks import locked_version

RECENT: Final = timedelta(minutes=10)
"""Whoever starts a rollout so soon after its gates were passed does not wait for them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who wants a version in which stage; `inputs` for the latency benchmark, if any."""

    version: VersionRef
    to: Lifecycle
    actor: str
    reason: str | None = None
    inputs: Any = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What slow gates said of a move, and what was so then; `case` is None with no gate to pass."""

    request: Request
    case: Case | None
    findings: Sequence[Finding]


async def hear(sessions: Sessions, runner: Runner, request: Request, *, clock: Clock) -> Heard:
    async with transaction(sessions) as session:
        if not request.dry_run:
            check_transition(request.version.stage, request.to)
        case = await _case(session, request)
    if case is None and request.dry_run:
        raise NoGates(request.version.model, request.to)
    findings = await runner.run(case, request.inputs, clock=clock) if case else ()
    return Heard(request=request, case=case, findings=findings)


async def settle(session: AsyncSession, heard: Heard, *, now: datetime) -> GateReport | None:
    """Move the version if it passed; None if it was moved with no gate to pass.

    The report is to be committed whatever it says: what is refused is on record.
    """
    request = heard.request
    _, row = await locked_version(session, request.version.id)
    if not request.dry_run:
        check_transition(row.stage, request.to)
    case = await _case(session, request)
    by: dict[str, Any] = {"actor": request.actor, "now": now}
    if case is None:
        if request.dry_run:
            raise ChangedMeanwhile("the gate policy")
        await registry.transition(session, row.id, request.to, **by, reason=request.reason)
        return None
    _check_unchanged(case, heard)
    report = judge(case.policy, case.facts, heard.findings)
    outcome = _outcome(case, report, dry_run=request.dry_run)
    stored = await _store(session, case, report, outcome, **by, reason=request.reason)
    if outcome is Outcome.MOVED:
        await registry.transition(session, row.id, request.to, **by, reason=request.reason)
    elif outcome is Outcome.REJECTED:
        found = "; ".join(check.reason for check in report.obstacles)
        why = f"gates before {request.to} not passed: {found}"[:500]
        await registry.transition(session, row.id, Lifecycle.REJECTED, **by, reason=why)
    return stored


async def ask(
    sessions: Sessions, runner: Runner, request: Request, *, clock: Clock
) -> GateReport | None:
    heard = await hear(sessions, runner, request, clock=clock)
    async with transaction(sessions) as session:
        return await settle(session, heard, now=clock())


def _outcome(case: Case, report: Report, *, dry_run: bool) -> Outcome:
    if dry_run:
        return Outcome.DRY_RUN
    if report.verdict is Result.PASS:
        return Outcome.MOVED
    rejects = case.policy.on_failure == "reject" and report.condemns
    return Outcome.REJECTED if rejects else Outcome.STAYED


def _check_unchanged(case: Case, heard: Heard) -> None:
    """Slow findings are for the version as it was, and for the gates as they were."""
    slow = slow_gates(case.policy)
    known = [finding.gate for finding in heard.findings]
    if any(gate not in known for gate in slow):
        raise ChangedMeanwhile("the gate policy")
    if slow and (heard.case is None or heard.case.fingerprint != case.fingerprint):
        raise ChangedMeanwhile(f"what is said of {case.facts.version.version}")


async def clear(sessions: Sessions, runner: Runner, request: Request, *, clock: Clock) -> None:
    """Have the slow gates run before a rollout starts, unless they have passed just now.

    What they found is stored, good or bad, and `admit` reads it in the transaction of the start.
    """
    async with transaction(sessions) as session:
        case = await _case(session, request)
        known = await queries.ran(session, case) if case else ()
    if case is None or not slow_gates(case.policy):
        return
    now = clock()
    passed = [one.gate for one in known if one.passed and one.ran_since(now - RECENT)]
    if all(gate in passed for gate in slow_gates(case.policy)):
        return
    ran = await runner.run(case, request.inputs, clock=clock)
    async with transaction(sessions) as session:
        await locked_version(session, request.version.id)
        report = judge(case.policy, case.facts, ran)
        by: dict[str, Any] = {"actor": request.actor, "now": clock(), "reason": request.reason}
        await _store(session, case, report, Outcome.ROLLOUT, **by)


async def admit(
    session: AsyncSession,
    version: VersionRef,
    *,
    requester: str,
    promised: frozenset[Feat] = frozenset(),
) -> None:
    """Refuse what leads a version to production while the policy keeps it out.

    Slow gates are not run here; what they found last at the version as it is now counts.
    """
    if version.stage is Lifecycle.PRODUCTION:
        return
    to = Lifecycle.PRODUCTION
    case = await queries.case(session, version.id, to, requester=requester, promised=promised)
    if case is None:
        return
    report = await _judged(session, case)
    if report.verdict is not Result.PASS:
        raise GatesNotPassed(
            version.model,
            version.version,
            to,
            report,
            shown=to_jsonable_python(report),
            stage=version.stage,
            note=f", so nothing that leads there begins{_as_found(report)}",
        )


def _as_found(report: Report) -> str:
    """Say of slow gates that stand in the way that this is old news, and how to hear it anew."""
    slow = any(isinstance(one.gate, SlowGate) and not one.passed for one in report.findings)
    return " (by what its slow gates found last; POST …/gates runs them again)" if slow else ""


async def enter_production(
    session: AsyncSession,
    version_id: int,
    *,
    requester: str,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    """Call a version that has all the traffic what it is: the one in production.

    The gates were passed before it got any. If the policy has become stricter since, or an
    approval was withdrawn, the version serves all the same, and moving traffic is not for a label
    to do: it enters production, and report, history, audit log and log say against what.
    """
    _, row = await locked_version(session, version_id)
    to = Lifecycle.PRODUCTION
    if row.stage is not to:
        case = await queries.case(session, version_id, to, requester=requester)
        if case is not None:
            report = await _judged(session, case)
            passed = report.verdict is Result.PASS
            outcome = Outcome.MOVED if passed else Outcome.OVERRULED
            await _store(session, case, report, outcome, actor=actor, now=now, reason=reason)
            if not passed:
                reason = _overrule(session, case, report, actor=actor, now=now, reason=reason)
    await registry.enter_production(session, version_id, actor=actor, now=now, reason=reason)


def _overrule(
    session: AsyncSession,
    case: Case,
    report: Report,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> str:
    version = case.facts.version
    found = "; ".join(f"{check.name}: {check.reason}" for check in report.obstacles)
    audit(
        session,
        actor=actor,
        action="version.gates_overruled",
        subject=f"models/{version.model}/versions/{version.version}",
        after={"to": case.to, "report": to_jsonable_python(report)},
        reason=reason,
        now=now,
    )
    telemetry.log.warning(
        "version in production against its gate policy",
        model=version.model,
        version=version.version,
        obstacles=found,
    )
    return f"{reason or 'it has all the traffic'} (AGAINST THE GATE POLICY: {found})"[:1000]


async def _case(session: AsyncSession, request: Request) -> Case | None:
    return await queries.case(session, request.version.id, request.to, requester=request.actor)


async def _judged(session: AsyncSession, case: Case) -> Report:
    return judge(case.policy, case.facts, await queries.ran(session, case))


async def _store(
    session: AsyncSession,
    case: Case,
    report: Report,
    outcome: Outcome,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> GateReport:
    row = GateReport(
        version_id=case.facts.version.id,
        to_stage=case.to,
        outcome=outcome,
        report=report,
        policy_model=case.in_force.model,
        policy_revision=case.in_force.revision,
        fingerprint=case.fingerprint,
        at=now,
        actor=actor,
        reason=reason,
    )
    session.add(row)
    await session.flush()
    return row
