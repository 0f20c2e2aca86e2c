"""What a report led to, and the refusals that come of gates."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from turnout.errors import Conflict, NotFound, Unprocessable
from turnout.gates.domain.policy import GatePolicy, StagePolicy
from turnout.gates.domain.report import Report
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import OnnxRuntime
from turnout.registry.domain.version import VersionRef

GATED = (Lifecycle.STAGING, Lifecycle.PRODUCTION)


class Outcome(StrEnum):
    MOVED = "moved"
    STAYED = "stayed"
    REJECTED = "rejected"
    DRY_RUN = "dry_run"
    """Asked for, without a move."""

    ROLLOUT = "rollout"
    """Run before a rollout started, or was refused."""

    OVERRULED = "overruled"
    """The version was in all of the traffic already: it entered production against the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """A policy, and which one it is; without a model it is the service's default."""

    id: int
    model: str | None
    revision: int
    policy: GatePolicy

    def before(self, to: Lifecycle) -> StagePolicy | None:
        match to:
            case Lifecycle.STAGING:
                return self.policy.staging
            case Lifecycle.PRODUCTION:
                return self.policy.production
            case _:
                return None


class GatesNotPassed(Conflict):
    def __init__(
        self,
        model: str,
        version: str,
        to: Lifecycle,
        report: Report,
        *,
        shown: Mapping[str, Any],
        stage: Lifecycle,
        note: str = "",
    ) -> None:
        obstacles = "; ".join(f"{check.name}: {check.reason}" for check in report.obstacles)
        super().__init__(
            f"{model} {version} may not enter {to}{note}. {obstacles}",
            model=model,
            version=version,
            stage=stage,
            to=to,
            report=shown,
        )


class ChangedMeanwhile(Conflict):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} changed while the gates ran, so nothing was moved: try again")


class NoPolicy(NotFound):
    def __init__(self, model: str | None) -> None:
        whose = "the service has no default gate policy" if model is None else None
        super().__init__(
            whose or f"neither {model} nor the service has a gate policy: PUT one", model=model
        )


class NoGates(Conflict):
    def __init__(self, model: str, to: Lifecycle) -> None:
        super().__init__(
            f"no gate stands before {to} of {model}: PUT a gate policy first", model=model, to=to
        )


class NotGated(Unprocessable):
    def __init__(self, to: Lifecycle) -> None:
        super().__init__(
            f"gates and approvals are for {' and '.join(GATED)}, not for {to}", field="body.to"
        )


class ApprovedAlready(Conflict):
    def __init__(self, by: str, version: str, to: Lifecycle) -> None:
        super().__init__(f"{by} has approved {version} for {to} already", by=by)


class NothingToApprove(Conflict):
    """What is signed off must be what will serve: any file could still become this version's."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"{version} has no file yet, so there is nothing to sign off: upload it first, or"
            " register a version with the sha256 of its file",
            version=version,
        )


def check_settled(version: VersionRef) -> None:
    announced = version.artifact.sha256 if version.artifact else None
    if isinstance(version.runtime, OnnxRuntime) and not (version.file_sha256 or announced):
        raise NothingToApprove(version.version)


class ApprovalNotFound(NotFound):
    def __init__(self, approval_id: int) -> None:
        super().__init__(f"this version has no approval {approval_id}", approval=approval_id)


class WithdrawnAlready(Conflict):
    def __init__(self, approval_id: int, by: str) -> None:
        super().__init__(f"{by} has withdrawn it already", approval=approval_id)


class NotYours(Conflict):
    def __init__(self, by: str) -> None:
        super().__init__(f"this is the approval of {by}, who alone can withdraw it", by=by)
