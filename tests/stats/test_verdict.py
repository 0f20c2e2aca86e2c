import pytest

from turnout.stats.verdict import Verdict, worst


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        pytest.param([], Verdict.PASS, id="nothing to check speaks against nothing"),
        pytest.param([Verdict.PASS, Verdict.PASS], Verdict.PASS, id="all pass"),
        pytest.param(list(Verdict), Verdict.FAIL, id="shown harm outranks everything"),
        pytest.param(
            [Verdict.NO_DATA, Verdict.ERROR], Verdict.ERROR, id="a failed source is worse"
        ),
        pytest.param(
            [Verdict.INCONCLUSIVE, Verdict.INSUFFICIENT_SAMPLE, Verdict.NO_DATA],
            Verdict.NO_DATA,
            id="no data is the worst way of not knowing",
        ),
        pytest.param(
            [Verdict.INCONCLUSIVE, Verdict.INSUFFICIENT_SAMPLE],
            Verdict.INSUFFICIENT_SAMPLE,
            id="a small sample outranks an open question",
        ),
        pytest.param(
            [Verdict.PASS, Verdict.CANCELLED], Verdict.CANCELLED, id="cancelled is no pass"
        ),
        pytest.param(
            [Verdict.CANCELLED, Verdict.INCONCLUSIVE],
            Verdict.INCONCLUSIVE,
            id="an open question outranks a cancelled one",
        ),
    ],
)
def test_the_worst_verdict_decides(verdicts: list[Verdict], expected: Verdict) -> None:
    assert worst(verdicts) is expected
    assert worst(reversed(verdicts)) is expected
