"""How a version is served, and the file or address it was built as."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le, MaxLen

from turnout.addresses import Reach, check_url
from turnout.quantities import STRICT, ByKind, Duration, Reading
from turnout.registry.domain.chat import Message, Price, check_parameters, spoken
from turnout.registry.domain.fields import Address, Document, Label, Number

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Whoever may register a version may send this variable's value to a host of their choice, so
# the pattern leaves out passwords, cloud keys and Turnout's own settings.
_TOKEN_VARIABLE = re.compile(r"(?!TURNOUT_)([A-Z][A-Z0-9_]*_)?(TOKEN|API_KEY)", re.ASCII)
MODEL_SERVERS: Final = Reach.PRIVATE


def read_sha256(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def check_sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("a SHA-256 is written as 64 hexadecimal digits")
    return text


def check_server(url: str) -> str:
    """Accept the address of a model server, which may be private but never link-local."""
    return check_url(url, MODEL_SERVERS)


def _check_token_variable(name: str | None) -> None:
    if name is not None and not _TOKEN_VARIABLE.fullmatch(name):
        raise ValueError(
            "token_env is the name of an environment variable that ends in TOKEN or API_KEY"
            " and does not begin with TURNOUT_, such as FRAUD_SERVER_TOKEN"
        )


def _check_timeout(timeout: timedelta | None) -> None:
    if timeout is not None and not timeout:
        raise ValueError("a timeout is longer than nothing")


Server = Annotated[
    Address, Reading(check=check_server, describe={"type": "string", "format": "uri"})
]


Sha256 = Annotated[
    str,
    Reading(
        read=read_sha256,
        check=check_sha256,
        describe={"type": "string", "pattern": f"^{_SHA256.pattern}$"},
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Where the version's file came from, and its fingerprint."""

    __pydantic_config__ = STRICT

    uri: Address | None = None
    sha256: Sha256 | None = None
    size: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntime:
    """The uploaded ONNX file, run by the gateway itself.

    Without names, a classifier's label and the largest of its probabilities are prediction and
    confidence; of any other model, the first output is the prediction.
    """

    __pydantic_config__ = STRICT

    kind: Literal["onnx"] = "onnx"
    prediction_output: Label | None = None
    confidence_output: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRuntime:
    """A model server that speaks the Open Inference Protocol v2, or takes plain JSON.

    For v2 `url` is the server, which is asked at `/v2/models/{model_name}/infer`; the model's own
    name stands in for a `model_name` that is not given. For JSON it is where inputs are posted.
    `token_env` names the variable, in Turnout's environment, that holds its bearer token.
    """

    __pydantic_config__ = STRICT

    kind: Literal["http"] = "http"
    url: Server
    protocol: Literal["v2", "json"] = "v2"
    model_name: Label | None = None
    token_env: Label | None = None
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        _check_token_variable(self.token_env)
        _check_timeout(self.timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIRuntime:
    """A chat model behind an OpenAI-compatible API, asked at `{url}/chat/completions`.

    `token_env` names the variable, in Turnout's environment, that holds the API key; the key itself
    is never stored. `messages` are the prompt, with `{{name}}` where an input goes. With `classes`,
    an answer that says one of the words on the left is of the class on the right, and any other
    is a failure. `fallback_model`, of the same provider, is asked once when the first one fails.
    `prices`, by model, turn the tokens used into the prediction's cost.
    """

    __pydantic_config__ = STRICT

    kind: Literal["openai"] = "openai"
    url: Server
    model_name: Label
    token_env: Label | None = None
    messages: Annotated[tuple[Message, ...], MaxLen(100)] = ()
    temperature: Annotated[Number, Ge(0), Le(2)] | None = None
    max_tokens: Annotated[int, Ge(1)] | None = None
    parameters: Document = field(default_factory=dict)
    fallback_model: Label | None = None
    classes: Annotated[Mapping[Label, Label], MaxLen(1000)] = field(default_factory=dict)
    prices: Annotated[Mapping[Label, Price], MaxLen(100)] = field(default_factory=dict)
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        _check_token_variable(self.token_env)
        _check_timeout(self.timeout)
        check_parameters(self.parameters)
        if self.fallback_model == self.model_name:
            raise ValueError("fallback_model is another model than model_name")
        for name in self.prices:
            if name not in {self.model_name, self.fallback_model}:
                raise ValueError(f"prices has {name!r}, which is neither model that is asked")
        if len({spoken(words) for words in self.classes}) < len(self.classes):
            raise ValueError("two of the answers in classes differ only in case or punctuation")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalRuntime:
    """The caller runs the model; Turnout only routes and measures."""

    __pydantic_config__ = STRICT

    kind: Literal["external"] = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSentimentRuntime:
    """A small classifier of texts by the words in them, built in to have something to try out.

    It takes `text` and answers `positive`, `negative` or `neutral`. With the `small` word list it
    knows fewer words, and so is less sure: a second version to compare with.
    """

    __pydantic_config__ = STRICT

    kind: Literal["demo-sentiment"] = "demo-sentiment"
    words: Literal["small", "full"] = "full"


Runtime = Annotated[
    OnnxRuntime | HttpRuntime | OpenAIRuntime | ExternalRuntime | DemoSentimentRuntime,
    ByKind((OnnxRuntime, HttpRuntime, OpenAIRuntime, ExternalRuntime, DemoSentimentRuntime)),
]
