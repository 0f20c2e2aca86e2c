from datetime import datetime, timedelta

import pytest

from tests.experiments.conftest import HOUR, SECOND, plan
from tests.factories import NOON
from turnout.experiments.domain.schedule import look_interval, look_is_due
from turnout.experiments.domain.state import Progress, Status

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("max_duration", "interval"),
    [
        pytest.param(10 * HOUR, 3 * MINUTE, id="a two-hundredth of the longest time"),
        pytest.param(MINUTE, SECOND, id="no shorter than a beat"),
        pytest.param(timedelta(days=90), HOUR, id="no longer than an hour"),
    ],
)
def test_looks_are_spread_over_the_time(max_duration: timedelta, interval: timedelta) -> None:
    assert look_interval(plan(max_duration=max_duration), SECOND) == interval


def running(for_: timedelta) -> tuple[Progress, datetime]:
    """An experiment that started at noon, after so long."""
    progress = Progress(status=Status.RUNNING, started_at=NOON, running_since=NOON)
    return progress, NOON + for_


@pytest.mark.parametrize(
    ("for_", "looked", "due"),
    [
        pytest.param(MINUTE, None, False, id="too early for a first look"),
        pytest.param(3 * MINUTE, None, True, id="the first look"),
        pytest.param(5 * MINUTE, 3 * MINUTE, False, id="one was just made"),
        pytest.param(5.8 * MINUTE, 3 * MINUTE, True, id="a beat that comes a little early"),
        pytest.param(10 * HOUR, 10 * HOUR - MINUTE, True, id="the last look, when the time is up"),
        pytest.param(15 * HOUR, 10 * HOUR, False, id="the last look was made"),
        pytest.param(15 * HOUR, None, True, id="the last look, though none was made before"),
        pytest.param(HOUR, 2 * HOUR, True, id="the clock was set back"),
    ],
)
def test_a_look_is_due(for_: timedelta, looked: timedelta | None, *, due: bool) -> None:
    progress, now = running(for_)
    looked_at = None if looked is None else NOON + looked

    assert look_is_due(plan(), progress, looked_at, now=now, tick=SECOND) is due


@pytest.mark.parametrize("status", [Status.DRAFT, Status.PAUSED, Status.CONCLUDED])
def test_what_does_not_run_is_not_looked_at(status: Status) -> None:
    progress = Progress(status=status, started_at=NOON)

    assert not look_is_due(plan(), progress, None, now=NOON + HOUR, tick=SECOND)
