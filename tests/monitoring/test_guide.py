"""What docs/guides/monitoring.md lists is what the product has; its commands run in journeys."""

import math
import re
from bisect import bisect
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from turnout.alerts.domain import Kind, Severity
from turnout.drift.domain.shifts import Whose
from turnout.monitoring.domain.judging import judge
from turnout.monitoring.domain.thresholds import Action, Drift, Judge, Rule, Standard
from turnout.observations.domain.figures import Figures, Mean
from turnout.stats.drift import stability
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.verdict import Verdict

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
GUIDE = (GUIDES / "monitoring.md").read_text()
SOURCES = list((Path(__file__).parents[2] / "src" / "turnout").rglob("*.py"))


@pytest.mark.parametrize(
    "word",
    [
        *sorted({field.name for of in (Rule, Standard, Drift) for field in fields(of)}),
        *sorted({*Action, *Judge, *Severity, *Kind, *Whose}),
        *sorted(set(Verdict) - {Verdict.CANCELLED}),
    ],
)
def test_every_word_is_explained(word: str):
    assert f"`{word}`" in GUIDE


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_alert_is_fired_by_something(kind: Kind):
    assert any(f"Kind.{kind.name}" in path.read_text() for path in SOURCES)


@pytest.mark.parametrize(("n", "errors"), [(100, 15), (1000, 78)])
def test_it_takes_as_many_errors_as_it_says(n: int, errors: int):
    assert f"{errors} errors" in GUIDE
    rule = Rule(metric="error_rate", max=0.05, last=n, action=Action.ROLLBACK)
    verdicts = [
        judge(
            rule,
            Figures(
                predictions=n,
                errors=seen,
                labelled=0,
                correct=0,
                latency=Mean(),
                confidence=Mean(),
                cost=Mean(),
                latencies=QuantileSketch(),
            ),
        ).verdict
        for seen in (errors - 1, errors)
    ]

    assert verdicts == [Verdict.INCONCLUSIVE, Verdict.FAIL]


def test_the_picture_of_drift_shows_what_the_commands_send():
    batches = re.findall(r"^tickets (\d+) (\d+) (\d+) (\d+) ", GUIDE, re.MULTILINE)
    counted = Counter(bisect([20, 100, 500], int(length)) for batch in batches for length in batch)
    sent = [100 * counted[place] for place in range(4)]
    shares = [count / sum(sent) for count in sent]
    picture = (GUIDES / "drift.svg").read_text()

    assert re.findall(r">([\d.]+%)</text>\n<text", picture) == [f"{one:.1%}" for one in shares]
    assert re.findall(r">adds ([\d.]+)<", picture) == [
        f"{(now - 0.25) * math.log(now / 0.25):.2f}" for now in shares
    ]
    assert f"PSI {stability([2500] * 4, sent).corrected:.2f}," in picture
    assert f"{sum(sent):,} tickets" in picture
