"""Chat models: what they are asked, what they answer, and their bad days."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text

from tests.gateway import model_servers, stage
from tests.gateway.model_servers import ChatServer, completion
from turnout import db
from turnout.db import Sessions
from turnout.gateway.runtimes.answers import Failure, InputMismatch, RuntimeFailure
from turnout.gateway.runtimes.chat import ChatModel
from turnout.gateway.runtimes.http import http_session
from turnout.registry.domain.chat import spoken
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import OpenAIRuntime, Runtime
from turnout.registry.domain.version import VersionRef

KEY = "sk-very-secret"
ASK = {"role": "user", "content": "Is this fraud? {{ text }}"}
SYSTEM = {"role": "system", "content": "Answer briefly."}
CLASSES = {"yes": "fraud", "no, it is not": "legitimate"}
NO_DETAIL = {"input": 0.5, "output": 2}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    session = http_session()
    yield session
    await session.close()


def config(url: str, **more: Any) -> OpenAIRuntime:
    body = {"kind": "openai", "url": f"{url}/v1", "model_name": "large", **more}
    runtime = TypeAdapter(Runtime).validate_python(body)
    assert isinstance(runtime, OpenAIRuntime)
    return runtime


def model(http: aiohttp.ClientSession, url: str, **more: Any) -> ChatModel:
    runtime = config(url, **more)
    version = VersionRef(
        id=1,
        model_id=1,
        model="support",
        version="1.0.0",
        stage=Lifecycle.STAGING,
        runtime=runtime,
        artifact=None,
        signature=None,
        file_sha256=None,
    )
    return ChatModel(http, version, runtime, deadline=timedelta(seconds=20))


def said(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("prompt", "inputs", "messages"),
    [
        pytest.param([], "Hello", [said("Hello")], id="a text"),
        pytest.param([], [SYSTEM, said("Hello")], [SYSTEM, said("Hello")], id="messages"),
        pytest.param([], {"messages": [said("Hello")]}, [said("Hello")], id="messages by name"),
        pytest.param([SYSTEM], "Hello", [SYSTEM, said("Hello")], id="a prompt goes before"),
        pytest.param(
            [SYSTEM, ASK], "€ 5", [SYSTEM, said("Is this fraud? € 5")], id="one place, bare value"
        ),
        pytest.param([ASK], {"text": [1, "ä"]}, [said('Is this fraud? [1, "ä"]')], id="a list"),
        pytest.param(
            [said("{{a}}{{b}}")], {"a": "{{b}}", "b": 2}, [said("{{b}}2")], id="no second filling"
        ),
    ],
)
async def test_inputs_become_messages(http, prompt, inputs, messages):
    server = ChatServer({"large": "ok"})
    async with model_servers.serving(server) as url:
        await model(http, url, messages=prompt).predict(inputs)

    assert server.asked == [{"model": "large", "messages": messages}]


@pytest.mark.parametrize(
    ("prompt", "inputs", "sentence"),
    [
        pytest.param([], 5, "takes a text, or messages", id="a number"),
        pytest.param([], "", "takes a text, or messages", id="nothing"),
        pytest.param([], [{"role": "king"}], "takes a text, or messages", id="an unknown role"),
        pytest.param([], [{"role": []}], "takes a text, or messages", id="a list for a role"),
        pytest.param([ASK], {}, "with text: text is missing", id="an input is missing"),
        pytest.param([ASK], {"text": 1, "b": 2}, "b is none of them", id="an input too many"),
        pytest.param([said("{{a}}{{b}}")], "x", "with a, b", id="a bare value for two places"),
    ],
)
async def test_inputs_that_do_not_fit_the_prompt(http, prompt, inputs, sentence):
    with pytest.raises(InputMismatch, match=sentence):
        await model(http, "http://127.0.0.1:9", messages=prompt).predict(inputs)


async def test_what_is_declared_is_sent_and_the_tokens_are_paid_for(http, monkeypatch):
    monkeypatch.setenv("SUPPORT_API_KEY", KEY)
    server = ChatServer({"large": " Yes. "}, key=KEY)
    async with model_servers.serving(server) as url:
        answer = await model(
            http,
            url,
            token_env="SUPPORT_API_KEY",
            temperature=0.2,
            max_tokens=64,
            parameters={"seed": 7},
            classes=CLASSES,
            prices={"large": NO_DETAIL},
        ).predict("Hello")

    [asked] = server.asked
    assert (asked["temperature"], asked["max_tokens"], asked["seed"]) == (0.2, 64, 7)
    assert (answer.prediction, answer.label) == (" Yes. ", "fraud")
    assert answer.cost == pytest.approx(0.0009)
    assert answer.answered_by == "large"


@pytest.mark.parametrize(
    ("answer", "meant"),
    [("Yes", "yes"), ('  "YES!"\n', "yes"), ("**No**, it\nis NOT.", "no**, it is not")],
)
def test_what_an_answer_says_whatever_its_case_and_punctuation(answer, meant):
    assert spoken(answer) == meant


@pytest.mark.parametrize(
    ("handler", "kind", "sentence"),
    [
        pytest.param(model_servers.hanging, Failure.TIMEOUT, "within 0.05 s", id="hangs"),
        pytest.param(model_servers.dying, Failure.UNREACHABLE, "Disconnected", id="dies"),
        pytest.param(model_servers.endless, Failure.GARBAGE, "longer than", id="never ends"),
        pytest.param(
            model_servers.answering(body=b"data: {}"), Failure.GARBAGE, "read", id="a stream"
        ),
        pytest.param(
            model_servers.answering(json={"choices": []}), Failure.GARBAGE, "read", id="no choice"
        ),
        pytest.param(
            model_servers.answering(json=completion(None, finish_reason="content_filter")),
            Failure.REFUSED,
            "without text: content_filter",
            id="filtered",
        ),
        pytest.param("Perhaps", Failure.GARBAGE, "'Perhaps' is none of its classes", id="no class"),
        pytest.param((429, {}), Failure.OVERLOADED, "status 429: try later", id="too many"),
        pytest.param((500, {}), Failure.FAILED, "status 500", id="an error of theirs"),
    ],
)
async def test_a_provider_in_trouble_is_a_failure_with_a_name(http, handler, kind, sentence):
    patience = "50ms" if handler is model_servers.hanging else "20s"
    server = ChatServer({"large": handler})
    async with model_servers.serving(server) as url:
        asked = model(http, url, classes=CLASSES, timeout=patience)
        with pytest.raises(RuntimeFailure, match=sentence) as caught:
            await asked.predict("Hello")

    assert caught.value.kind is kind
    # a connection that breaks may have been stale, and is tried once more
    assert len(server.asked) == (2 if handler is model_servers.dying else 1)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(model_servers.hanging, id="hangs"),
        pytest.param((503, {}), id="overloaded"),
        pytest.param(model_servers.answering(body=b"<html>"), id="garbage"),
        pytest.param(
            model_servers.answering(body=b'{"choices": [{"message": {"content": "\xff"}}]}'),
            id="not UTF-8",
        ),
        pytest.param(
            model_servers.answering(500, body=b'{"error": "\xff"}'), id="nor is its error"
        ),
    ],
)
async def test_the_fallback_is_asked_once_when_the_first_model_fails(http, trouble):
    server = ChatServer({"large": trouble, "small": "ok"})
    patience = "400ms" if trouble is model_servers.hanging else "20s"
    async with model_servers.serving(server) as url:
        prices = {"small": NO_DETAIL}
        answer = await model(
            http, url, fallback_model="small", prices=prices, timeout=patience
        ).predict("Hello")

    assert (answer.prediction, answer.answered_by) == ("ok", "small")
    assert answer.cost == pytest.approx(0.0009)
    assert [body["model"] for body in server.asked] == ["large", "small"]


async def test_both_models_fail(http):
    server = ChatServer({"large": (500, {}), "small": (429, {})})
    async with model_servers.serving(server) as url:
        with pytest.raises(RuntimeFailure, match=r"500.*its fallback: status 429") as caught:
            await model(http, url, fallback_model="small").predict("Hello")

    assert caught.value.kind is Failure.FAILED
    assert len(server.asked) == 2


async def test_a_provider_that_asks_for_rest_is_left_alone(http):
    server = ChatServer({"large": (429, {"Retry-After": "30"}), "small": "ok"})
    async with model_servers.serving(server) as url:
        asked = model(http, url, fallback_model="small")
        answers = [(await asked.predict("Hello")).answered_by for _ in range(3)]

    assert answers == ["small"] * 3
    assert [body["model"] for body in server.asked].count("large") == 1


async def test_a_key_that_is_refused_is_neither_tried_elsewhere_nor_told(http, monkeypatch):
    monkeypatch.setenv("SUPPORT_API_KEY", KEY)
    server = ChatServer({"large": "ok"}, key="another")
    async with model_servers.serving(server) as url:
        asked = model(http, url, token_env="SUPPORT_API_KEY", fallback_model="small")
        with pytest.raises(RuntimeFailure, match="status 401") as caught:
            await asked.predict("Hello")

    assert KEY not in str(caught.value)
    assert caught.value.kind is Failure.REFUSED


@pytest.mark.parametrize("before", range(180, 200, 5))
async def test_not_even_the_beginning_of_a_key_is_told(http, monkeypatch, before):
    monkeypatch.setenv("SUPPORT_API_KEY", KEY)
    error = {"error": {"message": "x" * before + KEY}}
    server = ChatServer({"large": model_servers.answering(500, json=error)})
    async with model_servers.serving(server) as url:
        with pytest.raises(RuntimeFailure, match="status 500") as caught:
            await model(http, url, token_env="SUPPORT_API_KEY").predict("Hello")

    assert KEY[:3] not in str(caught.value)


async def test_a_key_that_is_not_there(http):
    asked = model(http, "http://127.0.0.1:9", token_env="NOWHERE_API_KEY", fallback_model="small")

    with pytest.raises(RuntimeFailure, match="NOWHERE_API_KEY of its token_env is not set"):
        await asked.predict("Hello")


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        pytest.param({"temperature": 3}, "less than or equal to 2", id="too hot"),
        pytest.param({"max_tokens": 0}, "greater than or equal to 1", id="no tokens"),
        pytest.param({"parameters": {"stream": True}}, "not stream", id="streaming"),
        pytest.param({"parameters": {"api_key": KEY}}, "name its variable", id="a key"),
        pytest.param({"fallback_model": "large"}, "another model", id="falls back to itself"),
        pytest.param({"prices": {"huge": NO_DETAIL}}, "neither model", id="price of another"),
        pytest.param({"classes": {"Yes": "a", "yes.": "b"}}, "differ only", id="same answers"),
        pytest.param({"token_env": "TURNOUT_API_KEY"}, "token_env is the name", id="our own key"),
        pytest.param({"messages": [{"role": "king", "content": "x"}]}, "system", id="a role"),
        pytest.param({"url": "http://169.254.169.254"}, "link-local", id="metadata service"),
    ],
)
def test_declarations_that_are_refused(declared, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TypeAdapter(Runtime).validate_python(
            {"kind": "openai", "url": "http://localhost/v1", "model_name": "large", **declared}
        )


async def test_who_answered_and_what_it_cost_is_answered_and_recorded(
    live_client: AsyncClient, sessions: Sessions
):
    server = ChatServer({"large": (500, {}), "small": "No, it is not."})
    async with model_servers.serving(server) as url:
        runtime = {
            "kind": "openai",
            "url": f"{url}/v1",
            "model_name": "large",
            "fallback_model": "small",
            "classes": CLASSES,
            "prices": {"small": NO_DETAIL},
        }
        await stage.register(live_client, "1.0.0", runtime)
        await stage.split(live_client, {"version": "1.0.0", "weight": 100})
        answer = (await stage.predict(live_client, "Hello", unit="ada")).json()
        [row] = await stage.recorded(sessions, 1)

    assert (answer["prediction"], answer["answered_by"]) == ("No, it is not.", "small")
    assert (answer["fallback"], row.label, row.error) == (False, "legitimate", None)
    async with db.transaction(sessions) as session:
        found = await session.execute(text("SELECT cost, features FROM prediction"))
        [(cost, features)] = found.all()
    assert (cost, features) == (pytest.approx(0.0009), {"answered_by": "small"})
