"""Totals by an attribute, from raw rows."""

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, PERSON, counted, version
from tests.observations.test_record import RETENTION
from turnout.observations import commands
from turnout.observations.segments import MOST_SEGMENTS, OTHER, UNKNOWN, segments
from turnout.observations.wire import read_json
from turnout.registry.domain.version import VersionRef
from turnout.stats.totals import UnitTotals
from turnout.traffic import commands as traffic
from turnout.traffic.domain.split import Split, Spread, Variant

IDS = itertools.count()


@pytest.fixture
async def versions(session: AsyncSession) -> list[VersionRef]:
    return [await version(session, text) for text in ("1.0.0", "2.0.0")]


@pytest.fixture
async def split(session: AsyncSession, versions: list[VersionRef]) -> Split:
    return await traffic.set_split(
        session,
        versions[0].model_id,
        owner=PERSON,
        strategy=Spread.RANDOM,
        variants=[
            Variant(name=found.version, version_id=found.id, version=found.version, weight=5_000)
            for found in versions
        ],
        actor="ada",
        now=NOON,
    )


def row(split: Split, country: str | None, **given: Any) -> dict[str, Any]:
    features = None if country is None else {"country": country}
    ids = {"prediction_id": f"p{next(IDS)}", "split_id": split.id, "version": "1.0.0"}
    return ids | {"features": features} | given


async def record(session: AsyncSession, split: Split, *rows: Mapping[str, Any]) -> None:
    """Each with what came of it, if that is said."""
    outcomes = [
        {"prediction_id": told["prediction_id"]} | told["outcome"]
        for told in rows
        if "outcome" in told
    ]
    predictions = [{k: v for k, v in told.items() if k != "outcome"} for told in rows]
    body = msgspec.json.encode({"predictions": predictions, "outcomes": outcomes})
    report = await commands.record(
        session,
        split.model_id,
        read_json(body, None),
        atomic=True,
        retention=RETENTION,
        now=NOON,
    )
    assert report.accepted == len(rows) + len(outcomes)


async def cut(
    session: AsyncSession, split: Split, metric: str
) -> Mapping[str, Mapping[int, UnitTotals]]:
    return await segments(session, split.model_id, split.id, attribute="country", metric=metric)


async def test_each_segment_has_its_totals_by_version(
    session: AsyncSession, split: Split, versions: list[VersionRef]
):
    await record(
        session,
        split,
        row(split, "DE", unit="a"),
        row(split, "DE", unit="a", error=True),
        row(split, "DE", unit="b", version="2.0.0"),
        row(split, "FR"),
        row(split, None),
        row(split, "DE", split_id=None),
        row(split, "DE", version="1.0.0", unit="a", features={"age": 3}),
    )
    one, two = (found.id for found in versions)

    found = await cut(session, split, "error_rate")

    assert found == {
        "DE": {one: UnitTotals(units=1, n=3, n2=9, x=1, x2=1, xn=3), two: counted(1, 0)},
        "FR": {one: counted(1, 0)},
        UNKNOWN: {one: counted(1, 0)},
    }
    assert (await cut(session, split, "success_rate"))["DE"][one].x == 2


async def test_measurements_count_where_they_were_made(session: AsyncSession, split: Split):
    await record(
        session,
        split,
        row(split, "DE", unit="a", latency_ms=10),
        row(split, "DE", unit="a", latency_ms=30),
        row(split, "DE", unit="b"),
    )

    [totals] = (await cut(session, split, "latency_mean"))["DE"].values()

    assert totals == UnitTotals(units=1, n=2, n2=4, x=40, x2=1600, xn=80)


async def test_outcomes_belong_to_the_segment_of_their_unit(session: AsyncSession, split: Split):
    await record(
        session,
        split,
        row(split, "DE", unit="a", outcome={"correct": True}),
        row(split, "DE", unit="a", outcome={"correct": False}),
        row(split, "DE", outcome={"correct": True}),
        row(split, "FR", unit="c", outcome={"metric": "revenue", "value": 5}),
    )

    accuracy = await cut(session, split, "accuracy")
    revenue = await cut(session, split, "revenue")

    assert {segment: list(arms.values()) for segment, arms in accuracy.items()} == {
        "DE": [UnitTotals(units=2, n=3, n2=5, x=2, x2=2, xn=3)]
    }
    assert [arm.x for arm in revenue["FR"].values()] == [5]


async def test_outcomes_far_from_zero_keep_their_spread(session: AsyncSession, split: Split):
    values = [1e9 + 0.125, 1e9 + 0.25, 1e9 + 0.75]
    told = [{"metric": "finished_at", "value": value} for value in values]
    await record(session, split, *(row(split, "DE", outcome=outcome) for outcome in told))
    await commands.fold(session, now=NOON)

    [totals] = (await cut(session, split, "finished_at"))["DE"].values()

    assert totals == UnitTotals(
        units=3, n=3, n2=3, x=0.375, x2=0.125**2 + 0.5**2, xn=0.375, pivot=1e9 + 0.25
    )


async def test_rare_segments_are_one(session: AsyncSession, split: Split):
    often = [row(split, f"often {n}") for n in range(MOST_SEGMENTS)] * 2
    rows = [told | {"prediction_id": f"q{n}"} for n, told in enumerate(often)]
    await record(session, split, *rows, *(row(split, f"rare {n}") for n in range(30)))

    found = await cut(session, split, "error_rate")

    assert len(found) == MOST_SEGMENTS + 1
    assert [arm.units for arm in found[OTHER].values()] == [30]


async def test_a_split_that_never_was_has_no_segments(session: AsyncSession):
    found = await segments(session, 1, 99, attribute="country", metric="error_rate")

    assert found == {}
