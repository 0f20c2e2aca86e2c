"""Baselines as they are sent, refused, and taken from traffic."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.drift.conftest import answered, expects, spread
from tests.monitoring.conftest import MINUTE, MODEL, Watchman
from turnout.access.tables import AuditEntry
from turnout.drift import examples
from turnout.drift.tables import BaselinePart
from turnout.observations import samples

PATH = f"models/{MODEL}/versions/1.0.0/baseline"
AMOUNT = {"edges": [10, 50], "counts": [1, 1, 1]}


@pytest.mark.parametrize("name", examples.BASELINE)
async def test_the_examples_work_as_they_are(watchman: Watchman, name: str):
    await watchman.release("1.0.0")
    answer = await expects(watchman, "1.0.0", examples.BASELINE[name]["value"])

    assert answer == await watchman.get(PATH)


async def test_raw_columns_are_counted_in_ten_bins_or_by_name(watchman: Watchman):
    await watchman.release("1.0.0")
    values = {"amount": {"values": [*range(100), None]}, "plan": {"values": ["a", "b", "a", None]}}
    answer = await expects(watchman, "1.0.0", {"features": values})

    assert answer["origin"] == "rows"
    features = answer["baseline"]["features"]
    assert features["amount"]["edges"] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert features["amount"]["counts"] == [10] * 10
    assert features["amount"]["missing"] == 1
    assert features["plan"] == {"categories": {"a": 2, "b": 1}, "other": 0, "missing": 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param({}, "at least one of features", id="nothing"),
        pytest.param(
            {"features": {"amount": {"edges": [10, 50], "counts": [1, 1]}}},
            "2 edges divide 3 bins",
            id="counts and edges",
        ),
        pytest.param(
            {"features": {"amount": {"edges": [50, 10], "counts": [1, 1, 1]}}},
            "50 stands before 10",
            id="edges fall",
        ),
        pytest.param(
            {"features": {"amount": {"counts": [1]}}}, "by raw `values`", id="no distribution"
        ),
        pytest.param(
            {"features": {"amount": {"values": [1, 2, "three"]}}},
            "values[2]: 'three' is no number",
            id="a text among numbers",
        ),
        pytest.param(
            {"features": {"amount": {"values": [None]}}}, "holds no value", id="nothing in it"
        ),
        pytest.param(
            {"features": {"amount": AMOUNT | {"width": 3}}}, "unknown field", id="unknown field"
        ),
        pytest.param({"accuracy": 93}, "less than or equal to 1", id="percent"),
        pytest.param({"from": "traffic", "predictions": 5}, "100", id="too few predictions"),
        pytest.param({"from": "heaven"}, "traffic", id="from elsewhere"),
    ],
)
async def test_a_refusal_says_what_would_be_right(watchman: Watchman, body: Any, words: str):
    await watchman.release("1.0.0")
    answer = await watchman.client.put(PATH, json=body)

    assert answer.status_code == 422, answer.text
    assert words in answer.text


async def test_a_version_without_a_baseline_says_so(watchman: Watchman):
    await watchman.release("1.0.0")

    assert (await watchman.client.get(PATH)).status_code == 404
    assert (await watchman.client.put(PATH.replace("1.0.0", "9.0.0"), json={})).status_code == 422
    missing = await watchman.client.put(PATH.replace("1.0.0", "9.0.0"), json={"accuracy": 1})
    assert missing.status_code == 404


async def test_training_data_becomes_distributions(watchman: Watchman, session: AsyncSession):
    await watchman.release("1.0.0")
    answer = await watchman.client.put(
        f"{PATH}/csv?prediction=label&accuracy=0.9",
        content=examples.TRAINING_DATA,
        headers={"content-type": "text/csv"},
    )

    assert answer.status_code == 200, answer.text
    baseline = answer.json()["baseline"]
    assert sorted(baseline["features"]) == ["amount", "country"]
    assert baseline["features"]["amount"]["missing"] == 1
    assert baseline["prediction"]["categories"] == {"ok": 3, "fraud": 1}
    assert baseline["accuracy"] == 0.9
    query = select(AuditEntry).where(AuditEntry.action == "baseline.set")
    assert (await session.scalars(query)).one().subject == PATH


async def test_a_bad_cell_is_named_by_row_and_column(watchman: Watchman):
    await watchman.release("1.0.0")
    answer = await watchman.client.put(
        f"{PATH}/csv", content="amount\n1\n2\nthree\n", headers={"content-type": "text/csv"}
    )

    assert answer.status_code == 422, answer.text
    assert answer.json()["row"] == 4
    assert answer.json()["column"] == "amount"
    assert "'three' is no number" in answer.json()["detail"]


WISH = {"from": "traffic", "predictions": 100}


async def test_a_baseline_is_taken_from_traffic_as_soon_as_there_is_enough(watchman: Watchman):
    await watchman.release("1.0.0")
    await answered(watchman, "1.0.0", spread([1, 2, 3], ["DE"], 60), **{"class": "ok"})
    first = await expects(watchman, "1.0.0", WISH)
    await watchman.worker.collect()
    waits = await watchman.get(PATH)
    watchman.clock.advance(MINUTE)
    await answered(watchman, "1.0.0", spread([1, 2, 3], ["DE"], 60), **{"class": "ok"})
    await watchman.worker.collect()
    taken = await watchman.get(PATH)

    assert (first["awaited"], first["collected"]) == (100, 60)
    assert (waits["awaited"], waits["collected"]) == (100, 60)
    assert (taken["awaited"], taken["collected"]) == (None, 100)
    assert taken["set_by"] == first["set_by"]
    assert taken["baseline"]["features"]["amount"]["edges"] == [1, 2, 3]
    assert taken["baseline"]["prediction"]["categories"] == {"ok": 100}
    assert json.dumps(taken["baseline"]["error_rate"]) == "0.0"


async def test_a_baseline_is_found_behind_any_amount_of_other_traffic(
    watchman: Watchman, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(samples, "MOST_LOOKED_AT", 150)
    await watchman.release("1.0.0")
    await watchman.release("2.0.0")
    for _ in range(4):
        await answered(watchman, "1.0.0", spread([1, 2, 3], ["DE"], 40))
        await answered(watchman, "1.0.0", spread([9], ["DE"], 10), error="timeout")
        watchman.clock.advance(MINUTE)
        await answered(watchman, "2.0.0", spread([7, 8, 9], ["FR"], 200))
        watchman.clock.advance(MINUTE)

    found = [(await expects(watchman, "1.0.0", WISH))["collected"]]
    while (seen := await watchman.get(PATH))["awaited"] is not None and len(found) < 20:
        await watchman.worker.collect()
        found.append((await watchman.get(PATH))["collected"])

    assert found == sorted(found)
    assert found[-1] == 100
    assert len(found) > 3
    assert seen["baseline"]["features"]["amount"]["edges"] == [1, 2, 3]
    assert seen["baseline"]["features"]["country"]["categories"] == {"DE": 100}


async def test_the_latest_answers_make_the_baseline(watchman: Watchman, session: AsyncSession):
    await watchman.release("1.0.0")
    await answered(watchman, "1.0.0", spread([1], ["DE"], 150))
    watchman.clock.advance(timedelta(days=1))
    await answered(watchman, "1.0.0", spread([5], ["FR"], 120))

    taken = await expects(watchman, "1.0.0", WISH)

    assert taken["awaited"] is None
    assert taken["baseline"]["features"]["country"]["categories"] == {"FR": 100}
    assert (await session.scalars(select(BaselinePart))).all() == []


async def test_who_asks_again_begins_anew(watchman: Watchman):
    await watchman.release("1.0.0")
    await answered(watchman, "1.0.0", spread([1], ["DE"], 60))
    await expects(watchman, "1.0.0", WISH)
    again = await expects(watchman, "1.0.0", {"from": "traffic", "predictions": 200})
    given = await expects(watchman, "1.0.0", {"features": {"amount": AMOUNT}})
    await watchman.worker.collect()

    assert (again["awaited"], again["collected"]) == (200, 60)
    assert (given["awaited"], given["collected"]) == (None, None)
    assert await watchman.get(PATH) == given
