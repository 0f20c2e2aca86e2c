"""What is to be done next about what has moved."""

from dataclasses import replace

import pytest

from tests.monitoring.reports import (
    MOVED,
    USUAL,
    VOLUME,
    Fed,
    hour,
    one_is_fed_otherwise,
    report,
    the_world_has_moved,
)
from turnout.monitoring.domain.advice import listed
from turnout.monitoring.domain.report import DriftView

FRAUDS = hour(fraud=40)
"""Fed as ever, and answered otherwise."""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            one_is_fed_otherwise(),
            "Compare how 2.0.0 and 1.4.2 are fed amount: they draw from the same traffic, and only"
            " 2.0.0 sees other values. Until that is clear, 1.4.2 can answer everything:"
            " `turnout rollback fraud-detection --to-version 1.4.2`",
            id="one version is fed otherwise",
        ),
        pytest.param(
            the_world_has_moved(),
            "Find out what has changed in the source of amount since about 30 November, 06:00 UTC."
            " If it is here to stay, retrain on what came since; going back to another version"
            " would not help, because every version that answers is fed the same.",
            id="the world has moved",
        ),
        pytest.param(
            report(Fed(version="2.0.0", hours=[MOVED] * 24)),
            "Look at the source of amount. No version answers beside 2.0.0 that could tell whether"
            " it is the world: leave the former one a share of the traffic, and the next report"
            " will.",
            id="nothing answers beside it",
        ),
        pytest.param(
            report(Fed(version="2.0.0", hours=[USUAL] * 20 + [FRAUDS] * 30)),
            "2.0.0 is fed what it always was and answers otherwise since about 29 November, 09:00"
            " UTC: look for a changed model server, threshold or preprocessing.",
            id="it answers otherwise",
        ),
        pytest.param(
            report(Fed(version="2.0.0", hours=[hour(amount=620, fraud=40)] * 24)),
            "Expect the answers of 2.0.0 to follow what it is fed: check some of them against"
            " labels before trusting them.",
            id="it is fed otherwise and answers otherwise",
        ),
        pytest.param(
            report(volume=replace(VOLUME, predictions=90)),
            "Ask first who calls: traffic is off for the whole model, and what moves with it may"
            " only be another mixture of callers.",
            id="traffic is off",
        ),
        pytest.param(
            report(Fed(version="2.0.0", baseline=None)),
            "Say what 2.0.0 is held against: counts, raw columns, training data as CSV, or its own"
            " traffic. `PUT /api/v1/models/fraud-detection/versions/2.0.0/baseline`.",
            id="there is no baseline",
        ),
    ],
)
def test_what_is_to_be_done(found: DriftView, said: str):
    assert said in found.advice


def test_what_is_never_reported_is_said_once_of_all_versions():
    said = one_is_fed_otherwise().advice[-1]

    assert said == "Report device with 1.4.2 and 2.0.0, or leave it out of the baseline."


def test_a_baseline_to_come_is_waited_for():
    said = report(Fed(version="2.0.0", baseline=None, awaited=5000)).advice

    expected = (
        "Wait: the baseline of 2.0.0 will be made of 5,000 of its answers, and 1,200 are collected."
    )
    assert said == [expected]


@pytest.mark.parametrize(
    ("names", "said"),
    [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcde", "a, b and 3 more")],
)
def test_names_are_listed_as_one_says_them(names: str, said: str):
    assert listed([*names]) == said
