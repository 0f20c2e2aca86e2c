"""Whether a rollout ended as the quality of its model makes right."""

import pytest

from tests.demo.chapters import chapter
from turnout.demo.models import Quality
from turnout.demo.story import Chapter
from turnout.demo.views import Variant

CANDIDATE = [Variant(version="1.2.0", weight=100)]
SHARED = [Variant(version="1.2.0", weight=50), Variant(version="1.1.0", weight=50)]


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(chapter(), id="a broken one is rolled back"),
        pytest.param(
            chapter(Quality.BETTER, phase="succeeded", serving=CANDIDATE, production="1.2.0"),
            id="a better one succeeds",
        ),
        pytest.param(
            chapter(serving=[Variant(version="1.2.0", weight=0), *chapter().serving.variants]),
            id="a variant without traffic does not matter",
        ),
    ],
)
def test_an_ending_as_it_should_be(ended: Chapter):
    assert ended.surprises() == []


@pytest.mark.parametrize(
    ("ended", "surprise"),
    [
        pytest.param(
            chapter(phase="succeeded", serving=CANDIDATE, production="1.2.0"),
            "1.2.0 ended succeeded, not rolled_back",
            id="a broken one succeeded",
        ),
        pytest.param(
            chapter(Quality.BETTER),
            "1.2.0 ended rolled_back, not succeeded",
            id="a better one was rolled back",
        ),
        pytest.param(
            chapter(actor="ada"), "1.2.0 was ended by ada, not by the worker", id="by a person"
        ),
        pytest.param(
            chapter(serving=SHARED),
            "1.2.0 left the traffic at 50 % 1.2.0, 50 % 1.1.0, not 100 % 1.1.0",
            id="the traffic was left shared",
        ),
        pytest.param(
            chapter(production="1.2.0"),
            "1.2.0 left 1.2.0 in production, not 1.1.0",
            id="it was left in production",
        ),
    ],
)
def test_a_surprise_is_named(ended: Chapter, surprise: str):
    assert surprise in ended.surprises()
