"""The built-in demo: whether a text is positive or negative, by the words in it.

A real classifier, and a simple one: every word that it knows has a weight, what stands before the
word turns the weight round or makes it larger or smaller, and the sum goes through a softmax over
three classes. It knows English, and no irony.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from turnout.gateway.runtimes.answers import Answer, InputMismatch
from turnout.gateway.runtimes.oip import alone
from turnout.quantities import JsonValue

NAME: Final = "demo-sentiment"
LONGEST: Final = 20_000

WordList = Literal["small", "full"]


def _weighted(weights: Mapping[float, str]) -> dict[str, float]:
    return {word: weight for weight, words in weights.items() for word in words.split()}


_SMALL: Final = _weighted(
    {
        2.0: "good great love excellent best",
        1.0: "nice like happy",
        -1.0: "slow sad dislike",
        -2.0: "bad terrible hate awful worst",
    }
)
_FULL: Final = _SMALL | _weighted(
    {
        2.5: "amazing awesome brilliant fantastic flawless incredible magnificent outstanding"
        " perfect perfectly phenomenal splendid stunning superb wonderful",
        2.0: "adore beautiful beautifully delicious delightful enjoyed exceptional impressed"
        " impressive loved loves loving recommend thrilled",
        1.5: "better comfortable effective elegant enjoy enjoyable excited fast friendly fun"
        " glad helpful pleasant pleased recommended reliable satisfied smooth smoothly solid well",
        1.0: "affordable clean clear easy fair fine fresh handy interesting liked likes neat"
        " okay pretty quick quickly quiet safe thank thanks useful works worth",
        -1.0: "complicated confusing cheap dull expensive hard late lacking loud mediocre noisy"
        " old overpriced problem problems slowly strange tired unclear",
        -1.5: "annoyed annoying boring broke complain damaged difficult dirty disappoint"
        " frustrating issue issues poor poorly rude sick tasteless ugly uncomfortable unhappy"
        " unreliable unpleasant upset wrong",
        -2.0: "angry avoid broken crash crashed crashes disappointed disappointing"
        " disappointment fail failed fails failure faulty hated hates misleading nasty regret"
        " scam useless waste wasted worse",
        -2.5: "abysmal atrocious disaster disgusting dreadful horrible horrendous pathetic"
        " unacceptable unusable worthless",
    }
)
_WORDS: Final[Mapping[WordList, Mapping[str, float]]] = {"small": _SMALL, "full": _FULL}

_NEGATIONS: Final = frozenset(
    {"not", "no", "never", "neither", "nor", "hardly", "barely", "scarcely", "without", "lacks"}
    | {"cannot", "nothing"}
)
_STRENGTHS: Final = _weighted(
    {
        1.5: "very really extremely absolutely so totally incredibly truly highly too",
        0.6: "quite rather somewhat slightly fairly bit kinda partly",
    }
)
_CLAUSE_ENDS: Final = frozenset(".,;:!?")
_CONTRASTS: Final = frozenset({"but", "however", "yet"})
_TURNED: Final = -0.8
"""Not good is bad, though less so than bad; and so is not very good."""
_REACH: Final = 3
"""How many words a negation reaches over: it was not a very good film."""
_BEFORE_CONTRAST: Final = 0.5
"""What stands before a `but` counts half: the weight is on what follows."""
_NEUTRAL: Final = 0.5
_TOKEN: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|[.,;:!?]")
_APOSTROPHE: Final = "\N{RIGHT SINGLE QUOTATION MARK}"


@dataclass(frozen=True, slots=True)
class Sentiment:
    prediction: Literal["positive", "negative", "neutral"]
    confidence: float


def sentiment(text: str, words: WordList = "full") -> Sentiment:
    """The likeliest class, and its probability."""
    total = score(text, words)
    classes: tuple[tuple[Literal["positive", "negative", "neutral"], float], ...] = (
        ("neutral", _NEUTRAL),
        ("positive", total),
        ("negative", -total),
    )
    named, largest = max(classes, key=lambda pair: pair[1])
    rest = sum(math.exp(value - largest) for _, value in classes)
    return Sentiment(named, 1 / rest)


def score(text: str, words: WordList = "full") -> float:
    """Above 0 for a positive text; the further from 0, the clearer."""
    total = 0.0
    for contrast, weight in _weights(text, _WORDS[words]):
        total = total * _BEFORE_CONTRAST if contrast else total + weight
    return total


def _weights(text: str, known: Mapping[str, float]) -> Iterator[tuple[bool, float]]:
    """The weights of the words in the order of the text, and where a contrast stands."""
    turned, strength = 0, 1.0
    for token in _TOKEN.findall(text.lower().replace(_APOSTROPHE, "'")):
        if token in _CONTRASTS:
            yield True, 0.0
        if token in _CLAUSE_ENDS or token in _CONTRASTS:
            turned, strength = 0, 1.0
        elif token in _NEGATIONS or token.endswith("n't"):
            turned, strength = _REACH, 1.0
        elif token in _STRENGTHS:
            strength = _STRENGTHS[token]
        else:
            if token in known:
                yield False, known[token] * (_TURNED * min(strength, 1) if turned else strength)
            turned, strength = max(0, turned - 1), 1.0


class DemoSentiment:
    """One version of the demo, ready to answer."""

    def __init__(self, words: WordList) -> None:
        self._words = words

    async def predict(self, inputs: JsonValue) -> Answer:
        inputs = alone(inputs)
        text = inputs.get("text") if isinstance(inputs, Mapping) else inputs
        if not isinstance(text, str) or (isinstance(inputs, Mapping) and len(inputs) > 1):
            raise InputMismatch(
                'the demo takes one text, as {"text": "…"} or bare', field="body.inputs"
            )
        if len(text) > LONGEST:
            raise InputMismatch(
                f"a text has at most {LONGEST:,} characters, not {len(text):,}",
                field="body.inputs",
            )
        found = sentiment(text, self._words)
        return Answer(
            prediction=found.prediction,
            confidence=found.confidence,
            label=found.prediction,
            answered_by=NAME,
        )

    def close(self) -> None:
        """Nothing is kept open."""
