"""Chat models behind an OpenAI-compatible API."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

import aiohttp
import msgspec
from msgspec import Meta, Struct
from prometheus_client import Counter

from turnout.gateway.runtimes.answers import (
    UNREADABLE,
    Answer,
    Failure,
    InputMismatch,
    RuntimeFailure,
)
from turnout.gateway.runtimes.http import Endpoint, Reply, checked_server
from turnout.gateway.runtimes.oip import alone
from turnout.observations.domain.prediction import LARGEST
from turnout.quantities import JsonValue
from turnout.registry.domain.chat import places, spoken
from turnout.registry.domain.runtime import OpenAIRuntime
from turnout.registry.domain.version import VersionRef

LONGEST_REST: Final = 60.0
"""Seconds for which a provider's Retry-After is heeded at most."""

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
KEY_REFUSED: Final = frozenset({401, 403})

FALLBACKS: Final = Counter(
    "turnout_chat_fallbacks_total",
    "Answers that were asked of a chat model's fallback because the first model failed",
    ["model", "version", "kind"],
)

Tokens = Annotated[int, Meta(ge=0, le=10**12)]


class Usage(Struct):
    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0


class Said(Struct):
    content: str | None = None
    refusal: str | None = None


class Choice(Struct):
    message: Said
    finish_reason: str | None = None


class Completion(Struct):
    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: Usage | None = None


completions: Final = msgspec.json.Decoder(Completion)


class KeyRefused(RuntimeFailure):
    """Another model of the same provider would refuse the key as well."""


class ChatModel:
    """One version: a prompt, and one or two models of a provider that answer it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        version: VersionRef,
        config: OpenAIRuntime,
        *,
        deadline: timedelta,
    ) -> None:
        url = f"{checked_server(config.url).rstrip('/')}/chat/completions"
        self._endpoint = Endpoint(session, version, url, token_env=config.token_env)
        self._version = version
        self._config = config
        self._places = places(config.messages)
        self._classes = {spoken(words): name for words, name in config.classes.items()}
        self._deadline = config.timeout or deadline
        self._resting: dict[str, float] = {}

    async def predict(self, inputs: JsonValue) -> Answer:
        """Ask the model and, once, its fallback: both within the deadline, the first within half
        of it. Nothing is asked again besides, except once where a connection breaks, which may have
        been a stale one: a provider in trouble is not helped by more calls.
        """
        config = self._config
        messages = self._messages(alone(inputs))
        if config.fallback_model is None:
            return await self._answer(config.model_name, messages, within=self._deadline)
        end = time.monotonic() + self._deadline.total_seconds()
        try:
            return await self._answer(config.model_name, messages, within=self._deadline / 2)
        except KeyRefused:
            raise
        except RuntimeFailure as failure:
            if failure.kind is Failure.NOT_LOADED:
                raise
            version = self._version
            FALLBACKS.labels(version.model, version.version, failure.kind).inc()
            rest = timedelta(seconds=end - time.monotonic())
            try:
                return await self._answer(config.fallback_model, messages, within=rest)
            except RuntimeFailure as second:
                detail = f"{failure.detail}; its fallback: {second.detail}"
                raise RuntimeFailure(failure.kind, detail) from None

    def close(self) -> None:
        """Nothing of its own to close: the session is the replica's."""

    async def _answer(
        self, model: str, messages: list[Mapping[str, Any]], *, within: timedelta
    ) -> Answer:
        self._check_rested(model)
        config = self._config
        body = {**config.parameters, "model": model, "messages": messages}
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if config.max_tokens is not None:
            body["max_tokens"] = config.max_tokens
        reply = await self._endpoint.ask(
            msgspec.json.encode(body), deadline=within, traced={"gen_ai.request.model": model}
        )
        if reply.status != 200:
            self._rest(model, reply)
            raise self._refusal(reply)
        return self._read(model, reply.content)

    def _messages(self, inputs: JsonValue) -> list[Mapping[str, Any]]:
        """The prompt with the inputs in their places; without places, the inputs follow it."""
        prompt = self._config.messages
        if not self._places:
            return [*(message.filled({}) for message in prompt), *_conversation(inputs)]
        if not isinstance(inputs, Mapping):
            if len(self._places) > 1:
                raise self._mismatch(f"it got {type(inputs).__name__}")
            inputs = dict.fromkeys(self._places, inputs)
        if missing := sorted(self._places - inputs.keys()):
            raise self._mismatch(f"{', '.join(missing)} is missing")
        if unknown := sorted(inputs.keys() - self._places):
            raise self._mismatch(f"{', '.join(unknown)} is none of them")
        return [message.filled(inputs) for message in prompt]

    def _mismatch(self, why: str) -> InputMismatch:
        wanted = sorted(self._places)
        return InputMismatch(
            f"the prompt takes an object with {', '.join(wanted)}: {why}", inputs=wanted
        )

    def _refusal(self, reply: Reply) -> InputMismatch | RuntimeFailure:
        refusal = self._endpoint.refusal(reply)
        if reply.status in KEY_REFUSED and isinstance(refusal, RuntimeFailure):
            return KeyRefused(refusal.kind, refusal.detail)
        return refusal

    def _rest(self, model: str, reply: Reply) -> None:
        """Heed Retry-After: until then requests fail at once, and the provider is left alone."""
        asked = reply.retry_after or ""
        if asked.isascii() and asked.isdigit():
            self._resting[model] = time.monotonic() + min(float(asked), LONGEST_REST)

    def _check_rested(self, model: str) -> None:
        rest = self._resting.get(model, 0.0) - time.monotonic()
        if rest > 0:
            raise RuntimeFailure(
                Failure.OVERLOADED, f"{model} is to be left alone for another {rest:.0f} s"
            )

    def _read(self, model: str, content: bytes) -> Answer:
        try:
            found = completions.decode(content)
        except UNREADABLE as error:
            raise RuntimeFailure(Failure.GARBAGE, f"its answer cannot be read: {error}") from None
        choice = found.choices[0]
        text = choice.message.content
        if not text:
            why = choice.message.refusal or choice.finish_reason or "no reason given"
            raise RuntimeFailure(Failure.REFUSED, f"it answered without text: {why[:200]}")
        return Answer(
            prediction=text,
            label=self._label(text),
            cost=self._cost(model, found.usage),
            answered_by=model,
        )

    def _label(self, text: str) -> str | None:
        if not self._classes:
            return None
        try:
            return self._classes[spoken(text)]
        except KeyError:
            raise RuntimeFailure(
                Failure.GARBAGE, f"its answer {text[:80]!r} is none of its classes"
            ) from None

    def _cost(self, model: str, usage: Usage | None) -> float | None:
        price = self._config.prices.get(model)
        if price is None or usage is None:
            return None
        return min(price.of(read=usage.prompt_tokens, written=usage.completion_tokens), LARGEST)


def _conversation(inputs: JsonValue) -> list[Mapping[str, Any]]:
    """Read inputs that are no values for places: a text, messages, or an object with them."""
    if isinstance(inputs, Mapping) and inputs.keys() == {"messages"}:
        inputs = inputs["messages"]
    if isinstance(inputs, str) and inputs:
        return [{"role": "user", "content": inputs}]
    if isinstance(inputs, list) and inputs and all(map(_is_message, inputs)):
        return inputs
    raise InputMismatch(
        'a chat model takes a text, or messages: [{"role": "user", "content": "…"}, …]'
    )


def _is_message(part: object) -> bool:
    role = part.get("role") if isinstance(part, Mapping) else None
    return isinstance(role, str) and role in ROLES
