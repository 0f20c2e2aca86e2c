"""Bodies that work when they are sent as they are."""

from typing import Any, Final

WEBHOOK: Final[Any] = {
    "standard": {
        "summary": "Everything about rollouts and alerts, signed",
        "value": {
            "url": "https://ops.example.com/turnout",
            "events": ["rollout.*", "alert.*"],
        },
    },
    "slack": {
        "summary": "A channel reads how releases end",
        "value": {
            "url": "https://hooks.slack.com/services/T000/B000/XXXX",
            "events": ["rollout.succeeded", "rollout.rolled_back", "rollout.failed"],
            "format": "slack",
        },
    },
    "pagerduty": {
        "summary": "Whoever is on call is woken; secret is the integration's routing key",
        "value": {
            "url": "https://events.pagerduty.com/v2/enqueue",
            "events": ["rollout.rolled_back", "rollout.failed", "alert.*"],
            "format": "pagerduty",
            "secret": "R0123456789ABCDEF0123456789ABCDE",
        },
    },
    "cloudevents": {
        "summary": "CloudEvents 1.0 about one model",
        "value": {
            "url": "https://bus.example.com/ingest",
            "events": ["*"],
            "models": ["fraud-detection"],
            "format": "cloudevents",
        },
    },
}
PATCH: Final[Any] = {
    "deactivate": {"summary": "Stop sending", "value": {"active": False}},
    "rotate": {"summary": "Generate a new secret", "value": {"secret": None}},
}
