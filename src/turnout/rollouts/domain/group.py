"""Rollouts that go together: all of them enter a stage, or none does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from annotated_types import MaxLen, MinLen

from turnout.errors import Refusal
from turnout.quantities import STRICT, Text
from turnout.registry.domain.fields import ModelName
from turnout.rollouts.domain import transitions
from turnout.rollouts.domain.plan import Launch, OnConflict
from turnout.rollouts.domain.transitions import Event, Situation, Transition, decide, obstructed

FORWARD: Final = frozenset({Event.ADVANCED, Event.SUCCEEDED})
DOWN: Final = frozenset({Event.ROLLING_BACK, Event.ROLLED_BACK, Event.ABORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLaunch(Launch):
    """One rollout of a group: its model, and what a rollout of it takes."""

    __pydantic_config__ = STRICT

    model: ModelName


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLaunch:
    """Rollouts of several models, each with its own plan; a `reason` of their own goes before."""

    __pydantic_config__ = STRICT

    rollouts: Annotated[tuple[MemberLaunch, ...], MinLen(2), MaxLen(20)]
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def __post_init__(self) -> None:
        models = [member.model for member in self.rollouts]
        if len(set(models)) < len(models):
            raise ValueError("each model is in a group once")
        counts = {member.model: len(member.plan().stages) for member in self.rollouts}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{model}: {count}" for model, count in counts.items())
            raise ValueError(
                f"the plans of a group have equally many stages, so that each stage can be entered"
                f" together ({told})"
            )
        for member in self.rollouts:
            if member.starts_at is not None or member.on_conflict is OnConflict.QUEUE:
                raise ValueError(
                    f"a group starts at once, so {member.model} can have no starts_at, and cannot"
                    f" queue behind another rollout"
                )


def decide_together(
    members: Mapping[UUID, Situation], refused: Mapping[UUID, Refusal]
) -> dict[UUID, Transition]:
    """What becomes of the members of a release group; a rollout alone is a group of one.

    A member that goes down takes all with it, each in the time that its own plan takes for a
    rollback; one that is on its way down is left alone. They enter a stage, and finish, together:
    while one of them is not ready, those that are wait. Everything else each does by itself.
    `refused` are those whose decision could not be carried out, and why.
    """
    decided = {key: decide(at) for key, at in members.items()}
    changes = {key: found for key, found in decided.items() if isinstance(found, Transition)}
    down = {key: change for key, change in changes.items() if change.event in DOWN}
    if down:
        # a guardrail that fails weighs more than a search without a finding
        harmed = {key: change for key, change in down.items() if change.event is not Event.ABORTED}
        leading = harmed or down
        cause, worst = next(iter(leading.items()))
        following = {
            key: _follow(at, cause, worst)
            for key, at in members.items()
            if key not in leading and at.progress.retreat is None
        }
        changes |= following
    changes |= {
        key: obstructed(members[key], changes[key], refusal)
        for key, refusal in refused.items()
        if key in changes
    }
    ready = {key for key, change in changes.items() if change.event in FORWARD}
    if len(ready) < len(members):
        changes = {key: change for key, change in changes.items() if key not in ready}
    return changes


def _follow(at: Situation, cause: UUID, worst: Transition) -> Transition:
    reason = f"its group goes down with rollout {cause}: {worst.reason}"
    if worst.event is Event.ABORTED:
        return transitions.abort(at, reason)
    return transitions.roll_back(at, reason)
