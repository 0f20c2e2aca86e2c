"""Bodies that work when they are sent as they are."""

from typing import Any, Final

TRANSITION: Final[Any] = {
    "to staging": {"value": {"to": "staging", "reason": "passed the offline checks"}},
    "back to development": {"value": {"to": "development"}},
}
POLICY: Final[Any] = {
    "standard": {
        "summary": "The ready-made gates before production",
        "value": {"production": "standard", "reason": "we begin with what is usual"},
    },
    "your own": {
        "summary": "Gates before staging, and others before production",
        "value": {
            "staging": {"gates": [{"kind": "metadata", "fields": ["description", "owner"]}]},
            "production": {
                "gates": [
                    {"kind": "metric", "metric": "auc", "min": 0.8},
                    {"kind": "no_regression", "metric": "auc", "margin": 0.01},
                    {"kind": "groups", "metric": "auc", "min": 0.75, "max_gap": 0.1},
                    {"kind": "signature"},
                    {"kind": "latency", "p99_ms": 100, "unmeasurable": "skip"},
                ],
                "on_failure": "stay",
            },
        },
    },
    "sign-off": {
        "summary": "Evidence from the road, the owner's approval and another person's",
        "value": {
            "production": {
                "gates": [
                    {"kind": "evidence", "any_of": ["shadow", "experiment"]},
                    {"kind": "approvals", "owner": True, "others": 1},
                ]
            }
        },
    },
}
DRY_RUN: Final[Any] = {
    "production": {"summary": "Would it pass?", "value": {"to": "production"}},
    "with an input": {
        "summary": "With an input for the latency benchmark",
        "value": {"to": "production", "inputs": [[5.1, 3.5, 1.4, 0.2]]},
    },
}
APPROVAL: Final[Any] = {
    "production": {"value": {"to": "production", "reason": "read the report, looks right"}}
}
