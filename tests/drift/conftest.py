"""Traffic with features, and baselines to hold it against."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.monitoring import conftest
from tests.monitoring.conftest import MODEL, Watchman

watchman = conftest.watchman
live_watchman = conftest.live_watchman

Row = Mapping[str, Any]


async def answered(watchman: Watchman, version: str, rows: Iterable[Row], **seen: Any) -> None:
    """One prediction of the version with each of these features."""
    at = watchman.clock().isoformat()
    predictions = [
        {
            "prediction_id": f"{version}-{at}-{k}",
            "version": version,
            "unit": f"u{k}",
            "at": at,
            "features": row,
            **seen,
        }
        for k, row in enumerate(rows)
    ]
    await watchman.post(f"models/{MODEL}/observations", {"predictions": predictions})
    await watchman.worker.fold()


async def expects(watchman: Watchman, version: str, baseline: Mapping[str, Any]) -> Any:
    path = f"models/{MODEL}/versions/{version}/baseline"
    answer = await watchman.client.put(path, json=baseline)
    assert answer.is_success, answer.text
    return answer.json()


def spread(amounts: Sequence[float], countries: Sequence[str], n: int) -> list[Row]:
    """So many rows that go through the amounts and the countries in turn."""
    return [
        {"amount": amounts[k % len(amounts)], "country": countries[k % len(countries)]}
        for k in range(n)
    ]
