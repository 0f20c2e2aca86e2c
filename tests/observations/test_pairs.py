"""Pairs: what a shadow answered, against what was served for the same input."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout.observations import commands, folding, queries
from turnout.observations.domain.prediction import Prediction
from turnout.observations.pair_sql import CLASS_PAIRS_KEPT
from turnout.observations.tables import ClassPair
from turnout.stats.totals import UnitTotals

MODELS = itertools.count(5_000)
MODEL = 1
SPLIT = 7
SERVED = 1
SHADOWS = (2, 3)
PAIRED = ("agreement", "confidence_shift", "latency_shift")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    label: str | None
    confidence: float | None
    latency_ms: float | None
    error: bool
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input and the answers to it, by version; some of them may never be recorded."""

    unit: str | None
    answers: Mapping[int, Answer]


def answers(versions: Sequence[int]) -> st.SearchStrategy[dict[int, Answer]]:
    answer = st.builds(
        Answer,
        label=st.sampled_from([None, "a", "b"]),
        confidence=st.none() | st.floats(0, 1),
        latency_ms=st.none() | st.floats(0, 1_000),
        error=st.sampled_from([False, False, False, True]),
        batch=st.integers(0, 3),
    )
    return st.dictionaries(st.sampled_from(versions), answer, min_size=1)


INPUTS = st.builds(
    Input, unit=st.sampled_from([None, "a", "b"]), answers=answers((SERVED, *SHADOWS))
)


def shifts(served: Answer, shadow: Answer) -> dict[str, float]:
    if served.error or shadow.error:
        return {}
    found: dict[str, float] = {}
    if served.label and shadow.label:
        found["agreement"] = float(served.label == shadow.label)
    if served.confidence is not None and shadow.confidence is not None:
        found["confidence_shift"] = shadow.confidence - served.confidence
    if served.latency_ms is not None and shadow.latency_ms is not None:
        found["latency_shift"] = shadow.latency_ms - served.latency_ms
    return found


def expected(inputs: Sequence[Input], version_id: int) -> dict[str, UnitTotals]:
    """The totals by their definition, from all pairs of a shadow at once."""
    units: dict[tuple[str, object], list[float]] = defaultdict(list)
    for place, asked in enumerate(inputs):
        if {SERVED, version_id} <= asked.answers.keys():
            found = shifts(asked.answers[SERVED], asked.answers[version_id])
            for metric, value in found.items():
                units[metric, asked.unit or place].append(value)
    totals: dict[str, UnitTotals] = {}
    for (metric, _), values in units.items():
        n, x = len(values), sum(values)
        one = UnitTotals(units=1, n=n, n2=n * n, x=x, x2=x * x, xn=x * n)
        totals[metric] = totals.get(metric, UnitTotals()) + one
    return totals


def class_pairs(inputs: Sequence[Input], version_id: int) -> Counter[tuple[str, str]]:
    return Counter(
        (served.label, shadow.label)
        for asked in inputs
        if (served := asked.answers.get(SERVED)) and (shadow := asked.answers.get(version_id))
        if served.label and shadow.label and not served.error and not shadow.error
    )


async def record(session: AsyncSession, model_id: int, inputs: Sequence[Input]) -> None:
    batches: dict[int, list[Prediction]] = defaultdict(list)
    for asked in inputs:
        served = prediction()
        for version_id, answer in asked.answers.items():
            row = prediction(
                served.prediction_id, version_id=version_id, shadow=version_id != SERVED,
                unit=asked.unit, label=answer.label, confidence=answer.confidence,
                latency_ms=answer.latency_ms, error=answer.error,
            )  # fmt: skip
            batches[answer.batch].append(row)
    for rows in batches.values():
        await commands.record_predictions(session, model_id, rows, now=NOON)


async def fold(
    session: AsyncSession, model_id: int, seqs: Sequence[int], *, old_and_new: bool
) -> None:
    """Fold these batches, whichever came before them."""
    await session.execute(
        text("UPDATE batch SET folded_at = :now WHERE model_id = :model_id AND seq = ANY(:seqs)"),
        {"now": NOON, "model_id": model_id, "seqs": seqs},
    )
    due = folding.Due(
        model_id=model_id, seqs=list(seqs), first_day=NOON.date(), last_day=NOON.date(),
        predictions=1, outcomes=0, waiting=False, featured=False,
    )  # fmt: skip
    await folding.fold_batches(session, due, old_and_new=old_and_new)


async def metrics(session: AsyncSession, model_id: int) -> dict[int, dict[str, UnitTotals]]:
    arms = (await queries.evidence(session, [(model_id, SPLIT)])).get(SPLIT, {})
    return {
        version_id: {name: arm.metrics[name] for name in PAIRED if name in arm.metrics}
        for version_id, arm in arms.items()
    }


async def counted(session: AsyncSession, model_id: int) -> dict[int, Counter[tuple[str, str]]]:
    found: dict[int, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in await session.scalars(select(ClassPair).where(ClassPair.model_id == model_id)):
        found[row.version_id][row.served, row.label] = row.n
    return found


@pytest.mark.parametrize("old_and_new", [False, None], ids=["any PostgreSQL", "as this one can"])
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    inputs=st.lists(INPUTS, max_size=20),
    order=st.permutations(range(4)),
    together=st.lists(st.integers(1, 3), max_size=4),
)
async def test_a_pair_counts_once_whichever_answer_came_first_and_however_they_are_folded(
    session: AsyncSession,
    old_and_new: bool | None,
    inputs: list[Input],
    order: list[int],
    together: list[int],
):
    model_id = next(MODELS)
    if old_and_new is None:
        old_and_new = await folding.returns_old(session)
    await record(session, model_id, inputs)
    found = await session.scalars(
        text("SELECT seq FROM batch WHERE model_id = :model_id ORDER BY seq"),
        {"model_id": model_id},
    )
    seqs = list(found)
    waiting = [seqs[place] for place in order if place < len(seqs)]
    for size in [*together, len(seqs)]:
        if waiting:
            await fold(session, model_id, waiting[:size], old_and_new=old_and_new)
        waiting = waiting[size:]

    arms = await metrics(session, model_id)
    pairs = await counted(session, model_id)

    assert arms.get(SERVED, {}) == {}
    for version_id in SHADOWS:
        totals = expected(inputs, version_id)
        arm = arms.get(version_id, {})
        assert arm.keys() == totals.keys()
        for metric, total in totals.items():
            seen = arm[metric]
            assert (seen.units, seen.n, seen.n2) == (total.units, total.n, total.n2)
            assert (seen.x, seen.x2, seen.xn) == pytest.approx(
                (total.x, total.x2, total.xn), rel=1e-9, abs=1e-9
            )
        assert pairs[version_id] == class_pairs(inputs, version_id)


async def folded(session: AsyncSession, *rows: Prediction) -> dict[int, dict[str, UnitTotals]]:
    await commands.record_predictions(session, MODEL, rows, now=NOON)
    while await commands.fold(session, now=NOON):
        pass
    return await metrics(session, MODEL)


@pytest.mark.parametrize(
    ("served", "shadow"),
    [
        pytest.param({"split_id": None}, {}, id="what was served was not randomised"),
        pytest.param({"split_id": None}, {"split_id": None}, id="neither was randomised"),
        pytest.param({"split_id": 6}, {}, id="another split"),
        pytest.param({"error": True}, {}, id="what was served is a failure"),
        pytest.param({}, {"error": True}, id="the shadow failed"),
    ],
)
async def test_only_two_answers_under_one_split_make_a_pair(
    session: AsyncSession, served: dict[str, Any], shadow: dict[str, Any]
):
    first = prediction(label="a", **served)
    second = prediction(first.prediction_id, version_id=2, label="a", **({"shadow": True} | shadow))

    found = await folded(session, first, second)

    assert all(metrics == {} for metrics in found.values())


async def test_a_shadow_without_a_unit_counts_for_the_unit_that_was_served(session: AsyncSession):
    rows = []
    for _ in range(2):
        served = prediction(label="a", unit="u")
        shadow = prediction(served.prediction_id, version_id=2, shadow=True, label="a", unit=None)
        rows += [served, shadow]

    found = await folded(session, *rows)

    assert found[2]["agreement"] == UnitTotals(units=1, n=2, n2=4, x=2, x2=4, xn=4)


async def test_the_table_of_classes_stays_small(session: AsyncSession):
    often = [row for _ in range(2) for row in pair("a", "a")]
    texts = [row for n in range(CLASS_PAIRS_KEPT) for row in pair("a", f"free text {n}")]

    await folded(session, *often, *texts)
    found = await folded(session, *pair("a", "a"), *pair("a", "new"))

    pairs = (await counted(session, MODEL))[2]
    assert found[2]["agreement"].n == CLASS_PAIRS_KEPT + 4
    assert len(pairs) == CLASS_PAIRS_KEPT + 1
    assert (pairs["a", "a"], pairs["", ""]) == (3, 2)


def pair(served: str, label: str) -> tuple[Prediction, Prediction]:
    first = prediction(label=served)
    return first, prediction(first.prediction_id, version_id=2, shadow=True, label=label)
