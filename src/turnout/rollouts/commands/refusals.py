"""Why a rollout does not start."""

from collections.abc import Sequence

from turnout.errors import Conflict, Forbidden
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.tables import Quarantine, Rollout


class RolloutUnderWay(Conflict):
    def __init__(self, model: ModelRef, live: Rollout) -> None:
        super().__init__(
            f"{model.name} has a rollout under way ({live.progress.phase}): abort it or let it"
            f" finish first",
            model=model.name,
            rollout=str(live.id),
            phase=live.progress.phase,
        )


class GroupOutOfScope(Forbidden):
    def __init__(self, rollout: Rollout, live: Rollout) -> None:
        allowed = sorted(rollout.confined_to or ())
        super().__init__(
            f"{rollout.created_by!r} is confined to {', '.join(allowed) or 'no model'}: with the"
            " rollout under way one of another model would be aborted, too",
            models=allowed,
            rollout=str(live.id),
        )


class CandidateIsBaseline(Conflict):
    def __init__(self, candidate: VersionRef) -> None:
        super().__init__(
            f"{candidate.version} cannot be rolled out against itself: name a candidate other"
            f" than the version that answers now, or another baseline",
            candidate=candidate.version,
        )


class SeveralServe(Conflict):
    def __init__(self, model: ModelRef, serving: Sequence[VersionRef]) -> None:
        versions = [version.version for version in serving]
        super().__init__(
            f"{' and '.join(versions)} share the traffic of {model.name}: name the baseline that"
            f" is to answer beside the candidate",
            model=model.name,
            serving=versions,
        )


class Quarantined(Conflict):
    def __init__(self, version: VersionRef, quarantine: Quarantine) -> None:
        super().__init__(
            f"{version.version} was taken off the road on {quarantine.since:%Y-%m-%d %H:%M} UTC"
            f" ({quarantine.reason}): to start it again all the same, set override_quarantine and"
            f" give a reason",
            version=version.version,
            since=quarantine.since.isoformat(),
            rollout=str(quarantine.rollout_id),
        )


class NothingToMirror(Conflict):
    def __init__(self, model: ModelRef) -> None:
        super().__init__(
            f"no version of {model.name} answers yet, so there is no traffic to mirror: roll out"
            f" a first version, or leave out promote: false",
            model=model.name,
        )


class FrozenNow(Conflict):
    def __init__(self, model: ModelRef, frozen: Frozen) -> None:
        super().__init__(
            f"{model.name} is {frozen}. Set starts_at to start later; to start now all the same,"
            f" set override_freeze and give a reason",
            model=model.name,
            frozen_until=frozen.until.isoformat(),
        )


class NothingBeside(Conflict):
    def __init__(self, model: ModelRef) -> None:
        super().__init__(
            f"no version of {model.name} answers yet, so nobody could answer while the start waits"
            f" for its approval: leave out start_approval",
            model=model.name,
        )
