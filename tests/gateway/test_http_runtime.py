"""Models behind HTTP, and everything that can be wrong with them."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.gateway import model_servers
from turnout.gateway.runtimes.answers import Answer, Failure, InputMismatch, RuntimeFailure
from turnout.gateway.runtimes.http import HttpModel, http_session
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import HttpRuntime
from turnout.registry.domain.signature import DType, Signature, TensorSpec
from turnout.registry.domain.version import VersionRef

FOUR_FLOATS = Signature(
    inputs=(TensorSpec(name="features", dtype=DType.FLOAT32, shape=(None, 4)),), outputs=()
)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    session = http_session()
    yield session
    await session.close()


def model(
    http: aiohttp.ClientSession, config: HttpRuntime, signature: Signature | None = None
) -> HttpModel:
    version = VersionRef(
        id=1,
        model_id=1,
        model="fraud-detection",
        version="1.0.0",
        stage=Lifecycle.STAGING,
        runtime=config,
        artifact=None,
        signature=signature,
        file_sha256=None,
    )
    return HttpModel(http, version, config, deadline=timedelta(seconds=5))


class Echo:
    """Keeps what was asked, and answers what it was made with."""

    def __init__(self, reply: object) -> None:
        self.reply = reply
        self.path = ""
        self.body: Any = None
        self.headers: dict[str, str] = {}

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.path = request.path
        self.body = await request.json()
        self.headers = dict(request.headers)
        return web.json_response(self.reply)


def outputs(*tensors: Mapping[str, object]) -> dict[str, object]:
    return {"model_name": "m", "outputs": list(tensors)}


LABEL = {"name": "predict", "shape": [1], "datatype": "INT64", "data": [2]}
CHANCES = {"name": "predict_proba", "shape": [1, 3], "datatype": "FP64", "data": [0.1, 0.2, 0.7]}


@pytest.mark.parametrize(
    ("signature", "inputs", "tensors"),
    [
        pytest.param(
            FOUR_FLOATS,
            [5.1, 3.5, 1.4, 0.5],
            [{"name": "features", "shape": [1, 4], "datatype": "FP32"}],
            id="a row, as the signature declares it",
        ),
        pytest.param(
            None,
            [5, 3],
            [{"name": "input-0", "shape": [1, 2], "datatype": "INT64"}],
            id="a row of whole numbers without signature",
        ),
        pytest.param(
            None,
            {"age": 37.5, "city": "Ulm", "new": True},
            [
                {"name": "age", "shape": [1, 1], "datatype": "FP64"},
                {"name": "city", "shape": [1, 1], "datatype": "BYTES"},
                {"name": "new", "shape": [1, 1], "datatype": "BOOL"},
            ],
            id="named values without signature",
        ),
        pytest.param(
            FOUR_FLOATS,
            [{"name": "raw", "shape": [2], "datatype": "UINT8", "data": [1, 2]}],
            [{"name": "raw", "shape": [2], "datatype": "UINT8"}],
            id="tensors as they are",
        ),
    ],
)
async def test_inputs_become_v2_tensors(http, signature, inputs, tensors):
    server = Echo(outputs(LABEL))
    async with model_servers.serving(server) as url:
        await model(http, HttpRuntime(url=url), signature).predict(inputs)

    sent = [
        {k: tensor[k] for k in ("name", "shape", "datatype")} for tensor in server.body["inputs"]
    ]
    assert sent == tensors


@pytest.mark.parametrize(
    ("config", "path"),
    [
        pytest.param({}, "/v2/models/fraud-detection/infer", id="the model's own name"),
        pytest.param({"model_name": "fraud"}, "/v2/models/fraud/infer", id="another name"),
        pytest.param(
            {"path": "/v2/models/a/versions/3/infer"}, "/v2/models/a/versions/3/infer", id="all"
        ),
        pytest.param({"protocol": "json", "path": "/invocations"}, "/invocations", id="plain JSON"),
    ],
)
async def test_where_a_model_is_asked(http, config, path):
    server = Echo(outputs(LABEL))
    async with model_servers.serving(server) as url:
        at = url + config.pop("path", "")
        await model(http, HttpRuntime(url=at, **config)).predict([1])

    assert server.path == path


@pytest.mark.parametrize(
    ("inputs", "tensors", "answer"),
    [
        pytest.param(
            [1, 2],
            [LABEL, CHANCES],
            Answer(prediction=2, label="2", confidence=0.7),
            id="label and probabilities of one row",
        ),
        pytest.param(
            [[1, 2], [3, 4]],
            [LABEL | {"shape": [2], "data": [2, 0]}],
            Answer(prediction=[2, 0]),
            id="labels of a batch",
        ),
        pytest.param(
            [1, 2],
            [{"name": "out", "shape": [1, 2], "datatype": "FP32", "data": [[0.5, 1.5]]}],
            Answer(prediction=[0.5, 1.5]),
            id="nested data",
        ),
        pytest.param(
            [1, 2],
            [{"name": "word", "shape": [1], "datatype": "BYTES", "data": ["fraud"]}],
            Answer(prediction="fraud", label="fraud"),
            id="text",
        ),
    ],
)
async def test_v2_tensors_become_an_answer(http, inputs, tensors, answer):
    async with model_servers.serving(model_servers.answering(json=outputs(*tensors))) as url:
        assert await model(http, HttpRuntime(url=url)).predict(inputs) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        pytest.param(
            {"prediction": "fraud", "confidence": 0.9, "cost": 0.01, "more": 1},
            Answer(prediction="fraud", label="fraud", confidence=0.9, cost=0.01),
            id="an object with a prediction",
        ),
        pytest.param(
            {"prediction": {"text": "…"}, "label": "spam"},
            Answer(prediction={"text": "…"}, label="spam"),
            id="a label beside it",
        ),
        pytest.param({"score": 0.5}, Answer(prediction={"score": 0.5}), id="any other object"),
        pytest.param(True, Answer(prediction=True, label="true"), id="a bare value"),
        pytest.param(0.5, Answer(prediction=0.5), id="a real number is no class"),
        pytest.param("a\nb", Answer(prediction="a\nb"), id="nor is text of several lines"),
    ],
)
async def test_plain_json_becomes_an_answer(http, reply, answer):
    server = Echo(reply)
    async with model_servers.serving(server) as url:
        config = HttpRuntime(url=url, protocol="json")
        assert await model(http, config).predict({"a": [1, None]}) == answer
    assert server.body == {"inputs": {"a": [1, None]}}


@pytest.mark.parametrize(
    ("handler", "kind", "said"),
    [
        pytest.param(model_servers.hanging, Failure.TIMEOUT, "within 0.05 s", id="hangs"),
        pytest.param(model_servers.dying, Failure.UNREACHABLE, "Disconnected", id="dies"),
        pytest.param(
            model_servers.answering(body=b"<html>"), Failure.GARBAGE, "cannot be read", id="HTML"
        ),
        pytest.param(
            model_servers.answering(body=b'{"prediction": NaN}'),
            Failure.GARBAGE,
            "cannot be read",
            id="NaN",
        ),
        pytest.param(
            model_servers.answering(json={"prediction": 1, "confidence": "high"}),
            Failure.GARBAGE,
            "confidence",
            id="a confidence in words",
        ),
        pytest.param(
            model_servers.answering(json={"prediction": 1, "confidence": 42}),
            Failure.GARBAGE,
            "no probability",
            id="a confidence of 42",
        ),
        pytest.param(
            model_servers.endless, Failure.GARBAGE, "longer than 16,000,000", id="never ends"
        ),
        pytest.param(
            model_servers.answering(500, json={"error": "out of\nmemory"}),
            Failure.FAILED,
            "status 500: out of memory",
            id="fails and says why",
        ),
        pytest.param(
            model_servers.answering(502, body=b"\x00\xff"), Failure.FAILED, "502", id="a gateway"
        ),
        pytest.param(
            model_servers.answering(503, json={}), Failure.OVERLOADED, "without a word", id="busy"
        ),
        pytest.param(
            model_servers.answering(404, json={"error": "no model m"}),
            Failure.REFUSED,
            "status 404: no model m",
            id="knows no such model",
        ),
        pytest.param(
            model_servers.answering(307, json={}), Failure.REFUSED, "status 307", id="redirects"
        ),
    ],
)
async def test_a_server_in_trouble_is_a_failure_with_a_name(http, handler, kind, said):
    patience = timedelta(seconds=0.05 if handler is model_servers.hanging else 5)
    async with model_servers.serving(handler) as url:
        config = HttpRuntime(url=url, protocol="json", timeout=patience)
        with pytest.raises(RuntimeFailure, match=said) as caught:
            await model(http, config).predict([1])

    assert caught.value.kind is kind


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param({"predictions": [1]}, id="no outputs"),
        pytest.param(outputs(), id="an empty list of outputs"),
        pytest.param(outputs(LABEL | {"shape": [3]}), id="a shape that is not that of the data"),
        pytest.param(outputs(LABEL | {"shape": [-1]}), id="a negative shape"),
        pytest.param(outputs({"name": "x"}), id="half a tensor"),
        pytest.param([], id="no object"),
    ],
)
async def test_what_is_no_inference_response_is_garbage(http, reply):
    async with model_servers.serving(model_servers.answering(json=reply)) as url:
        with pytest.raises(RuntimeFailure) as caught:
            await model(http, HttpRuntime(url=url)).predict([1])

    assert caught.value.kind is Failure.GARBAGE


@pytest.mark.parametrize("protocol", ["v2", "json"])
@pytest.mark.parametrize("body", model_servers.UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_garbage(http, protocol, body):
    async with model_servers.serving(model_servers.answering(body=body)) as url:
        with pytest.raises(RuntimeFailure) as caught:
            await model(http, HttpRuntime(url=url, protocol=protocol)).predict([1])

    assert caught.value.kind is Failure.GARBAGE


@pytest.mark.parametrize("body", model_servers.UNREADABLE)
async def test_an_input_that_is_refused_in_words_that_cannot_be_read(http, body):
    async with model_servers.serving(model_servers.answering(400, body=body)) as url:
        with pytest.raises(InputMismatch, match="refuses this input"):
            await model(http, HttpRuntime(url=url)).predict([1])


@pytest.mark.parametrize("status", [400, 422])
async def test_an_input_that_the_server_refuses_is_a_mismatch(http, status):
    handler = model_servers.answering(status, json={"error": "4 features expected"})
    async with model_servers.serving(handler) as url:
        with pytest.raises(InputMismatch, match="4 features expected"):
            await model(http, HttpRuntime(url=url)).predict([1])


async def test_a_port_where_nobody_listens(http):
    async with model_servers.serving(model_servers.hanging) as url:
        pass

    with pytest.raises(RuntimeFailure) as caught:
        await model(http, HttpRuntime(url=url)).predict([1])

    assert caught.value.kind is Failure.UNREACHABLE


async def test_a_connection_that_was_closed_meanwhile_is_not_a_failure(http):
    served = 0

    async def closing(request: web.Request) -> web.StreamResponse:
        nonlocal served
        served += 1
        if served == 2:
            return await model_servers.dying(request)
        return web.json_response(1)

    async with model_servers.serving(closing) as url:
        asked = model(http, HttpRuntime(url=url, protocol="json"))
        answers = [(await asked.predict([1])).prediction for _ in range(2)]

    assert (answers, served) == ([1, 1], 3)


async def test_the_token_is_read_from_the_environment(http, monkeypatch):
    monkeypatch.setenv("FRAUD_TOKEN", "s3cret")
    server = Echo(1)
    async with model_servers.serving(server) as url:
        config = HttpRuntime(url=url, protocol="json", token_env="FRAUD_TOKEN")
        await model(http, config).predict([1])

    assert server.headers["Authorization"] == "Bearer s3cret"


async def test_a_token_that_is_not_there(http):
    config = HttpRuntime(url="http://127.0.0.1:9", token_env="NOWHERE_TOKEN")

    with pytest.raises(RuntimeFailure, match="NOWHERE_TOKEN of its token_env is not set"):
        await model(http, config).predict([1])


async def test_names_that_lead_to_the_metadata_service_are_not_followed(http):
    # A name that getaddrinfo takes for 169.254.169.254 without asking a server of names.
    config = HttpRuntime(url="http://127.0.0.1/latest", protocol="json")
    served = model(http, config)
    served._endpoint._url = "http://0xa9.0xfe.0xa9.0xfe/latest"

    with pytest.raises(RuntimeFailure, match="leads to a link-local address, which is not called"):
        await served.predict([1])


async def test_a_literal_address_of_the_metadata_service_is_refused(http):
    config = HttpRuntime(url="http://169.254.169.254/latest", protocol="json")

    with pytest.raises(RuntimeFailure, match="which is not called"):
        model(http, config)
