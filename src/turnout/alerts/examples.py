"""Bodies that work when they are sent as they are."""

from typing import Any, Final

REMARK: Final[Any] = {"on it": {"value": {"reason": "looking into the latency"}}}
RESOLUTION: Final[Any] = {"over": {"value": {"reason": "the threshold was a mistake"}}}
QUIET: Final[Any] = {
    "an hour": {"value": {"duration": "1h", "reason": "known, the fix is on its way"}}
}
HUSH: Final[Any] = {
    "a model": {
        "summary": "Planned work on one model",
        "value": {
            "model": "fraud-detection",
            "duration": "2h",
            "reason": "the feature store moves",
        },
    },
    "a kind": {
        "summary": "One kind of alert of every model",
        "value": {"kind": "no_data", "duration": "12h", "reason": "no traffic at night"},
    },
}
