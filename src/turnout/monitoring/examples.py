"""Bodies that work when they are sent as they are."""

from typing import Any, Final

THRESHOLDS: Final[Any] = {
    "standard": {"summary": "Four limits to start with", "value": {"standard": {}}},
    "standard, with changes": {
        "summary": "Stricter, without confidence, and only an alert",
        "value": {
            "standard": {
                "min_accuracy": 0.9,
                "max_latency_ms": 120,
                "min_confidence": None,
                "action": "alert",
            }
        },
    },
    "your own": {
        "summary": "Warn early, roll back late, and retrain when the world has moved on",
        "value": {
            "rules": [
                {"metric": "error_rate", "max": 0.02, "window": "5m", "duration": "2m"},
                {
                    "metric": "error_rate",
                    "max": 0.1,
                    "last": 200,
                    "severity": "critical",
                    "action": "rollback",
                },
                {"metric": "latency_p99", "max": 400, "window": "10m", "duration": "5m"},
                {
                    "metric": "accuracy",
                    "min": 0.85,
                    "last": 1000,
                    "window": "7d",
                    "judge": "bound",
                    "action": "retrain",
                },
            ],
            "reason": "agreed with the owners",
        },
    },
    "drift": {
        "summary": "What moves away from the baselines calls for retraining",
        "value": {"drift": {"max_psi": 0.25, "window": "12h", "action": "retrain"}},
    },
    "none": {"summary": "Take them all back", "value": {}},
}
