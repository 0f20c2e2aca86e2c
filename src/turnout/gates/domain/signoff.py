"""Gates that wait for others: sign-offs by people, and what the version has shown on the road."""

from collections.abc import Iterator

from turnout.gates.domain.facts import Facts
from turnout.gates.domain.policy import ApprovalsGate, EvidenceGate, Feat
from turnout.gates.domain.report import Check, Result

FEATS = {Feat.SHADOW: "a shadow rollout", Feat.EXPERIMENT: "an experiment"}


def approvals(gate: ApprovalsGate, facts: Facts) -> Iterator[Check]:
    signed = sorted({approval.by for approval in facts.approvals})
    interested = {facts.requester, facts.version.created_by} if gate.four_eyes else set()
    if gate.owner:
        yield _owner(facts.owner, signed)
    if gate.others:
        apart = interested | ({facts.owner} if gate.owner else set())
        others = [by for by in signed if by not in apart]
        yield Check(
            name=f"approved by {gate.others} others",
            result=Result.PASS if len(others) >= gate.others else Result.FAIL,
            value=len(others),
            limit=gate.others,
            reason=_of(others, signed),
        )
    if gate.four_eyes:
        independent = [by for by in signed if by not in interested]
        named = " and ".join(sorted(interested))
        yield Check(
            name="seen by four eyes",
            result=Result.PASS if independent else Result.FAIL,
            reason=f"{independent[0]} approved, beside {named}"
            if independent
            else f"nobody but {named}, who registered it or asks for it, has approved",
        )


def _owner(owner: str | None, signed: list[str]) -> Check:
    name = "approved by the owner"
    if owner is None:
        reason = "neither the version nor its model has an owner"
        return Check(name=name, result=Result.FAIL, reason=reason)
    approved = owner in signed
    reason = f"{owner} has {'' if approved else 'not '}approved"
    return Check(
        name=name, result=Result.PASS if approved else Result.FAIL, limit=owner, reason=reason
    )


def _of(counted: list[str], signed: list[str]) -> str:
    if not signed:
        return "nobody has approved yet"
    if not counted:
        return f"only {', '.join(signed)} approved, who cannot count"
    return f"{', '.join(counted)} approved"


def evidence(gate: EvidenceGate, facts: Facts) -> Iterator[Check]:
    wanted = " or ".join(FEATS[feat] for feat in gate.any_of)
    name = f"succeeded in {wanted}"
    for feat in gate.any_of:
        if (where := facts.feats.get(feat)) is not None:
            yield Check(name=name, result=Result.PASS, reason=f"in {where}", value=where)
            return
    for feat in gate.any_of:
        if feat in facts.promised:
            reason = f"this rollout goes no further than {FEATS[feat]} unless it succeeds"
            yield Check(name=name, result=Result.PASS, reason=reason)
            return
    yield Check(name=name, result=Result.FAIL, reason=f"it has not yet succeeded in {wanted}")
