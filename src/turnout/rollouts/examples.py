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
    "shadow that must agree": {
        "summary": "Answer by answer against what is served, then a canary",
        "value": {
            "candidate": "2.0.0",
            "stages": [
                {
                    "weight": 0,
                    "shadow": True,
                    "bake": "1h",
                    "guardrails": [
                        {"metric": "agreement", "min": 0.95},
                        {"metric": "latency_shift", "max": 20},
                        {"metric": "error_rate", "max_increase": 0.005},
                    ],
                },
                {"weight": 10, "bake": "1h"},
            ],
        },
    },
    "late labels and segments": {
        "summary": "Judge labels of predictions a day old, and errors country by country",
        "value": {
            "candidate": "2.0.0",
            "stages": [
                {
                    "weight": 10,
                    "bake": "2d",
                    "guardrails": [
                        {"metric": "accuracy", "max_decrease": 0.01, "maturity": "1d"},
                        {
                            "metric": "error_rate",
                            "max_increase": 0.01,
                            "segment": {"attribute": "country", "values": ["AT", "DE"]},
                        },
                    ],
                },
            ],
        },
    },
    "at night": {
        "summary": "At a time of your choice, after a person's approval, behind other rollouts",
        "value": {
            "candidate": "2.0.0",
            "starts_at": "2026-03-02T22:00:00+01:00",
            "start_approval": True,
            "on_conflict": "queue",
        },
    },
    "A/B test": {
        "summary": "Half and half until the goal decides, then all or nothing",
        "value": {
            "candidate": "2.0.0",
            "strategy": "ab_test",
            "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.02},
        },
    },
    "shadow, canary, A/B test": {
        "summary": "One plan: mirror, then a little traffic, then prove that it sells",
        "value": {
            "candidate": "2.0.0",
            "strategy": "ab_test",
            "stages": [
                {"weight": 0, "shadow": True, "bake": "1h"},
                {"weight": 5, "bake": "1h"},
                {
                    "weight": 50,
                    "bake": "24h",
                    "max_duration": "14d",
                    "goal": {
                        "metric": "conversion",
                        "direction": "increase",
                        "per": "unit",
                        "minimum_detectable_effect": 0.01,
                    },
                },
                {"weight": 100, "bake": "1h"},
            ],
        },
    },
    "replace": {
        "summary": "At once, watched for ten minutes",
        "value": {"candidate": "2.0.0", "strategy": "replace"},
    },
}
GROUP: Final[Any] = {
    "two models": {
        "summary": "A scorer and the ranker that reads its scores",
        "value": {
            "rollouts": [
                {"model": "fraud-detection", "candidate": "2.0.0"},
                {"model": "churn-predictor", "candidate": "2.0.0"},
            ],
            "reason": "the new features are in both",
        },
    }
}
PROMOTION: Final[Any] = {
    "next stage": {"value": {"reason": "looks good"}},
    "in a freeze window": {"value": {"reason": "the fix cannot wait", "override_freeze": True}},
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
RETRY: Final[Any] = {
    "after an abort": {"value": {"reason": "the other team is done"}},
    "after a rollback": {
        "summary": "A version that was rolled back is quarantined",
        "value": {"override_quarantine": True, "reason": "the cause was elsewhere"},
    },
}
FREEZE_WINDOWS: Final[Any] = {
    "weekends and a holiday": {
        "value": {
            "zone": "Europe/Berlin",
            "weekly": [
                {"days": ["friday"], "from": "16:00", "to": "00:00", "reason": "weekend"},
                {"days": ["saturday", "sunday"], "from": "00:00", "to": "00:00"},
            ],
            "once": [
                {
                    "starts": "2026-12-24T00:00:00+01:00",
                    "ends": "2026-12-27T00:00:00+01:00",
                    "reason": "Christmas",
                }
            ],
        }
    },
    "none": {"summary": "Lift them all", "value": {}},
}
REPLAN: Final[Any] = {
    "slower": {
        "summary": "Two more steps before everybody gets it",
        "value": {
            "stages": [
                {"weight": 25, "bake": "4h"},
                {"weight": 50, "bake": "12h"},
                {"weight": 100, "bake": "1h"},
            ],
            "reason": "watch it over a day",
        },
    }
}
ABORT: Final[Any] = {"abort": {"value": {"reason": "wrong version"}}}
RESTORATION: Final[Any] = {
    "last proven version": {"value": {"reason": "customers complain"}},
    "named version": {
        "summary": "To a version of your choice",
        "value": {"to_version": "1.0.0", "reason": "customers complain"},
    },
}
