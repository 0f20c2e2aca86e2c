"""An event in a sentence that somebody understands at night."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from turnout.events.domain import Event, EventType


def headline(event: Event) -> str:
    """What happened, in one sentence with the model and its versions."""
    say = _Said(event)
    known = _SENTENCES.get(event.type)
    return known(say) if known else f"{say.release}: {event.type.replace('.', ' ')}"


def reason(event: Event) -> str | None:
    """Why, in the words of whoever decided."""
    said = event.data.get("reason")
    return said if isinstance(said, str) and said else None


class _Said:
    """What an event brings, where it brings it."""

    def __init__(self, event: Event) -> None:
        self._data: Mapping[str, Any] = event.data
        self.model = event.model or "a model"
        self.release = f"{self.model} {self['candidate'] or self['version'] or ''}".strip()

    def __getitem__(self, name: str) -> str | None:
        found = self._data.get(name)
        return str(found) if isinstance(found, str | int | float) and found != "" else None

    def known(self, text: str, name: str) -> str:
        found = self[name]
        return "" if found is None else text.format(found.replace("_", " "))

    def weight(self, text: str) -> str:
        """Weights come in percent."""
        return self.known(text, "weight")

    def alert(self, state: str, by: str) -> str:
        return f"Alert {state}: {self['summary'] or self.model}" + self.known(" ({})", by)

    @property
    def experiment(self) -> str:
        return f"The experiment{self.known(' {}', 'key')} on {self.model}"


_SENTENCES: Final[Mapping[str, Callable[[_Said], str]]] = {
    EventType.VERSION_REGISTERED: lambda say: f"{say.release} was registered",
    EventType.VERSION_TRANSITIONED: lambda say: (
        f"{say.release} is now {say['to'] or say['stage'] or 'in another stage'}"
    ),
    EventType.ROLLOUT_STARTED: lambda say: (
        f"The rollout of {say.release} has started" + say.weight(", with {} % of traffic")
    ),
    EventType.ROLLOUT_ADVANCED: lambda say: (
        f"{say.release} has advanced" + say.weight(" to {} % of traffic")
    ),
    EventType.ROLLOUT_PAUSED: lambda say: (
        f"The rollout of {say.release} is paused" + say.weight(" at {} % of traffic")
    ),
    EventType.ROLLOUT_AWAITING_APPROVAL: lambda say: (
        f"The rollout of {say.release} waits for somebody's approval"
    ),
    EventType.ROLLOUT_SUCCEEDED: lambda say: f"{say.release} is promoted: it answers all traffic",
    EventType.ROLLOUT_ROLLING_BACK: lambda say: (
        f"{say.release} is being rolled back" + say.weight(", and has {} % of traffic left")
    ),
    EventType.ROLLOUT_ROLLED_BACK: lambda say: (
        f"{say.release} was rolled back" + say.known("; {} answers again", "baseline")
    ),
    EventType.ROLLOUT_FAILED: lambda say: (
        f"The rollout of {say.release} has failed and needs somebody"
    ),
    EventType.ROLLOUT_ABORTED: lambda say: (
        f"The rollout of {say.release} was given up" + say.known("; {} answers", "baseline")
    ),
    EventType.EXPERIMENT_STARTED: lambda say: f"{say.experiment} has started",
    EventType.EXPERIMENT_STOPPED: lambda say: f"{say.experiment} was stopped",
    EventType.EXPERIMENT_CONCLUDED: lambda say: (
        f"{say.experiment} has ended"
        + say.known(" with {}", "conclusion")
        + say.known("; the winner is {}", "winner")
    ),
    EventType.ALERT_FIRING: lambda say: say.alert("firing", "severity"),
    EventType.ALERT_ACKNOWLEDGED: lambda say: say.alert("acknowledged", "actor"),
    EventType.ALERT_RESOLVED: lambda say: say.alert("resolved", "actor"),
    EventType.UPDATE_STARTED: lambda say: f"An update of {say.model} has started",
    EventType.UPDATE_FINISHED: lambda say: (
        f"An update of {say.model} has finished" + say.known(": {}", "status")
    ),
    EventType.RETRAINING_REQUESTED: lambda say: f"Retraining of {say.model} is requested",
    EventType.WEBHOOK_DISABLED: lambda say: "A webhook was disabled" + say.known(": {}", "reason"),
    EventType.WEBHOOK_TEST: lambda say: (
        "This is a test. Had something happened, you would read it here"
    ),
}
