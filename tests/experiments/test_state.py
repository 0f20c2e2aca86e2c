from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.experiments.trials import END, running
from tests.factories import NOON
from turnout.experiments.domain.state import Pause, PausedBy, Progress, Sequences, Status
from turnout.stats.goal import GoalState

HOUR = timedelta(hours=1)
progresses: TypeAdapter[Progress] = TypeAdapter(Progress)
memories: TypeAdapter[Sequences] = TypeAdapter(Sequences)

moments = st.integers(-100_000, 1_000_000).map(lambda seconds: NOON + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("status", "live", "terminal"),
    [
        (Status.DRAFT, False, False),
        (Status.RUNNING, True, False),
        (Status.PAUSED, True, False),
        (Status.CONCLUDED, False, True),
        (Status.STOPPED, False, True),
    ],
)
def test_an_experiment_is_a_draft_live_or_over(status: Status, live: bool, terminal: bool) -> None:
    assert (status.live, status.terminal) == (live, terminal)


def test_a_pause_moves_the_end_by_its_own_length() -> None:
    paused = running().stopped(Status.PAUSED, NOON + HOUR)
    resumed = paused.continued(NOON + 3 * HOUR)

    assert paused.ends(timedelta(days=7)) is None
    assert resumed.ends(timedelta(days=7)) == END + 2 * HOUR
    assert resumed.pause is None
    assert resumed.split_id == paused.split_id == 1


@given(st.lists(moments, max_size=8), moments)
def test_time_served_is_never_taken_away(turns: list[datetime], now: datetime) -> None:
    """Not by pauses, and not by a clock that steps back."""
    progress, served = running(), timedelta()
    for turn in turns:
        if progress.status is Status.RUNNING:
            progress = progress.stopped(Status.PAUSED, turn)
        else:
            progress = progress.continued(turn)
        assert progress.elapsed(turn) >= served
        served = progress.elapsed(turn)
    assert progress.elapsed(now) >= served


@given(moments, st.timedeltas(timedelta(), timedelta(days=30)), moments)
def test_a_pause_takes_no_time_served(at: datetime, length: timedelta, now: datetime) -> None:
    through = running()
    paused = through.stopped(Status.PAUSED, at).continued(at + length)

    assert paused.elapsed(at + length) == through.elapsed(at)
    if now >= at >= NOON:
        assert paused.elapsed(now + length) == through.elapsed(now)


def test_state_survives_storage() -> None:
    note = Pause(by=PausedBy.EVIDENCE, reason="units met two variants", at=NOON)
    progress = replace(running().stopped(Status.PAUSED, NOON + HOUR, pause=note), ran=HOUR)
    memory = Sequences(
        goal={"2.0.0": GoalState(max_information=3.0, drift=2.8)},
        secondary_p={"2.0.0": {"cost": 0.2}},
        sample_ratio_p=0.4,
    )

    assert progresses.validate_json(progresses.dump_json(progress)) == progress
    assert memories.validate_json(memories.dump_json(memory)) == memory
