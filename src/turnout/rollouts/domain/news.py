"""Which steps of a rollout others are told of."""

from collections.abc import Mapping
from typing import Final

from turnout.events.domain import EventType
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.transitions import Event

_NEWS: Final[Mapping[Event, EventType]] = {
    Event.STARTED: EventType.ROLLOUT_STARTED,
    Event.ADVANCED: EventType.ROLLOUT_ADVANCED,
    Event.SKIPPED: EventType.ROLLOUT_ADVANCED,
    Event.AWAITING_APPROVAL: EventType.ROLLOUT_AWAITING_APPROVAL,
    Event.PAUSED: EventType.ROLLOUT_PAUSED,
    Event.SUCCEEDED: EventType.ROLLOUT_SUCCEEDED,
    Event.ABORTED: EventType.ROLLOUT_ABORTED,
    Event.ROLLING_BACK: EventType.ROLLOUT_ROLLING_BACK,
    Event.ROLLED_BACK: EventType.ROLLOUT_ROLLED_BACK,
    Event.FAILED: EventType.ROLLOUT_FAILED,
}


def news(event: Event, to: Phase) -> EventType | None:
    """What others are told of a step that led to this phase: one thing, or nothing.

    Who waits for approvals hears of those of a start, and who waits for the end of a rollout whose
    last stage was skipped hears that it has succeeded.
    """
    match event, to:
        case Event.STARTED, Phase.AWAITING_APPROVAL:
            return EventType.ROLLOUT_AWAITING_APPROVAL
        case Event.SKIPPED, Phase.SUCCEEDED:
            return EventType.ROLLOUT_SUCCEEDED
    return _NEWS.get(event)
