"""Runs the checks before an update begins; custom ones outside of any transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.automation.domain.checks import (
    BaselineCheck,
    BuiltIn,
    ConfigurationCheck,
    Custom,
    RuleFinding,
    SecurityCheck,
    UpdateRule,
)
from turnout.automation.domain.update import UpdateWish
from turnout.errors import Refusal
from turnout.gates import queries as gates
from turnout.gates.domain.facts import Facts
from turnout.gates.domain.judge import quick
from turnout.gates.domain.policy import RegressionGate
from turnout.gates.domain.report import Check, Result
from turnout.gates.runs import Runner
from turnout.registry import queries as registry
from turnout.registry.approvals import check_deployment
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import VersionRecord, VersionRef
from turnout.rollouts import queries as rollouts
from turnout.traffic.domain.split import check_servable


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the checks are about."""

    version: VersionRef
    facts: Facts
    wish: UpdateWish


async def candidate(
    session: AsyncSession, version: VersionRef, wish: UpdateWish, *, requester: str
) -> Candidate:
    facts = Facts(
        version=(await registry.records(session, [version.id]))[version.id],
        production=await gates.in_production(session, version.model_id),
        owner=None,
        requester=requester,
    )
    return Candidate(version=version, facts=facts, wish=wish)


async def built_in(
    session: AsyncSession, about: Candidate, rules: Sequence[UpdateRule]
) -> dict[int, RuleFinding]:
    """What the checks of our own find, by the place of their rule."""
    return {
        place: RuleFinding(rule=rule, checks=await _checks(session, about, rule.check))
        for place, rule in enumerate(rules)
        if not isinstance(rule.check, Custom)
    }


async def custom(
    runner: Runner, version: VersionRecord, rules: Sequence[UpdateRule]
) -> dict[int, RuleFinding]:
    """What the checks of others say, all asked at once, each within its own time."""
    asked = [
        (place, rule, rule.check)
        for place, rule in enumerate(rules)
        if isinstance(rule.check, Custom)
    ]
    answers = await asyncio.gather(
        *(runner.ask(check, Lifecycle.PRODUCTION, version) for _, _, check in asked)
    )
    return {
        place: RuleFinding(rule=rule, checks=(answer,))
        for (place, rule, _), answer in zip(asked, answers, strict=True)
    }


async def _checks(session: AsyncSession, about: Candidate, check: BuiltIn) -> tuple[Check, ...]:
    match check:
        case ConfigurationCheck():
            return (_configuration(about),)
        case BaselineCheck():
            return _baseline(about, check)
        case SecurityCheck():
            return await _security(session, about, check)


def _configuration(about: Candidate) -> Check:
    name = "configuration valid"
    try:
        check_servable(about.version)
        about.wish.launch(about.version.version)
    except (Refusal, ValueError) as wrong:
        return Check(name=name, result=Result.FAIL, reason=str(wrong))
    return Check(name=name, result=Result.PASS, reason="it can be served, and its stages fit")


def _baseline(about: Candidate, check: BaselineCheck) -> tuple[Check, ...]:
    gates_of_it = (
        RegressionGate(metric=metric, margin=check.margin, good=check.good)
        for metric in check.metrics
    )
    return tuple(found for gate in gates_of_it for found in quick(gate, about.facts))


async def _security(
    session: AsyncSession, about: Candidate, check: SecurityCheck
) -> tuple[Check, ...]:
    found = []
    try:
        await check_deployment(session, about.version)
        reason = "no rule of the approved models is broken"
        found.append(Check(name="approved", result=Result.PASS, reason=reason))
    except Refusal as refusal:
        found.append(Check(name="approved", result=Result.FAIL, reason=refusal.detail))
    quarantine = await rollouts.quarantine(session, about.version.id)
    found.append(
        Check(
            name="not in quarantine",
            result=Result.PASS if quarantine is None else Result.FAIL,
            reason="it was never taken off the road"
            if quarantine is None
            else f"it was taken off the road: {quarantine.reason}",
        )
    )
    if check.tags:
        missing = [tag for tag in check.tags if tag not in about.facts.version.tags]
        found.append(
            Check(
                name=f"tagged {', '.join(check.tags)}",
                result=Result.FAIL if missing else Result.PASS,
                reason=f"it lacks {', '.join(missing)}" if missing else "it has all of them",
            )
        )
    return tuple(found)
