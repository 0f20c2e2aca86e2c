"""Bodies that work when they are sent as they are."""

from typing import Any, Final

BATCH: Final[Any] = {
    "predictions": {
        "summary": "Two predictions of 1.0.0",
        "value": {
            "batch_id": "checkout-2026-03-02-0001",
            "predictions": [
                {
                    "prediction_id": "order-4711",
                    "version": "1.0.0",
                    "unit": "user-1",
                    "latency_ms": 12.5,
                    "confidence": 0.93,
                    "class": "ok",
                },
                {
                    "prediction_id": "order-4712",
                    "version": "1.0.0",
                    "unit": "user-2",
                    "latency_ms": 250,
                    "error": "timeout",
                },
            ],
        },
    },
    "outcomes": {
        "summary": "What came of them",
        "value": {
            "batch_id": "labels-2026-03-09-0001",
            "outcomes": [
                {"prediction_id": "order-4711", "label": "fraud"},
                {"prediction_id": "order-4712", "correct": False},
                {"unit": "user-1", "metric": "revenue", "value": 49.9},
            ],
        },
    },
}

NDJSON: Final[Any] = {
    "lines": {
        "summary": "One row per line",
        "value": '{"prediction_id": "order-4713", "version": "1.0.0", "unit": "user-3"}\n'
        '{"prediction_id": "order-4713", "label": "ok"}\n',
    }
}

OUTCOME: Final[Any] = {
    "label": {
        "summary": "The true class, compared with the predicted one",
        "value": {"prediction_id": "order-4711", "label": "fraud"},
    },
    "correct": {
        "summary": "Right or wrong",
        "value": {"prediction_id": "order-4712", "correct": False},
    },
    "value": {
        "summary": "A number about the user, for the version that they saw last",
        "value": {"unit": "user-1", "metric": "revenue", "value": 49.9},
    },
}
