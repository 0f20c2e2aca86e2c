"""Bodies that work when they are sent as they are."""

from typing import Any, Final

BASELINE: Final[Any] = {
    "counts": {
        "summary": "Counts, as a training pipeline has them",
        "value": {
            "features": {
                "amount": {"edges": [10, 50, 200], "counts": [2500, 4000, 2500, 1000]},
                "country": {"categories": {"DE": 7000, "FR": 2000}, "other": 1000},
            },
            "prediction": {"categories": {"ok": 9700, "fraud": 300}},
            "accuracy": 0.93,
            "error_rate": 0.0005,
            "latency_p99": 120,
        },
    },
    "values": {
        "summary": "Raw columns",
        "value": {
            "features": {
                "amount": {"values": [12.5, 99, 7.2, None, 1400, 31.9]},
                "country": {"values": ["DE", "DE", "FR", "DE", None, "AT"]},
            }
        },
    },
    "traffic": {
        "summary": "The version's own answers, once there are 5,000",
        "value": {"from": "traffic", "predictions": 5000},
    },
}

TRAINING_DATA: Final = "amount,country,label\n12.5,DE,ok\n99,DE,ok\n7.2,FR,fraud\n,DE,ok\n"
