"""Bodies that work when they are sent as they are."""

from typing import Any, Final

UPDATE: Final[Any] = {
    "latest": {"summary": "To the newest version, as a canary", "value": {}},
    "a version, in stages of your own": {
        "summary": "To a version, by a plan",
        "value": {
            "target": "2.0.0",
            "stages": [{"weight": 10, "bake": "10m"}, {"weight": 50, "bake": "30m"}],
            "notes": "trained on the data of February",
        },
    },
}

CANCEL: Final[Any] = {
    "cancel": {"summary": "End it", "value": {"reason": "the data turned out to be wrong"}}
}

SCHEDULE: Final[Any] = {
    "every night": {
        "summary": "To the newest version, on weekdays at half past two",
        "value": {
            "cron": "30 2 * * mon-fri",
            "zone": "Europe/Berlin",
            "update": {"target": "latest", "strategy": "canary"},
        },
    },
}

POLICY: Final[Any] = {
    "rules": {
        "summary": "Checks of your own beside the standard ones",
        "value": {
            "rules": [
                {"check": {"kind": "configuration"}},
                {
                    "check": {
                        "kind": "performance_baseline",
                        "metrics": ["accuracy", "auc"],
                        "margin": 0.005,
                    }
                },
                {"check": {"kind": "security", "tags": ["security-reviewed"]}},
                {
                    "check": {
                        "kind": "webhook",
                        "name": "change calendar",
                        "url": "https://changes.example.com/turnout",
                    },
                    "severity": "warning",
                    "required": False,
                },
            ],
            "reason": "agreed with the owners",
        },
    },
    "retraining": {
        "summary": "Retrain when the world has moved on, and roll out what comes back",
        "value": {
            "retraining": {"url": "https://training.example.com/runs", "wait": "2d"},
            "on": {
                "drift": {"retrain": True},
                "performance": {"retrain": True, "strategy": "blue_green"},
                "new_data": {"strategy": "canary"},
            },
        },
    },
    "standard": {"summary": "Back to the standard", "value": {}},
}
