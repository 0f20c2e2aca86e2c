"""The whole way to a stage: quick gates are decided here, slow ones have been run before."""

from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from turnout.gates.domain import figures, said, signoff
from turnout.gates.domain.facts import Facts
from turnout.gates.domain.policy import (
    ApprovalsGate,
    EvidenceGate,
    GroupsGate,
    MetadataGate,
    MetricGate,
    QuickGate,
    RegressionGate,
    SignatureGate,
    SlowGate,
    StagePolicy,
)
from turnout.gates.domain.report import Check, Finding, Report, Result, report


def slow_gates(policy: StagePolicy) -> list[SlowGate]:
    return [gate for gate in policy.gates if isinstance(gate, SlowGate)]


def judge(policy: StagePolicy, facts: Facts, ran: Sequence[Finding]) -> Report:
    """Report on every gate of the policy. `ran` holds what slow gates found at this version."""
    return report(
        (_finding(gate, facts, ran) for gate in policy.gates),
        compared_with=facts.production.version if facts.production else None,
    )


def _finding(gate: QuickGate | SlowGate, facts: Facts, ran: Iterable[Finding]) -> Finding:
    if not isinstance(gate, SlowGate):
        return Finding(gate=gate, checks=tuple(quick(gate, facts)))
    found = next((finding for finding in ran if finding.gate == gate), None)
    return found or Finding(gate=gate, checks=(not_run(gate),))


def not_run(gate: SlowGate) -> Check:
    name = gate.kind if gate.kind == "latency" else gate.name
    return Check(
        name=name,
        result=Result.ERROR,
        reason="it has not been run for this version as it is now: POST …/gates runs it",
    )


def quick(gate: QuickGate, facts: Facts) -> Iterator[Check]:
    match gate:
        case MetricGate():
            yield from figures.metric(gate, facts)
        case RegressionGate():
            yield from figures.no_regression(gate, facts)
        case GroupsGate():
            yield from figures.groups(gate, facts)
        case SignatureGate():
            yield from said.signature(facts)
        case MetadataGate():
            yield from said.metadata(gate, facts)
        case ApprovalsGate():
            yield from signoff.approvals(gate, facts)
        case EvidenceGate():
            yield from signoff.evidence(gate, facts)
        case _:
            assert_never(gate)
