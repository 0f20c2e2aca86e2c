"""Bodies that work when they are sent as they are."""

from typing import Any, Final

AB_TEST: Final[Any] = {
    "sticky": {
        "summary": "20 % of the users get 2.0.0 and keep it",
        "value": {
            "test_id": "two-against-one",
            "name": "2.0.0 against 1.0.0",
            "control_version": "1.0.0",
            "treatment_version": "2.0.0",
            "traffic_split": 0.2,
            "strategy": "STICKY",
            "target_sample_size": 1000,
        },
    },
    "canary": {
        "summary": "10 % more every ten minutes",
        "value": {
            "test_id": "ramp-up",
            "control_version": "1.0.0",
            "treatment_version": "2.0.0",
            "strategy": "CANARY",
        },
    },
}
CONCLUSION: Final[Any] = {
    "promote": {
        "summary": "The winner, if there is one, answers",
        "value": {"promote_winner": True},
    },
    "keep": {"summary": "The control answers", "value": {"promote_winner": False}},
}
VARIANT_FEEDBACK: Final[Any] = {
    "variant": {
        "summary": "An answer of the treatment was right",
        "value": {"variant_name": "treatment", "was_correct": True},
    },
}
FEEDBACK: Final[Any] = {
    "serving": {"summary": "An answer was right", "value": {"was_correct": True}},
}
PROMOTION: Final[Any] = {
    "as usual": {"summary": "Keep the previous version", "value": {"backup_current": True}},
}
ROLLBACK: Final[Any] = {
    "named": {
        "summary": "To a version",
        "value": {"to_version": "1.0.0", "details": "customers complain"},
    },
    "proven": {"summary": "To the last proven one", "value": {"details": "customers complain"}},
}
THRESHOLDS: Final[Any] = {
    "usual": {
        "summary": "The limits to start with",
        "value": {
            "min_accuracy": 0.8,
            "max_error_rate": 0.05,
            "max_latency_ms": 200,
            "min_confidence": 0.6,
            "evaluation_window": 100,
            "consecutive_failures": 3,
        },
    },
}
