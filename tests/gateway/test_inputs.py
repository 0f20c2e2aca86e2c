"""What versions are given is kept as features: of a sample, and only what a baseline names."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from tests.gateway import model_servers, stage
from turnout import db
from turnout.db import Sessions
from turnout.gateway import inputs as sampling
from turnout.gateway.inputs import InputSample
from turnout.gateway.runtimes.answers import Answer

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLASS = Answer(prediction="ok", label="ok")


@pytest.mark.parametrize(
    ("given", "answer", "taken"),
    [
        pytest.param({"age": 37, "country": "DE"}, CLASS, {"age": 37, "country": "DE"}, id="named"),
        pytest.param({"age": [[37.5]]}, CLASS, {"age": 37.5}, id="a row of one"),
        pytest.param({"picture": [[1, 2], [3, 4]], "n": 1}, CLASS, {"n": 1}, id="an array"),
        pytest.param({"text": "x" * 10_000, "n": None}, CLASS, {}, id="too long, or nothing"),
        pytest.param([1, 2, 3], CLASS, None, id="without names"),
        pytest.param([1, 2, 3], Answer(prediction=0.71), {"": 0.71}, id="a score"),
        pytest.param({"n": 1}, Answer(prediction=0.71), {"n": 1, "": 0.71}, id="both"),
        pytest.param({str(k): k for k in range(300)}, CLASS, None, id="too many"),
    ],
)
def test_single_values_are_taken_by_name(given: Any, answer: Answer, taken: Any):
    assert InputSample().take(1, given, answer, NOON) == taken


def test_no_more_than_the_sample_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "SAMPLED_PER_MINUTE", 3)
    sample = InputSample()
    taken = [
        sample.take(version, {"n": 1}, CLASS, NOON + timedelta(minutes=minute)) is not None
        for version in (1, 2)
        for minute in (0, 0, 0, 0, 1)
    ]

    assert taken == [True, True, True, False, True] * 2


async def test_what_a_baseline_names_is_recorded_and_nothing_else(
    live_client: AsyncClient, sessions: Sessions
):
    async with model_servers.serving(model_servers.answering(json={"prediction": 0.25})) as url:
        await stage.register_server(live_client, "1.0.0", url)
        await stage.split(live_client, {"version": "1.0.0", "weight": 100})
        await stage.predict(live_client, {"age": 30, "name": "Ada"})
        edges = {"edges": [0.5], "counts": [1, 1]}
        answer = await live_client.put(
            f"models/{stage.MODEL}/versions/1.0.0/baseline",
            json={"features": {"age": edges}, "prediction": edges},
        )
        assert answer.status_code == 200, answer.text
        await stage.recorded(sessions, 1)
        await stage.predict(live_client, {"age": 31, "name": "Ada"}, attributes={"country": "DE"})
        await stage.recorded(sessions, 2)

    async with db.transaction(sessions) as session:
        query = text("SELECT features FROM prediction ORDER BY at")
        first, second = (await session.execute(query)).scalars().all()
    assert first is None
    assert second == {"age": 31, "": 0.25, "country": "DE"}
