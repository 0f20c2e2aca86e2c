"""Bodies that work when they are sent as they are, in this order."""

from typing import Any, Final

REGISTRATION: Final[Any] = {
    "first": {
        "summary": "The first model",
        "value": {
            "name": "sentiment",
            "version": "1.0.0",
            "accuracy": 0.85,
            "description": "few words",
            "runtime": {"kind": "demo-sentiment", "words": "small"},
        },
    },
    "second": {
        "summary": "The second one",
        "value": {
            "name": "sentiment",
            "version": "2.0.0",
            "accuracy": 0.91,
            "description": "more words",
        },
    },
}
ACTIVATION: Final[Any] = {
    "most": {"summary": "80 %", "value": {"traffic_percent": 80}},
    "off": {"summary": "No traffic any more", "value": {"traffic_percent": 0}},
}
QUESTION: Final[Any] = {
    "text": {"summary": "whoever the shares choose", "value": {"text": "I love this product"}},
    "user": {
        "summary": "always the same version for this user",
        "value": {"text": "It was not good", "user_id": "user-42"},
    },
    "forced": {
        "summary": "this version",
        "value": {"text": "A splendid day", "model_version": "2.0.0"},
    },
}
