"""What a chat model is asked, what its tokens cost, and which class an answer in words is."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge

from turnout.quantities import STRICT
from turnout.registry.domain.fields import Number, Prose

MILLION: Final = 1_000_000

_PLACE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_OURS: Final = frozenset(
    {"model", "messages", "temperature", "max_tokens", "stream", "stream_options", "n"}
)
_SECRET: Final = re.compile(r"api[_-]?key|authorization|secret|password", re.IGNORECASE)
_AROUND: Final = " \t\r\n.,;:!?\"'`*()[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a prompt; `{{name}}` in it is replaced by that input."""

    __pydantic_config__ = STRICT

    role: Literal["system", "developer", "user", "assistant"]
    content: Prose

    @property
    def places(self) -> frozenset[str]:
        return frozenset(_PLACE.findall(self.content))

    def filled(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Put the inputs in, once: what an input says is never taken for a place of its own."""
        content = _PLACE.sub(lambda place: _written(inputs[place[1]]), self.content)
        return {"role": self.role, "content": content}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens cost, in the currency of all your costs."""

    __pydantic_config__ = STRICT

    input: Annotated[Number, Ge(0)]
    output: Annotated[Number, Ge(0)]

    def of(self, *, read: int, written: int) -> float:
        return (read * self.input + written * self.output) / MILLION


def check_parameters(parameters: Mapping[str, Any]) -> None:
    if taken := sorted(_OURS & parameters.keys()):
        raise ValueError(
            f"parameters holds what a provider takes beyond the fields of this runtime, not"
            f" {', '.join(taken)}"
        )
    if secret := next((name for name in parameters if _SECRET.search(name)), None):
        raise ValueError(f"{secret} does not belong in parameters: name its variable in token_env")


def places(messages: Sequence[Message]) -> frozenset[str]:
    return frozenset().union(*(message.places for message in messages))


def spoken(answer: str) -> str:
    """What an answer says, whatever its case and the punctuation around it."""
    return " ".join(answer.casefold().strip(_AROUND).split())


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
