"""Bodies that work when they are sent as they are."""

from typing import Any, Final

PLAN: Final[Any] = {
    "accuracy": {
        "summary": "Half of the users get 2.0.0; which version is right more often?",
        "value": {
            "key": "accuracy-of-2-0",
            "name": "Is 2.0.0 right more often?",
            "control": "1.0.0",
            "treatments": [{"version": "2.0.0"}],
            "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.02},
            "guardrails": [{"metric": "error_rate", "max_increase": 0.01}],
            "target_sample_size": 6000,
        },
    },
    "conversions, concluded by itself": {
        "summary": "Only those who convert are reported; the winner is promoted",
        "value": {
            "key": "conversion-of-2-0",
            "control": "1.0.0",
            "treatments": [{"version": "2.0.0", "weight": 20}],
            "goal": {
                "metric": "conversion",
                "direction": "increase",
                "per": "unit",
                "minimum_detectable_effect": 0.01,
            },
            "secondary": ["latency_mean", {"metric": "revenue", "direction": "increase"}],
            "guardrails": [
                {"metric": "error_rate", "max_increase": 0.005},
                {"metric": "latency_p99", "max_increase": 20},
            ],
            "target_sample_size": 15000,
            "max_duration": "14d",
            "auto_conclude": True,
            "promote_winner": True,
        },
    },
}
START: Final[Any] = {"start": {"value": {"reason": "the owners agreed on the plan"}}}
PAUSE: Final[Any] = {"pause": {"value": {"reason": "the labels are late"}}}
RESUME: Final[Any] = {"resume": {"value": {"reason": "the labels are back"}}}
STOP: Final[Any] = {"stop": {"value": {"reason": "the goal was the wrong one"}}}
CONCLUSION: Final[Any] = {
    "as planned": {
        "summary": "The plan says whether a winner is promoted",
        "value": {"reason": "the answer is clear"},
    },
    "keep the control": {
        "summary": "Conclude, and leave the winner for later",
        "value": {"reason": "release after the holidays", "promote_winner": False},
    },
}
