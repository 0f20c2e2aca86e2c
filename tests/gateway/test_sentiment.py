import asyncio

import pytest
from httpx2 import AsyncClient
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway import stage
from turnout.gateway.runtimes.answers import Answer, InputMismatch
from turnout.gateway.runtimes.sentiment import LONGEST, DemoSentiment, score, sentiment
from turnout.quantities import JsonValue


@pytest.mark.parametrize(
    ("text", "prediction"),
    [
        pytest.param("I love this product", "positive", id="a good word"),
        pytest.param("TERRIBLE, a waste of money!", "negative", id="bad words, in capitals"),
        pytest.param("The train leaves at noon", "neutral", id="no word that it knows"),
        pytest.param("", "neutral", id="nothing"),
        pytest.param("This is not good", "negative", id="negated"),
        pytest.param(
            "It isn\N{RIGHT SINGLE QUOTATION MARK}t a very good film",
            "negative",
            id="negated by a suffix, further on",
        ),
        pytest.param("It was not bad at all", "positive", id="a bad word negated"),
        pytest.param("No, I love it", "positive", id="a comma ends the negation"),
        pytest.param("Good food, but awful service", "negative", id="what follows the but weighs"),
        pytest.param("Slow at first, but I love it", "positive", id="the other way round"),
    ],
)
def test_a_text_is_read_by_its_words(text: str, prediction: str) -> None:
    assert sentiment(text).prediction == prediction


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        pytest.param("good", "very good", id="intensified"),
        pytest.param("somewhat good", "good", id="softened"),
        pytest.param("not bad", "good", id="not bad is less than good"),
        pytest.param("good", "amazing", id="a stronger word"),
        pytest.param("good", "good and useful", id="two words"),
    ],
)
def test_a_clearer_text_has_more_confidence(weaker: str, stronger: str) -> None:
    assert sentiment(weaker).confidence < sentiment(stronger).confidence


@given(st.text(max_size=200))
def test_the_confidence_is_that_of_the_likeliest_of_three_classes(text: str) -> None:
    found = sentiment(text)

    assert 1 / 3 <= found.confidence <= 1
    assert found.prediction != "positive" or score(text) > 0
    assert found.prediction != "negative" or score(text) < 0


def test_the_small_word_list_knows_less() -> None:
    text = "A splendid day"

    assert sentiment(text, "small").prediction == "neutral"
    assert sentiment(text, "full").prediction == "positive"


@pytest.mark.parametrize("inputs", [{"text": "good"}, "good"], ids=["named", "bare"])
async def test_the_answer_says_that_it_is_a_demo(inputs: JsonValue) -> None:
    answer = await DemoSentiment("full").predict(inputs)

    assert answer == Answer(
        prediction="positive",
        confidence=sentiment("good").confidence,
        label="positive",
        answered_by="demo-sentiment",
    )


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({"text": 5}, id="a number"),
        pytest.param({"words": "good"}, id="another name"),
        pytest.param({"text": "good", "language": "en"}, id="more than a text"),
        pytest.param([5.1, 3.5], id="a row of numbers"),
        pytest.param("a" * (LONGEST + 1), id="too long"),
    ],
)
async def test_anything_but_a_text_is_refused(inputs: JsonValue) -> None:
    with pytest.raises(InputMismatch):
        await DemoSentiment("full").predict(inputs)


async def test_others_have_their_turn_between_the_items_of_a_batch(
    live_client: AsyncClient,
) -> None:
    await stage.register(live_client, "1.0.0", {"kind": "demo-sentiment"})
    await stage.split(live_client, {"version": "1.0.0", "weight": 100})

    async def turns(items: int) -> int:
        body = {"items": [{"inputs": "good"}] * items}
        answer = live_client.post(f"models/{stage.MODEL}/predict/batch", json=body)
        answered, counted = asyncio.create_task(answer), 0
        while not answered.done():
            await asyncio.sleep(0)
            counted += 1
        assert (await answered).status_code == 200
        return counted

    assert await turns(1_000) - await turns(1) > 30
