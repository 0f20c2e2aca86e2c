"""Metrics that are followed by segment: the totals of the rows that have the value."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from tests.observations.test_maturity import RETENTION, SPLIT, arms, fold
from turnout.observations import commands, folding
from turnout.observations.domain.followed import Followed, Segment
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.outcome import Outcome
from turnout.observations.wire import OutcomeLine, Submission
from turnout.stats.totals import UnitTotals

MODELS = itertools.count(12_000)
MODEL = 1
COUNTRIES = ("DE", "FR")
METRICS = ("error_rate", "success_rate", "latency_mean", "confidence", "accuracy")
FOLLOWED = {
    (metric, country): Followed(metric=metric, attribute="country", value=country)
    for metric in METRICS
    for country in COUNTRIES
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    version_id: int
    unit: str | None
    attributes: Mapping[str, str] | None
    error: bool
    latency_ms: float | None
    confidence: float | None
    correct: bool | None

    def measures(self) -> Mapping[str, float | None]:
        return {
            "error_rate": float(self.error),
            "success_rate": float(not self.error),
            "latency_mean": self.latency_ms,
            "confidence": self.confidence,
            "accuracy": None if self.correct is None else float(self.correct),
        }


ROWS = st.builds(
    Row,
    version_id=st.sampled_from([1, 2]),
    unit=st.sampled_from([None, "a", "b"]),
    attributes=st.none()
    | st.dictionaries(st.sampled_from(["country", "plan"]), st.sampled_from([*COUNTRIES, "other"])),
    error=st.booleans(),
    latency_ms=st.none() | st.floats(0, 1_000),
    confidence=st.none() | st.floats(0, 1),
    correct=st.none() | st.booleans(),
)


def expected(rows: Sequence[Row], version_id: int, metric: str, country: str) -> UnitTotals:
    units: dict[object, list[float]] = defaultdict(list)
    for place, row in enumerate(rows):
        value = row.measures()[metric]
        inside = row.attributes is not None and row.attributes.get("country") == country
        if value is not None and inside and row.version_id == version_id:
            units[row.unit or place].append(value)
    total = UnitTotals()
    for values in units.values():
        n, x = len(values), sum(values)
        total += UnitTotals(units=1, n=n, n2=n * n, x=x, x2=x * x, xn=x * n)
    return total


async def record(session: AsyncSession, model_id: int, rows: Sequence[Row]) -> None:
    seen = [
        prediction(
            version_id=row.version_id, unit=row.unit, error=row.error,
            latency_ms=row.latency_ms, confidence=row.confidence, attributes=row.attributes,
        )
        for row in rows
    ]  # fmt: skip
    await commands.record_predictions(session, model_id, seen, now=NOON)
    labels = [
        OutcomeLine(prediction_id=answer.prediction_id, correct=row.correct)
        for row, answer in zip(rows, seen, strict=True)
        if row.correct is not None
    ]
    said = Submission(batch_id=None, predictions=(), outcomes=labels)
    await commands.record(session, model_id, said, atomic=True, retention=RETENTION, now=NOON)


@pytest.mark.parametrize("old_and_new", [False, None], ids=["any PostgreSQL", "as this one can"])
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    batches=st.lists(st.lists(ROWS, max_size=8), min_size=1, max_size=3), limit=st.integers(1, 20)
)
async def test_a_segment_adds_up_to_its_rows(
    session: AsyncSession, old_and_new: bool | None, batches: list[list[Row]], limit: int
):
    model_id = next(MODELS)
    if old_and_new is None:
        old_and_new = await folding.returns_old(session)
    await commands.follow(session, model_id, SPLIT, FOLLOWED.values())
    for batch in batches:
        await record(session, model_id, batch)
        await fold(session, now=NOON, limit=limit, old_and_new=old_and_new)

    found = await arms(session, model_id)
    rows = [row for batch in batches for row in batch]
    for version_id, arm in found.items():
        for (metric, country), followed in FOLLOWED.items():
            seen = arm.metrics.get(followed.series, UnitTotals())
            total = expected(rows, version_id, metric, country)
            assert (seen.units, seen.n, seen.n2) == (total.units, total.n, total.n2)
            assert (seen.x, seen.x2, seen.xn) == pytest.approx(
                (total.x, total.x2, total.xn), rel=1e-9, abs=1e-9
            )


async def test_what_is_said_of_a_unit_belongs_to_no_segment(session: AsyncSession):
    followed = Followed(metric="bought", attribute="country", value="DE")
    await commands.follow(session, MODEL, SPLIT, [followed])
    row = prediction(unit="u", attributes={"country": "DE"})
    await commands.record_predictions(session, MODEL, [row], now=NOON)
    said = Outcome(unit="u", metric="bought", correct=True)
    await commands.feedback(session, MODEL, said, retention=RETENTION, now=NOON)

    while await commands.fold(session, now=NOON):
        pass

    metrics = (await arms(session))[1].metrics
    assert (metrics["bought"].n, followed.series in metrics) == (1, False)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param({"metric": "latency_p99", "max": 80}, "is not kept by segment", id="quantile"),
        pytest.param({"metric": "agreement", "min": 0.9}, "is not kept by segment", id="shadow"),
        pytest.param(
            {"metric": "accuracy", "min": 0.9, "maturity": NOON - NOON.replace(hour=11)},
            "either a segment or a maturity",
            id="both",
        ),
    ],
)
def test_what_is_not_kept_by_segment_is_refused(fields: dict[str, Any], sentence: str):
    segment = Segment(attribute="country", values=("DE",))

    with pytest.raises(ValueError, match=sentence):
        Guardrail(segment=segment, **fields)


def test_a_value_is_listed_once():
    with pytest.raises(ValueError, match="a value of country is listed twice"):
        Segment(attribute="country", values=("DE", "DE"))


def test_each_value_is_a_guardrail_of_its_own():
    whole = Guardrail(
        metric="error_rate", max=0.1, segment=Segment(attribute="country", values=COUNTRIES)
    )

    assert [str(part) for part in whole.parts] == [
        "error_rate at most 0.1 (where country = DE)",
        "error_rate at most 0.1 (where country = FR)",
    ]
    assert [part.followed for part in whole.parts] == [
        FOLLOWED["error_rate", country] for country in COUNTRIES
    ]
