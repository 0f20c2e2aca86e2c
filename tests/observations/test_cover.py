"""Days and hours say what their minutes say."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout.observations import commands, queries
from turnout.observations.domain.cover import DAY, HOUR, MINUTE, cover, floor, widest_within
from turnout.observations.domain.figures import Figures, Mean, VersionFigures
from turnout.observations.domain.outcome import Outcome
from turnout.observations.points import points

MODEL = 1
RETENTION = timedelta(days=30)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)

MINUTES = st.integers(0, 10 * 24 * 60).map(lambda n: MIDNIGHT + n * MINUTE)


@given(MINUTES, MINUTES, st.sampled_from([MINUTE, HOUR, DAY]))
def test_a_cover_is_of_whole_windows_and_of_all_the_time(
    a: datetime, b: datetime, widest: timedelta
):
    since, until = sorted((a, b))

    found = cover(since, until, widest=widest)

    times = astuple(found)
    assert (times[0], times[-1]) == (since, until)
    assert all(earlier <= later for earlier, later in pairwise(times))
    hours = {found.first_hour, found.first_day, found.last_day, found.last_hour} - {until}
    days = set() if found.first_day == found.last_day else {found.first_day, found.last_day}
    assert hours == {floor(at, HOUR) for at in hours}
    assert days == {floor(at, DAY) for at in days}


@given(MINUTES, MINUTES)
def test_a_cover_reads_few_windows(a: datetime, b: datetime):
    found = cover(*sorted((a, b)))

    minutes = (found.first_hour - found.since) + (found.until - found.last_hour)
    hours = (found.first_day - found.first_hour) + (found.last_hour - found.last_day)
    assert minutes / MINUTE < 120
    assert hours / HOUR < 48


@pytest.mark.parametrize(
    ("since", "every", "widest"),
    [
        pytest.param(MIDNIGHT, DAY, DAY, id="days from midnight"),
        pytest.param(MIDNIGHT + HOUR, DAY, HOUR, id="days from one o'clock"),
        pytest.param(MIDNIGHT, 6 * HOUR, HOUR, id="several hours"),
        pytest.param(MIDNIGHT + MINUTE, HOUR, MINUTE, id="hours that begin a minute late"),
        pytest.param(MIDNIGHT, 90 * MINUTE, MINUTE, id="an hour and a half"),
        pytest.param(MIDNIGHT, 5 * MINUTE, MINUTE, id="minutes"),
    ],
)
def test_no_window_lies_in_two_intervals(since: datetime, every: timedelta, widest: timedelta):
    assert widest_within(since, every) == widest


Key = tuple[int, bool]


def together(parts: Iterable[Sequence[VersionFigures]]) -> dict[Key, tuple[Figures, Counter[str]]]:
    found: dict[Key, list[VersionFigures]] = defaultdict(list)
    for part in parts:
        for one in part:
            found[one.version_id, one.shadow].append(one)
    return {
        key: (
            summed([one.figures for one in ones]),
            sum((Counter(one.classes) for one in ones), Counter()),
        )
        for key, ones in found.items()
    }


def summed(parts: Sequence[Figures]) -> Figures:
    return reduce(added, parts)


def added(a: Figures, b: Figures) -> Figures:
    return Figures(
        predictions=a.predictions + b.predictions,
        errors=a.errors + b.errors,
        labelled=a.labelled + b.labelled,
        correct=a.correct + b.correct,
        latency=both(a.latency, b.latency),
        confidence=both(a.confidence, b.confidence),
        cost=both(a.cost, b.cost),
        latencies=a.latencies + b.latencies,
    )


def both(a: Mean, b: Mean) -> Mean:
    return Mean(n=a.n + b.n, total=a.total + b.total)


async def seen(session: AsyncSession, chance: random.Random, *, first: datetime) -> None:
    """Three days of predictions and labels, in no order of time, folded in several turns.

    What is added up is in quarters, so that sums are the same in any order.
    """
    for _ in range(6):
        rows = [
            prediction(
                version_id=chance.choice([1, 2]),
                split_id=chance.choice([None, 7, 8]),
                shadow=chance.random() < 0.1,
                at=first + chance.randrange(3 * 24 * 60 * 4) * MINUTE / 4,
                latency_ms=chance.choice([None, chance.randrange(1, 4000) / 4]),
                confidence=chance.choice([None, 0.25, 0.75]),
                cost=chance.choice([None, 1.5]),
                label=chance.choice(["a", "b", None]),
                error=chance.random() < 0.2,
            )
            for _ in range(80)
        ]
        await commands.record_predictions(session, MODEL, rows, now=NOON)
        for row in chance.sample(rows, 30):
            said = Outcome(prediction_id=row.prediction_id, label="a")
            await commands.feedback(session, MODEL, said, retention=RETENTION, now=NOON)
        while await commands.fold(session, now=NOON, limit=100):
            pass


async def test_hours_and_days_say_what_their_minutes_say(session: AsyncSession):
    chance = random.Random(1)
    first = MIDNIGHT - 3 * DAY
    await seen(session, chance, first=first)

    for _ in range(12):
        since, until = sorted(first + chance.randrange(3 * 24 * 60) * MINUTE for _ in range(2))
        # Stretches of half an hour to the minute have no whole hour in them.
        cuts = [
            since,
            *(at for n in range(144) if since < (at := first + (n * 30 + 7) * MINUTE) < until),
            until,
        ]
        minutes = [
            await queries.performance(session, MODEL, since=a, until=b) for a, b in pairwise(cuts)
        ]

        assert together([await queries.performance(session, MODEL, since=since, until=until)]) == (
            together(minutes)
        )


@pytest.mark.parametrize("every", [HOUR, 6 * HOUR, DAY])
async def test_points_of_hours_say_what_their_minutes_say(session: AsyncSession, every: timedelta):
    await seen(session, random.Random(2), first=MIDNIGHT - 3 * DAY)
    since, until = MIDNIGHT - 3 * DAY, MIDNIGHT

    found = await points(session, MODEL, since=since, until=until, every=every)
    plain = await points(session, MODEL, since=since, until=until, every=every, sketched=False)
    minutes = await points(session, MODEL, since=since, until=until, every=30 * MINUTE)

    parts: dict[tuple[int, datetime], list[Figures]] = defaultdict(list)
    for one in minutes:
        parts[one.version_id, floor(one.starts, every)].append(one.figures)
    assert {(one.version_id, one.starts): one.figures for one in found} == {
        key: summed(figures) for key, figures in parts.items()
    }
    assert [replace(one.figures, latencies=None) for one in plain] == [  # type: ignore[arg-type]
        replace(one.figures, latencies=None)  # type: ignore[arg-type]
        for one in found
    ]
