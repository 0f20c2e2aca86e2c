"""Values far from zero: the fold keeps their spread, which sums of squares would lose."""

import itertools
import math
import random
from collections.abc import Sequence
from datetime import timedelta
from statistics import fmean, stdev

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout.observations import commands, folding, history, queries
from turnout.observations.domain.followed import Followed
from turnout.observations.wire import OutcomeLine, Submission
from turnout.stats.baseline import Baseline
from turnout.stats.totals import UnitTotals

MODELS = itertools.count(15_000)
SPLIT = 7
HOUR = timedelta(hours=1)
METRIC = "finished_at"
UNIX_TIME = 1_795_000_000.0

Told = tuple[int, str | None, float]
"""The version that answered, the unit that it answered, and the value that came of it."""

either_server = pytest.mark.parametrize(
    "old_and_new", [False, None], ids=["any PostgreSQL", "as this one can"]
)


async def record(
    session: AsyncSession, model_id: int, told: Sequence[Told], *, split_id: int = SPLIT
) -> None:
    answers = [
        prediction(
            version_id=version_id, unit=unit, split_id=split_id, attributes={"country": "DE"}
        )
        for version_id, unit, _ in told
    ]
    await commands.record_predictions(session, model_id, answers, now=NOON)
    outcomes = [
        OutcomeLine(prediction_id=answer.prediction_id, metric=METRIC, value=value)
        for answer, (_, _, value) in zip(answers, told, strict=True)
    ]
    batch = Submission(batch_id=None, predictions=(), outcomes=outcomes)
    await commands.record(
        session, model_id, batch, atomic=True, retention=timedelta(days=30), now=NOON
    )


async def fold(session: AsyncSession, *, limit: int, old_and_new: bool | None = None) -> None:
    if old_and_new is None:
        old_and_new = await folding.returns_old(session)
    while (model_id := await folding.lock_longest_waiting(session)) is not None:
        due = await folding.take_batches(session, model_id, limit=limit, now=NOON)
        assert due is not None
        await folding.fold_batches(session, due, old_and_new=old_and_new)


async def stored(
    session: AsyncSession, model_id: int, *, version_id: int = 1, split_id: int = SPLIT
) -> UnitTotals:
    arms = (await queries.evidence(session, [(model_id, split_id)]))[split_id]
    return arms[version_id].metrics[METRIC]


def deviation(totals: UnitTotals) -> float:
    baseline = Baseline.of(totals, proportion=False)
    assert baseline is not None
    return math.sqrt(baseline.variance)


def swinging(centre: float) -> list[float]:
    """NIST's: one value at the centre, and the others a tenth above and below by turns."""
    low, high = round(centre - 0.1, 1), round(centre + 0.1, 1)
    return [centre, *[low, high] * 500]


@either_server
@pytest.mark.parametrize(
    ("values", "mean", "certified"),
    [
        pytest.param([10_000_001.0, 10_000_003.0, 10_000_002.0], 10_000_002.0, 1.0, id="NumAcc1"),
        pytest.param(swinging(1.2), 1.2, 0.1, id="NumAcc2"),
        pytest.param(swinging(1_000_000.2), 1_000_000.2, 0.1, id="NumAcc3"),
        pytest.param(swinging(10_000_000.2), 10_000_000.2, 0.1, id="NumAcc4"),
    ],
)
async def test_what_is_stored_has_the_certified_mean_and_deviation(
    session: AsyncSession,
    old_and_new: bool | None,
    values: list[float],
    mean: float,
    certified: float,
):
    """NIST StRD, univariate summary statistics, in pieces of any size and any order of arrival."""
    chance = random.Random(values[0])
    rows: list[Told] = [
        (1, chance.choice([None, f"user-{place}"]), value) for place, value in enumerate(values)
    ]
    while rows:
        size = chance.randint(1, 400)
        piece, rows = rows[:size], rows[size:]
        await record(session, 1, piece)
        if chance.random() < 0.7:
            await fold(session, limit=chance.randint(1, 500), old_and_new=old_and_new)
    await fold(session, limit=1_000, old_and_new=old_and_new)

    totals = await stored(session, 1)

    assert (totals.units, totals.n) == (len(values), len(values))
    assert totals.rate == pytest.approx(mean, rel=1e-14)
    assert deviation(totals) == pytest.approx(certified, rel=1e-8)


told = st.tuples(
    st.sampled_from([1, 2]),
    st.sampled_from([None, "a", "b", "c"]),
    st.integers(-800, 800).map(lambda eighths: UNIX_TIME + eighths / 8),
)


@either_server
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    batches=st.lists(st.lists(told, max_size=12), min_size=1, max_size=4), limit=st.integers(1, 20)
)
async def test_units_that_come_again_add_up_to_their_values(
    session: AsyncSession, old_and_new: bool | None, batches: list[list[Told]], limit: int
):
    model_id = next(MODELS)
    for batch in batches:
        await record(session, model_id, batch)
        await fold(session, limit=limit, old_and_new=old_and_new)

    arms = (await queries.evidence(session, [(model_id, SPLIT)])).get(SPLIT, {})

    rows = [row for batch in batches for row in batch]
    for version_id, arm in arms.items():
        found = arm.metrics[METRIC]
        units: dict[object, list[float]] = {}
        for place, (version, unit, value) in enumerate(rows):
            if version == version_id:
                units.setdefault(unit or place, []).append(value - found.pivot)
        sums = [(len(values), sum(values)) for values in units.values()]
        # Eighths add up without rounding.
        assert found == UnitTotals(
            units=len(sums),
            n=sum(n for n, _ in sums),
            n2=sum(n * n for n, _ in sums),
            x=sum(x for _, x in sums),
            x2=sum(x * x for _, x in sums),
            xn=sum(x * n for n, x in sums),
            pivot=found.pivot,
        )
    assert len({arm.metrics[METRIC].pivot for arm in arms.values()}) <= 1


@pytest.mark.parametrize(
    ("values", "pivot"),
    [
        pytest.param([3e5, 1e5, 2e5], 2e5, id="the median of what came first"),
        pytest.param([-3e5], -3e5, id="below zero"),
        pytest.param([99_999.0], 0, id="not far enough from zero"),
        pytest.param([5.0, 6.0, 1e12], 0, id="one wild value does not move it"),
        pytest.param([0.0, 1.0], 0, id="counts"),
    ],
)
async def test_the_first_values_settle_the_pivot(
    session: AsyncSession, values: list[float], pivot: float
):
    await record(session, 1, [(1, None, value) for value in values])
    await fold(session, limit=100)

    totals = await stored(session, 1)

    assert totals.pivot == pivot
    assert totals.rate == pytest.approx(fmean(values))


async def test_arms_that_come_later_have_the_pivot_of_their_split(session: AsyncSession):
    for version_id, value in ((1, 4e6), (2, 7e6), (1, 5.0)):
        await record(session, 1, [(version_id, None, value)])
        await fold(session, limit=100)

    one, two = [await stored(session, 1, version_id=version_id) for version_id in (1, 2)]

    assert (one.pivot, one.x) == (4e6, 5.0 - 4e6)
    assert (two.pivot, two.x) == (4e6, 3e6)


async def test_splits_with_pivots_of_their_own_add_up(session: AsyncSession):
    values = {3: [2e6, 2e6 + 1, 2e6 + 5], 8: [2e6 + 7, 2e6 + 2]}
    for split_id, told_there in values.items():
        await record(session, 1, [(1, None, value) for value in told_there], split_id=split_id)
        await fold(session, limit=100)

    totals = await history.recent_totals(session, 1, 1, METRIC)

    every = list(itertools.chain(*values.values()))
    assert totals.units == len(every)
    assert totals.rate == pytest.approx(fmean(every), rel=1e-15)
    assert deviation(totals) == pytest.approx(stdev(every), rel=1e-12)


async def test_what_matures_and_what_is_of_a_segment_keeps_its_spread(session: AsyncSession):
    followed = [
        Followed(metric=METRIC, age=HOUR),
        Followed(metric=METRIC, attribute="country", value="DE"),
    ]
    await commands.follow(session, 1, SPLIT, followed)
    values = swinging(UNIX_TIME)[:41]
    await record(session, 1, [(1, None, value) for value in values])
    await fold(session, limit=100)
    assert await folding.lock_ripe(session, now=NOON + HOUR) == 1
    await folding.fold_ripe(session, 1, limit=100, now=NOON + HOUR, old_and_new=False)

    metrics = (await queries.evidence(session, [(1, SPLIT)]))[SPLIT][1].metrics

    for series in (METRIC, *(each.series for each in followed)):
        assert metrics[series].rate == pytest.approx(fmean(values), rel=1e-15)
        assert deviation(metrics[series]) == pytest.approx(stdev(values), rel=1e-9)


def test_evidence_that_was_stored_before_there_were_pivots_still_loads():
    adapter = TypeAdapter(UnitTotals)

    loaded = adapter.validate_json('{"units": 2, "n": 2, "n2": 2, "x": 3, "x2": 5, "xn": 3}')

    assert loaded == UnitTotals(units=2, n=2, n2=2, x=3, x2=5, xn=3, pivot=0)
    assert adapter.validate_json(adapter.dump_json(loaded.about(1.5))) == loaded.about(1.5)
