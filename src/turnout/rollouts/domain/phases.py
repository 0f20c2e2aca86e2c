from enum import StrEnum


class Phase(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    PROMOTING = "promoting"
    BAKING = "baking"
    SUCCEEDED = "succeeded"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def waiting(self) -> bool:
        """It has not begun, and has no say on the model's traffic."""
        return self in _WAITING

    @property
    def live(self) -> bool:
        """It owns the model's traffic, and its guardrails are judged at every tick."""
        return self in _LIVE


_TERMINAL = frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.ABORTED, Phase.FAILED})
_WAITING = frozenset({Phase.DRAFT, Phase.SCHEDULED})
_LIVE = frozenset(Phase) - _TERMINAL - _WAITING
