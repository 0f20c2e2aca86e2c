"""The whole registry as one document: its models, and the gates before their stages."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Le

from turnout.gates.domain.outcome import GATED
from turnout.gates.domain.policy import GatePolicy
from turnout.quantities import STRICT, Moment, Text
from turnout.registry.domain.document import Clash, RegistryDocument
from turnout.registry.domain.fields import ModelName, VersionName
from turnout.registry.domain.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry:
    """A revision of a model's own gate policy; one without a policy took it away."""

    __pydantic_config__ = STRICT

    revision: Annotated[int, Ge(1), Le(10**9)]
    policy: GatePolicy | None
    at: Moment
    actor: Text
    reason: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalEntry:
    __pydantic_config__ = STRICT

    to: Lifecycle
    by: Text
    at: Moment
    reason: Text | None
    withdrawn_at: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOff:
    """A version's approvals, oldest first, withdrawn ones too."""

    __pydantic_config__ = STRICT

    version: VersionName
    approvals: tuple[ApprovalEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesEntry:
    __pydantic_config__ = STRICT

    model: ModelName
    policies: tuple[PolicyEntry, ...]
    signed_off: tuple[SignedOff, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRegistry(RegistryDocument):
    """Models, versions and aliases with their histories, and the gate policies and approvals of
    each model; no rules of the service, which belong to an installation.

    Files are named by their SHA-256 and are copied apart.
    """

    __pydantic_config__ = STRICT

    gates: tuple[GatesEntry, ...] = ()


def gate_contradictions(document: WholeRegistry) -> Iterator[Mapping[str, str]]:
    """Say where the gates of a document that reads well cannot be true."""
    versions = {
        model.name: {version.version for version in model.versions} for model in document.models
    }
    twice = Counter(entry.model for entry in document.gates)
    for place, entry in enumerate(document.gates):
        field = f"body.gates[{place}]"
        if entry.model not in versions:
            yield {"field": field, "reason": f"{entry.model} is not listed in models"}
        elif twice[entry.model] > 1:
            yield {"field": field, "reason": f"{entry.model} is listed twice"}
        else:
            for reason in _impossible(entry, versions[entry.model]):
                yield {"field": field, "reason": reason}


def _impossible(entry: GatesEntry, versions: set[str]) -> Iterator[str]:
    revisions = [policy.revision for policy in entry.policies]
    if revisions != sorted(set(revisions)):
        yield "revisions of a policy are numbered upwards"
    for version, count in Counter(one.version for one in entry.signed_off).items():
        if version not in versions:
            yield f"{version} has approvals, and is not listed"
        if count > 1:
            yield f"{version} is signed off twice"
    for one in entry.signed_off:
        yield from (
            f"{one.version} has an approval for {approval.to}, which has no gates"
            for approval in one.approvals
            if approval.to not in GATED
        )
        in_force = Counter((a.to, a.by) for a in one.approvals if a.withdrawn_at is None)
        yield from (
            f"{by} has approved {one.version} for {to} twice"
            for (to, by), count in in_force.items()
            if count > 1
        )
    for at in _times(entry):
        if at.tzinfo is None:
            yield f"{at.isoformat()} is a time without a zone"


def _times(entry: GatesEntry) -> Iterator[datetime]:
    yield from (policy.at for policy in entry.policies)
    for one in entry.signed_off:
        for approval in one.approvals:
            yield approval.at
            yield from (approval.withdrawn_at,) if approval.withdrawn_at else ()


def gate_additions(sent: GatesEntry, here: GatesEntry) -> tuple[GatesEntry, Sequence[Clash]]:
    """What of a model's gates is new, and what contradicts what is here."""
    path = f"models/{sent.model}"
    clashes = []
    if sent.policies and here.policies and sent.policies != here.policies:
        clashes.append(Clash(f"{path}/gate-policy", "its revisions differ from what is here"))
    known = {one.version: one.approvals for one in here.signed_off}
    clashes += [
        Clash(f"{path}/versions/{one.version}", "its approvals differ from what is here")
        for one in sent.signed_off
        if one.version in known and one.approvals != known[one.version]
    ]
    added = GatesEntry(
        model=sent.model,
        policies=() if here.policies else sent.policies,
        signed_off=tuple(
            one for one in sent.signed_off if one.approvals and one.version not in known
        ),
    )
    return added, clashes
