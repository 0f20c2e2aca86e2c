from io import StringIO

import pytest
from rich.console import Console, RenderableType
from statsmodels.stats.proportion import proportion_confint

from tests.demo.chapters import chapter, look, rollout, step
from turnout.demo import pictures
from turnout.demo.story import Sight
from turnout.demo.views import Arm


def shown(picture: RenderableType, *, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width).print(picture)
    return out.getvalue()


@pytest.mark.parametrize(("correct", "n"), [(0, 1), (0, 40), (12, 39), (697, 697), (900, 1000)])
def test_the_interval_is_that_of_wilson(correct: int, n: int):
    expected = proportion_confint(correct, n, alpha=0.05, method="wilson")

    assert pictures.interval(correct / n, n) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("width", [80, 140])
def test_the_present_shows_both_arms_and_every_guardrail(width: int):
    arms = [
        Arm(
            version=version,
            predictions=1234,
            error_rate=0.0123,
            labelled=n,
            accuracy=accuracy,
            latency_p99=12.34,
        )
        for version, n, accuracy in (("1.0.0", 900, 0.8), ("1.1.0", 1000, 0.9), ("1.2.0", 0, None))
    ]
    sight = Sight(rollout=rollout("running"), steps=[], looks=[], arms=arms)

    text = shown(pictures.present(sight, "2,468 requests"), width=width)

    assert "1.1.0 → 1.2.0 running" in text
    assert "stage 1 of 2" in text
    assert "90.0 % (88.0 to 91.7) of 1,000" in text
    assert "accuracy at most 0.03 below" in text
    assert "1.0.0" not in text
    assert "2,468 requests" in text


def test_the_ending_shows_each_decision_with_its_evidence():
    text = shown(pictures.ending(chapter()), width=120)

    assert "1.2.0 rolled back: Some trees" in text
    assert "by developer" in text
    assert "fail, by worker" in text
    assert "1.2.0: accuracy 40.0 % (27.6 to 53.8) of 50" in text
    assert "1.1.0: accuracy 90.0 % (86.9 to 92.4) of 450" in text


def test_a_line_says_who_did_what_and_why():
    line = pictures.step_line("1.2.0", step(2, "rolled_back", weight=0))

    assert line.plain == "1.2.0 rolled back at 0 % by worker: because of rolled_back"
    assert pictures.look_line("1.2.0", look(1, verdict="no_data")).plain.startswith(
        "1.2.0 no data: accuracy"
    )
