"""What differs between versions, and for the better or for the worse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.registry.domain.comparison import (
    Judgement,
    compared,
    improves_by,
    signature_differences,
)
from turnout.registry.domain.signature import DType, Signature, TensorSpec

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("accuracy", "increase"),
        ("F1-Score", "increase"),
        ("val_auc", "increase"),
        ("ndcg@10", "increase"),
        ("precision@5", "increase"),
        ("loss", "decrease"),
        ("val_loss", "decrease"),
        ("latency_p99", "decrease"),
        ("latency_p99_ms", "decrease"),
        ("Mean Latency", "decrease"),
        ("WER", "decrease"),
        ("glow", None),
        ("accuracy_drop", None),
        ("trainer", None),
    ],
)
def test_which_way_a_metric_improves(metric, direction):
    assert improves_by(metric) == direction


@pytest.mark.parametrize(
    ("metric", "before", "after", "judgement", "relative"),
    [
        pytest.param("accuracy", 0.8, 0.9, Judgement.BETTER, 0.125, id="more is better"),
        pytest.param("loss", 2.0, 3.0, Judgement.WORSE, 0.5, id="less is better"),
        pytest.param("r2", -2.0, -1.0, Judgement.BETTER, 0.5, id="from below nothing"),
        pytest.param("loss", 0.3, 0.1 + 0.2, Judgement.SAME, 0.0, id="rounding is no difference"),
        pytest.param("glow", 1.0, 2.0, None, 1.0, id="an unknown name is not judged"),
        pytest.param("cost", 0.0, 1.0, Judgement.WORSE, None, id="no share of nothing"),
    ],
)
def test_how_a_value_stands_to_another(metric, before, after, judgement, relative):
    [row] = compared({"1.0.0": {metric: before}, "2.0.0": {metric: after}}, against="1.0.0")

    cell = row.values["2.0.0"]
    assert cell.judgement is judgement
    assert cell.difference == pytest.approx(after - before)
    assert cell.relative_difference == (relative if relative is None else pytest.approx(relative))
    assert row.values["1.0.0"].judgement in {Judgement.SAME, None}


def test_a_metric_that_one_lacks_is_shown_and_not_compared():
    [row] = compared({"1.0.0": {}, "2.0.0": {"auc": 0.9}}, against="1.0.0")

    assert row.values["1.0.0"].value is None
    assert row.values["2.0.0"].value == 0.9
    assert row.values["2.0.0"].judgement is None


@given(FINITE, FINITE, st.sampled_from(["accuracy", "loss"]))
def test_what_is_better_one_way_is_worse_the_other(a, b, metric):
    def judge(against: str) -> Judgement | None:
        [row] = compared({"a": {metric: a}, "b": {metric: b}}, against=against)
        return row.values["b" if against == "a" else "a"].judgement

    opposite = {
        Judgement.BETTER: Judgement.WORSE,
        Judgement.WORSE: Judgement.BETTER,
        Judgement.SAME: Judgement.SAME,
    }
    judged = judge("a")
    assert judged is not None
    assert judge("b") is opposite[judged]


def spec(name: str, dtype: DType = DType.FLOAT32) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=(None, 4))


@pytest.mark.parametrize(
    ("other", "sentences"),
    [
        pytest.param(Signature(inputs=(spec("x"),), outputs=(spec("y"),)), (), id="the same"),
        pytest.param(
            Signature(inputs=(spec("x", DType.INT64),), outputs=(spec("z"),)),
            (
                "input x is int64[any, 4] instead of float32[any, 4]",
                "output y is gone",
                "output z is new: float32[any, 4]",
            ),
            id="another type, another output",
        ),
        pytest.param(None, ("only one of the two has a signature",), id="no signature"),
    ],
)
def test_what_differs_between_signatures(other, sentences):
    reference = Signature(inputs=(spec("x"),), outputs=(spec("y"),))

    assert signature_differences(reference, other) == sentences
