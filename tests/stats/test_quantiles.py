import json
import math
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from turnout.stats.arguments import BadArgument
from turnout.stats.finding import Finding, Proof
from turnout.stats.quantile_guardrail import (
    judge_quantile_difference,
    judge_quantile_limit,
    quantile_bounds,
)
from turnout.stats.quantile_sketch import BUCKET_SQL, FLOOR, GAMMA, QuantileSketch, bucket
from turnout.stats.verdict import Verdict

latencies = st.lists(st.floats(1e-3, 1e6), max_size=60)
sketches = latencies.map(QuantileSketch.of)


@given(latencies.filter(bool), st.floats(0, 1))
def test_a_quantile_is_within_one_percent(values: list[float], q: float) -> None:
    true = sorted(values)[math.floor(q * (len(values) - 1))]

    assert QuantileSketch.of(values).quantile(q) == pytest.approx(true, rel=0.0100001)


@given(sketches, sketches, sketches)
def test_sketches_add_in_any_order(a: QuantileSketch, b: QuantileSketch, c: QuantileSketch) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + QuantileSketch() == a


@given(latencies, latencies)
def test_the_sketch_of_the_parts_is_the_sketch_of_the_whole(
    some: list[float], others: list[float]
) -> None:
    whole = QuantileSketch.of([*some, *others])

    assert QuantileSketch.of(some) + QuantileSketch.of(others) == whole
    assert QuantileSketch.from_counts(reversed(whole.counts)) == whole


@given(latencies, st.floats(1e-3, 1e6))
def test_what_lies_above_is_counted_to_the_bucket(values: list[float], limit: float) -> None:
    above = QuantileSketch.of(values).count_above(limit)

    assert sum(v > limit * GAMMA for v in values) <= above <= sum(v > limit for v in values)


@given(st.floats(1e-6, 1e9))
def test_a_bucket_holds_what_lies_between_its_edges(value: float) -> None:
    edge = GAMMA ** bucket(value)

    assert edge / GAMMA * (1 - 1e-9) <= value <= edge * (1 + 1e-9)


def test_the_database_puts_values_into_the_same_buckets() -> None:
    formula = BUCKET_SQL.format(value="value").removesuffix("::int").replace("::float8", "")
    names = {"ceil": math.ceil, "ln": math.log, "greatest": max}

    for value in [0.0, 1e-9, FLOOR, 0.5, 1.0, 17.3, 250.0, 1e7]:
        assert eval(formula, names | {"value": value}) == bucket(value)


def test_zero_latency_is_zero() -> None:
    assert QuantileSketch.of([0.0, 0.0, 5.0]).quantile(0.5) == 0.0


def test_nothing_has_no_quantile() -> None:
    assert QuantileSketch().quantile(0.5) is None


@pytest.mark.parametrize(
    ("act", "argument"),
    [
        pytest.param(lambda: bucket(-1.0), "value", id="negative latency"),
        pytest.param(lambda: bucket(math.nan), "value", id="latency is not a number"),
        pytest.param(lambda: QuantileSketch.from_counts([(3, -1)]), "counts", id="negative count"),
        pytest.param(lambda: QuantileSketch().quantile(1.5), "q", id="no such quantile"),
        pytest.param(lambda: quantile_bounds(QuantileSketch(), q=1, alpha=0.05), "q", id="maximum"),
    ],
)
def test_what_no_latency_can_be_is_refused(act, argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        act()


def requests(fast: int, slow: int = 0) -> QuantileSketch:
    """So many of 50 ms, and so many of 400 ms."""
    return QuantileSketch.from_counts([(bucket(50.0), fast), (bucket(400.0), slow)])


def against_limit(
    candidate: QuantileSketch, limit: float = 200.0, *, q: float = 0.99, proof: Proof = "no_harm"
) -> Finding:
    return judge_quantile_limit(
        candidate, q=q, limit=limit, alpha=0.05, min_samples=100, proof=proof
    )


def against_baseline(
    candidate: QuantileSketch, baseline: QuantileSketch, *, proof: Proof = "no_harm"
) -> Finding:
    return judge_quantile_difference(
        candidate, baseline, q=0.99, margin=20.0, alpha=0.05, min_samples=100, proof=proof
    )


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        pytest.param(against_limit(requests(0)), Verdict.NO_DATA, id="no requests"),
        pytest.param(against_limit(requests(4, 5)), Verdict.INSUFFICIENT_SAMPLE, id="burn-in"),
        pytest.param(
            against_limit(requests(0, 20)), Verdict.FAIL, id="all slow, before the sample"
        ),
        pytest.param(against_limit(requests(50)), Verdict.INSUFFICIENT_SAMPLE, id="fast, but few"),
        pytest.param(against_limit(requests(100)), Verdict.PASS, id="fast, and enough"),
        pytest.param(against_limit(requests(98, 2)), Verdict.PASS, id="two slow may be chance"),
        pytest.param(against_limit(requests(90, 10)), Verdict.FAIL, id="a tenth is slow"),
        pytest.param(
            against_limit(requests(300), proof="not_worse"),
            Verdict.INCONCLUSIVE,
            id="too few to prove a p99",
        ),
        pytest.param(
            against_limit(requests(2_000), proof="not_worse"), Verdict.PASS, id="p99 is proven"
        ),
        pytest.param(
            against_baseline(requests(900, 100), requests(9_000, 10)),
            Verdict.FAIL,
            id="the tail has grown",
        ),
        pytest.param(
            against_baseline(requests(990, 10), requests(8_910, 90)),
            Verdict.PASS,
            id="the tail is the same",
        ),
        pytest.param(
            against_baseline(requests(0, 900), requests(0, 900)), Verdict.PASS, id="both are slow"
        ),
        pytest.param(
            against_baseline(requests(100), QuantileSketch()), Verdict.NO_DATA, id="no baseline"
        ),
        pytest.param(
            against_baseline(requests(5_000), requests(5_000), proof="not_worse"),
            Verdict.PASS,
            id="the same tail is proven",
        ),
        pytest.param(
            against_baseline(requests(0, 100), requests(40)),
            Verdict.INSUFFICIENT_SAMPLE,
            id="forty requests do not bound the baseline's p99",
        ),
    ],
)
def test_a_latency_quantile_has_its_verdict(finding: Finding, verdict: Verdict) -> None:
    assert finding.verdict is verdict


def test_the_finding_tells_the_operator_its_figures() -> None:
    finding = against_limit(requests(90, 10))

    assert finding.candidate == pytest.approx(400, rel=0.01)
    assert finding.bound is not None
    assert 200 < finding.bound < 400
    assert finding.reason == (
        "harm shown: 399.5 against the limit 200, at least 395.5 with 95 % confidence, "
        "after 100 requests"
    )


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_more_slow_requests_never_improve_the_verdict(fast: int, one: int, other: int) -> None:
    assume(fast + one)
    order = [Verdict.PASS, Verdict.FAIL]
    n = fast + max(one, other)
    fewer, more = (against_limit(requests(n - slow, slow)) for slow in sorted((one, other)))
    if fewer.verdict in order and more.verdict in order:
        assert order.index(fewer.verdict) <= order.index(more.verdict)


@given(sketches, sketches)
def test_a_finding_is_json(candidate: QuantileSketch, baseline: QuantileSketch) -> None:
    for finding in (against_limit(candidate), against_baseline(candidate, baseline)):
        assert json.dumps(asdict(finding), allow_nan=False)


def test_equal_arms_rarely_fail_though_judged_at_every_look() -> None:
    rng = np.random.default_rng(8)
    false_alarms = 0
    for _ in range(40):
        values, on_candidate = rng.lognormal(4, 1, 5_000), rng.random(5_000) < 0.1
        true = math.exp(4 + 2.3263)
        failed = False
        candidate = baseline = QuantileSketch()
        for last, look in pairwise([0, *np.geomspace(50, 5_000, 20).astype(int)]):
            new, to_candidate = values[last:look], on_candidate[last:look]
            candidate += QuantileSketch.of(new[to_candidate])
            baseline += QuantileSketch.of(new[~to_candidate])
            difference = judge_quantile_difference(
                candidate, baseline, q=0.99, margin=0, alpha=0.05, min_samples=1, proof="no_harm"
            )
            failed |= difference.verdict is Verdict.FAIL
            failed |= against_limit(candidate, true).verdict is Verdict.FAIL
        false_alarms += failed

    assert false_alarms <= 2
