"""The Python client: choose versions locally, record what came of it, operate the service.

from turnout.client import Turnout

client = Turnout("http://127.0.0.1:8000")
choice = client.select_version("fraud-detection", "user-42")
"""

from turnout.client.awaiting import AsyncTurnout
from turnout.client.blocking import Turnout
from turnout.client.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Problem,
    Refused,
    TooManyRequests,
    TurnoutError,
    Unauthenticated,
    Unavailable,
    Unreachable,
    Unsent,
)
from turnout.client.experiment import Answer, ModelUnclear, Scored, Unit
from turnout.client.recording import Recordings
from turnout.client.routing import Choice, Reason
from turnout.client.stream import Event

__all__ = [
    "Answer",
    "AsyncTurnout",
    "Choice",
    "Conflict",
    "Event",
    "Forbidden",
    "Malformed",
    "ModelUnclear",
    "NotFound",
    "Problem",
    "Reason",
    "Recordings",
    "Refused",
    "Scored",
    "TooManyRequests",
    "Turnout",
    "TurnoutError",
    "Unauthenticated",
    "Unavailable",
    "Unit",
    "Unreachable",
    "Unsent",
]
