from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from turnout.registry.domain.runtime import (
    Artifact,
    ExternalRuntime,
    HttpRuntime,
    OnnxRuntime,
    Runtime,
)

RUNTIME: TypeAdapter[Runtime] = TypeAdapter(Runtime)


@pytest.mark.parametrize(
    ("body", "runtime"),
    [
        pytest.param({"kind": "external"}, ExternalRuntime(), id="external"),
        pytest.param(
            {"kind": "onnx", "prediction_output": "label"},
            OnnxRuntime(prediction_output="label"),
            id="onnx",
        ),
        pytest.param(
            {
                "kind": "http",
                "url": "https://models.internal:8443/base",
                "protocol": "json",
                "token_env": "FRAUD_SERVER_TOKEN",
                "timeout": "250ms",
            },
            HttpRuntime(
                url="https://models.internal:8443/base",
                protocol="json",
                token_env="FRAUD_SERVER_TOKEN",
                timeout=timedelta(milliseconds=250),
            ),
            id="http",
        ),
    ],
)
def test_a_runtime_is_read_by_its_kind_and_kept_in_json(
    body: dict[str, object], runtime: Runtime
) -> None:
    assert RUNTIME.validate_python(body) == runtime
    assert RUNTIME.validate_json(RUNTIME.dump_json(runtime)) == runtime


@pytest.mark.parametrize(
    ("body", "place", "sentence"),
    [
        pytest.param(
            {"kind": "pickle"}, (), "'onnx', 'http', 'openai', 'external'", id="unknown kind"
        ),
        pytest.param({}, (), "kind", id="no kind"),
        pytest.param(
            {"kind": "onnx", "url": "http://a"}, ("onnx", "url"), "Unexpected", id="another's field"
        ),
        pytest.param({"kind": "http"}, ("http", "url"), "required", id="no url"),
        pytest.param(
            {"kind": "http", "url": "http://a", "timeout": 0},
            ("http",),
            "longer than nothing",
            id="no time at all",
        ),
    ],
)
def test_errors_speak_of_the_kind_that_was_meant(
    body: dict[str, object], place: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        RUNTIME.validate_python(body)

    assert [error["loc"] for error in refused.value.errors()] == [place]
    assert sentence in refused.value.errors()[0]["msg"]


def with_url(url: str) -> Runtime:
    return RUNTIME.validate_python({"kind": "http", "url": url})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "https://models.example.com/v2?tenant=a",
        "http://10.0.0.7:9000",
        "http://192.168.1.1",
        "http://[fd00::7]:8080",
        "http://127.0.0.1",
    ],
)
def test_a_model_server_may_be_private(url: str) -> None:
    with_url(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        pytest.param("models.internal:8080", "write http://", id="no scheme"),
        pytest.param("ftp://models.internal", "write http://", id="another scheme"),
        pytest.param("http://", "write http://", id="no host"),
        pytest.param("http://host:99999", "write http://", id="no such port"),
        pytest.param("http://host:0", "write http://", id="port zero"),
        pytest.param("http://[::1", "Invalid IPv6 URL", id="half an address"),
        pytest.param("http://user:word@host", "credentials do not belong", id="credentials"),
        pytest.param("http://host/#here", "no fragment", id="a fragment"),
        pytest.param("http://host/a b", "no spaces", id="a space"),
        pytest.param("http://host/\r\nX: y", "control", id="a line end"),
    ],
)
def test_what_is_no_server_address_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        with_url(url)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("169.254.169.254", id="the metadata service of most clouds"),
        pytest.param("2852039166", id="the same as one number"),
        pytest.param("0xa9.254.169.254", id="the same with a hexadecimal part"),
        pytest.param("169.254.43518", id="the same in three parts"),
        pytest.param("[::ffff:169.254.169.254]", id="the same mapped into IPv6"),
        pytest.param("[fd00:ec2::254]", id="Amazon's over IPv6"),
        pytest.param("[fe80::1]", id="link-local IPv6"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("0", id="unspecified as a number"),
        pytest.param("[::]", id="unspecified IPv6"),
        pytest.param("224.0.0.1", id="multicast"),
    ],
)
def test_addresses_where_no_model_server_lives_are_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="which is not called"):
        with_url(f"http://{host}:80/latest")


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "TOKEN", "FRAUD_SERVER_TOKEN"])
def test_a_token_is_named_by_its_variable(name: str) -> None:
    assert HttpRuntime(url="http://host", token_env=name).token_env == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("TURNOUT_DATABASE_URL", id="a setting of the service"),
        pytest.param("TURNOUT_TOKEN", id="any name of the service"),
        pytest.param("AWS_SECRET_ACCESS_KEY", id="a cloud's key"),
        pytest.param("PGPASSWORD", id="a password"),
        pytest.param("sk-abc123", id="the secret itself"),
    ],
)
def test_a_variable_that_holds_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="ends in TOKEN or API_KEY"):
        HttpRuntime(url="http://host", token_env=name)


def test_a_hash_is_written_in_lower_case() -> None:
    artifact = TypeAdapter(Artifact).validate_python({"sha256": "AB" * 32})

    assert artifact.sha256 == "ab" * 32


@pytest.mark.parametrize("sha256", ["", "ab" * 31, "zz" * 32, "ab" * 33])
def test_what_is_no_hash_is_refused(sha256: str) -> None:
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        TypeAdapter(Artifact).validate_python({"sha256": sha256})
