"""Features are counted as the pure rule says, by the hour, from a sample of the traffic."""

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tests.drift.conftest import answered, expects
from tests.monitoring.conftest import MODEL, Watchman
from turnout.drift import queries
from turnout.observations.domain.grid import PREDICTION
from turnout.registry import queries as registry

AMOUNT = {"edges": [10.5, 50, 200], "counts": [1, 1, 1, 1]}
COUNTRY = {"categories": {"DE": 2, "3": 1}}
SCORE = {"edges": [0.5], "counts": [1, 1]}

VALUES: list[Any] = [
    10.5, 10.4999, 50, 49, 1e15, -1e15, 1e-300, 0, -0.0, 200.0, "12", True, None, "", "DE", 3, 3.0,
    "3", "3.0", "de", False,
]  # fmt: skip


async def counts(watchman: Watchman, session: AsyncSession, version: str = "1.0.0"):
    model = await registry.model(session, MODEL)
    found = await registry.version(session, model.id, version)
    baselines = await queries.baselines(session, [found.id])
    gathered = await queries.gathered(
        session, baselines, {model.id: [found.id]}, window=timedelta(hours=1), now=watchman.clock()
    )
    return gathered[found.id]


def read(value: Any) -> float | str | None:
    """What the fold takes a value for: texts of numbers only where texts are counted."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else float(value)


async def test_columns_are_cut_as_single_values_are(watchman: Watchman, session: AsyncSession):
    await watchman.release("1.0.0")
    await expects(watchman, "1.0.0", {"features": {"amount": AMOUNT, "country": COUNTRY}})
    rows = [{"amount": value, "country": value} for value in VALUES]
    await answered(watchman, "1.0.0", rows)
    found = await counts(watchman, session)

    for cut in found.baseline.cuts:
        expected = [0] * cut.bins
        for value in VALUES:
            taken = read(value)
            if cut.categories and isinstance(taken, float):
                taken = str(int(taken)) if taken == int(taken) else str(taken)
            expected[cut.bin_of(taken)] += 1
        assert list(found.counts[cut.feature]) == expected, cut.feature


async def test_answers_are_counted_as_classes_or_as_a_score(
    watchman: Watchman, session: AsyncSession
):
    await watchman.release("1.0.0")
    await expects(watchman, "1.0.0", {"prediction": SCORE})
    for score in (0.1, 0.5, 0.7, 1e-7, "1e999999", "n/a", 3):
        await answered(watchman, "1.0.0", [{}], **{"class": score})
        watchman.clock.advance(timedelta(seconds=1))
    found = await counts(watchman, session)

    assert list(found.counts[PREDICTION]) == [2, 3, 2]


async def test_a_sample_is_counted_and_no_more(watchman: Watchman, session: AsyncSession):
    await watchman.release("1.0.0")
    await expects(watchman, "1.0.0", {"features": {"amount": AMOUNT}})
    counted = []
    for minute in (0, 0, 1):
        watchman.clock.advance(timedelta(minutes=minute, milliseconds=1))
        await answered(watchman, "1.0.0", [{"amount": k} for k in range(1500)])
        counted.append(sum((await counts(watchman, session)).counts["amount"]))

    assert counted == [1500, 2200, 2400], "the clock of tests begins with an hour"


async def test_two_versions_are_counted_on_the_bins_of_both(
    watchman: Watchman, session: AsyncSession
):
    await watchman.release("1.0.0", "2.0.0")
    await expects(watchman, "1.0.0", {"features": {"amount": AMOUNT}})
    rows = [
        {
            "prediction_id": f"{version}-{k}",
            "version": version,
            "features": {"amount": 100 if version == "1.0.0" else 5},
        }
        for version in ("1.0.0", "2.0.0")
        for k in range(50)
    ]
    await watchman.post(f"models/{MODEL}/observations", {"predictions": rows})
    await watchman.worker.fold()
    model = await registry.model(session, MODEL)
    ids = await registry.version_ids(session, model.id, ["1.0.0", "2.0.0"])
    gathered = await queries.gathered(
        session,
        await queries.baselines(session, ids.values()),
        {model.id: list(ids.values())},
        window=timedelta(hours=1),
        now=watchman.clock(),
    )
    beside = gathered[ids["1.0.0"]].beside

    assert list(gathered) == [ids["1.0.0"]]
    assert beside is not None
    assert beside.version_id == ids["2.0.0"]
    assert list(beside.own["amount"]) == [0, 0, 50, 0, 0]
    assert list(beside.theirs["amount"]) == [50, 0, 0, 0, 0]


async def test_another_baseline_starts_afresh(watchman: Watchman, session: AsyncSession):
    await watchman.release("1.0.0")
    await expects(watchman, "1.0.0", {"features": {"amount": AMOUNT}})
    await answered(watchman, "1.0.0", [{"amount": 5}])
    await expects(watchman, "1.0.0", {"features": {"amount": AMOUNT | {"edges": [1, 2, 3]}}})
    forgotten = dict((await counts(watchman, session)).counts)
    watchman.clock.advance(timedelta(seconds=1))
    await answered(watchman, "1.0.0", [{"amount": 5}])

    assert forgotten == {}
    assert list((await counts(watchman, session)).counts["amount"]) == [0, 0, 0, 1, 0]
