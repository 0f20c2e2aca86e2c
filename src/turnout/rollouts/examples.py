"""Bodies that work when they are sent as they are."""

from typing import Any, Final

LAUNCH: Final[Any] = {
    "canary": {
        "summary": "10 % steps to 100 %, default limits",
        "value": {"candidate": "2.0.0", "reason": "retrained on February"},
    },
    "canary with stages": {
        "summary": "Your own stages, each with its guardrails",
        "value": {
            "candidate": "2.0.0",
            "strategy": "canary",
            "stages": [
                {
                    "weight": 5,
                    "bake": "1h",
                    "guardrails": [
                        {"metric": "error_rate", "max_increase": 0.005},
                        {"metric": "latency_p99", "max_increase": 20},
                    ],
                },
                {
                    "weight": 25,
                    "bake": "4h",
                    "guardrails": [{"metric": "accuracy", "max_decrease": 0.01}],
                },
                {"weight": 50, "bake": "12h", "approval": True},
                {"weight": 100, "bake": "24h"},
            ],
        },
    },
    "blue-green": {
        "summary": "Mirror the traffic first, then switch at once",
        "value": {"candidate": "2.0.0", "strategy": "blue_green"},
    },
    "shadow": {
        "summary": "Only measure: the candidate answers nobody",
        "value": {"candidate": "2.0.0", "strategy": "shadow", "promote": False},
    },
    "replace": {
        "summary": "At once, watched for ten minutes",
        "value": {"candidate": "2.0.0", "strategy": "replace"},
    },
}
PROMOTION: Final[Any] = {
    "next stage": {"value": {"reason": "looks good"}},
    "all the way": {
        "summary": "Straight to the last stage; its guardrails stay armed",
        "value": {"reason": "looks good", "full": True},
    },
}
ROLLBACK: Final[Any] = {"roll back": {"value": {"reason": "customers complain"}}}
APPROVAL: Final[Any] = {"approve": {"value": {"reason": "checked with the owners"}}}
PAUSE: Final[Any] = {"pause": {"value": {"reason": "looking into the latency"}}}
RESUME: Final[Any] = {"resume": {"value": {"reason": "the latency is explained"}}}
SKIP: Final[Any] = {"skip": {"value": {"reason": "the version before has a security hole"}}}
ABORT: Final[Any] = {"abort": {"value": {"reason": "wrong version"}}}
RESTORATION: Final[Any] = {
    "last proven version": {"value": {"reason": "customers complain"}},
    "named version": {
        "summary": "To a version of your choice",
        "value": {"to_version": "1.0.0", "reason": "customers complain"},
    },
}
