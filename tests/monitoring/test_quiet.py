from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.monitoring.conftest import MODEL, Watchman
from turnout.observations.domain.pause import Pause

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def pause(
    lasts: timedelta, *, day: int = 10_000, usual: int = 500, age: timedelta = 3 * DAY
) -> Pause:
    return Pause(
        model_id=1,
        version_id=1,
        first_at=NOON - age,
        last_at=NOON - lasts,
        day=day,
        usual_at=NOON - DAY * (1 + (lasts + HOUR / 2) // DAY),
        usual=usual,
    )


@pytest.mark.parametrize(
    ("found", "calls"),
    [
        pytest.param(pause(20 * MINUTE), True, id="a busy version has fallen silent"),
        pytest.param(pause(14 * MINUTE), False, id="not for long"),
        pytest.param(pause(2 * HOUR, day=600), False, id="too few are missing"),
        pytest.param(pause(8 * HOUR, day=600), True, id="in the end enough are missing"),
        pytest.param(pause(3 * DAY, age=20 * DAY), True, id="still, after days"),
        pytest.param(pause(2 * HOUR, usual=0), False, id="nothing comes at this time of day"),
        pytest.param(pause(20 * MINUTE, usual=0, age=5 * HOUR), True, id="no day before to go by"),
        pytest.param(pause(20 * MINUTE, day=200, usual=0, age=HOUR), False, id="it has just begun"),
    ],
)
def test_which_silence_calls_for_somebody(found: Pause, calls: bool):
    assert found.calls(NOON) is calls


async def test_a_version_that_falls_silent_calls_until_it_has_traffic_again(watchman: Watchman):
    await watchman.release("1.0.0", "2.0.0")

    async def summaries() -> list[str]:
        await watchman.worker.watch_traffic()
        return [alert["summary"] for alert in await watchman.alerts()]

    for _ in range(3):
        await watchman.traffic("2.0.0", 400)
        watchman.clock.advance(20 * MINUTE)
    await watchman.traffic("2.0.0", 400)
    watchman.clock.advance(5 * MINUTE)
    assert await summaries() == []
    watchman.clock.advance(15 * MINUTE)
    [said] = await summaries()
    assert said.startswith(f"{MODEL} 2.0.0 serves, and has had no prediction since 2026-03-02 13:0")
    assert said.endswith("after 1,600 in a day")
    for later in (MINUTE, 25 * HOUR, 3 * DAY):
        watchman.clock.advance(later)
        assert len(await summaries()) == 1

    await watchman.traffic("2.0.0", 1)

    assert await summaries() == []
    [alert] = await watchman.alerts(state="resolved")
    assert (alert["kind"], alert["severity"]) == ("no_data", "warning")


async def test_who_lags_behind_knows_of_no_silence(watchman: Watchman):
    await watchman.release("1.0.0")
    for _ in range(2):
        await watchman.traffic("1.0.0", 400)
        watchman.clock.advance(20 * MINUTE)
    row = {"prediction_id": "unread", "version": "1.0.0", "at": watchman.clock().isoformat()}
    await watchman.post(f"models/{MODEL}/observations", {"predictions": [row]})
    watchman.clock.advance(2 * MINUTE)

    await watchman.worker.watch_traffic()

    assert await watchman.alerts() == []


async def test_a_version_that_serves_no_more_may_be_silent(watchman: Watchman):
    await watchman.release("1.0.0")
    for _ in range(2):
        await watchman.traffic("1.0.0", 400)
        watchman.clock.advance(20 * MINUTE)
    await watchman.worker.watch_traffic()
    assert len(await watchman.alerts()) == 1

    await watchman.release("2.0.0")
    await watchman.worker.watch_traffic()

    assert await watchman.alerts() == []
