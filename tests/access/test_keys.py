"""Keys as they are made, recognised, compared, and limited."""

import ast
import base64
import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from turnout.access.domain import credentials
from turnout.access.domain.credentials import (
    CredentialsMalformed,
    CredentialsRefused,
    digest,
    key_text,
    presented,
    proves,
    read_key,
)
from turnout.access.domain.keys import Bucket, Key, NewKey, RateExceeded, RateLimit
from turnout.callers import Role

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MADE = key_text(bytes(range(8)), bytes(range(32)))
TEXT = str(MADE)
KEY = Key(
    id=MADE.id,
    name="ci",
    role=Role.OPERATOR,
    models=None,
    digest=digest(MADE.secret),
    expires_at=None,
    revoked_at=None,
    rate_limit=None,
)
new_key = TypeAdapter(NewKey)


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=32, max_size=32))
def test_a_key_that_is_made_is_read_again(identity: bytes, secret: bytes) -> None:
    made = key_text(identity, secret)

    assert read_key(str(made)) == made
    assert proves(made.secret, digest(made.secret))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT[:-1], id="cut off at the end"),
        pytest.param(TEXT[1:], id="cut off at the beginning"),
        pytest.param(TEXT + "A", id="too long"),
        pytest.param(TEXT + "\n", id="with a line end"),
        pytest.param(TEXT.replace("_", "-"), id="other separators"),
        pytest.param(f"trn_{MADE.id}", id="without a secret"),
        pytest.param("trn_", id="the mark alone"),
        pytest.param(TEXT.upper(), id="in capitals"),
        pytest.param(TEXT[:-1] + "é", id="not ASCII"),
    ],
)
def test_what_is_not_a_whole_key_is_malformed(text: str) -> None:
    with pytest.raises(CredentialsMalformed):
        read_key(text)


def test_another_secret_proves_nothing_and_neither_does_any_for_no_key() -> None:
    other = key_text(bytes(8), bytes(32))

    assert not proves(other.secret, digest(MADE.secret))
    assert not proves(MADE.secret, None)


def test_secrets_are_compared_in_constant_time() -> None:
    """By construction: digests of equal length, by the library's comparison and by no other, also
    when there is no such key."""
    tree = ast.parse(inspect.getsource(credentials.proves))
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    compared = [
        type(operator)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for operator in node.ops
    ]

    first = tree.body[0]
    assert isinstance(first, ast.FunctionDef)
    assert "hmac.compare_digest" in ast.unparse(first.body[1])
    assert sorted(calls) == ["digest", "hmac.compare_digest"]
    assert set(compared) <= {ast.Is, ast.IsNot}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        pytest.param([(b"authorization", b"Bearer trn_x")], "trn_x", id="bearer"),
        pytest.param([(b"authorization", b"bearer  trn_x ")], "trn_x", id="in any case, with room"),
        pytest.param([(b"x-api-key", b"trn_x")], "trn_x", id="its own header"),
        pytest.param([(b"authorization", basic("any:trn_x"))], "trn_x", id="basic password"),
        pytest.param([(b"authorization", basic("a:b:c"))], "b:c", id="a password with colons"),
        pytest.param(
            [(b"x-api-key", b"trn_x"), (b"authorization", b"Bearer trn_x")], "trn_x", id="both"
        ),
        pytest.param([(b"content-type", b"Bearer trn_x")], None, id="none"),
    ],
)
def test_a_credential_is_found_where_it_may_stand(
    headers: list[tuple[bytes, bytes]], found: str | None
) -> None:
    assert presented(headers) == found


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"authorization", b"trn_x")], id="no scheme"),
        pytest.param([(b"authorization", b"Digest trn_x")], id="another scheme"),
        pytest.param([(b"authorization", b"Basic %%%")], id="not base64"),
        pytest.param([(b"authorization", b"Basic " + base64.b64encode(b"x"))], id="no colon"),
        pytest.param([(b"authorization", b"Basic " + base64.b64encode(b"\xff:x"))], id="not text"),
        pytest.param([(b"x-api-key", b"a"), (b"authorization", b"Bearer b")], id="two that differ"),
        pytest.param([(b"x-api-key", b"a"), (b"x-api-key", b"b")], id="one header twice"),
    ],
)
def test_a_credential_that_is_none_is_malformed(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(CredentialsMalformed):
        presented(headers)


def test_a_key_is_valid_until_it_expires_or_is_revoked() -> None:
    KEY.check_valid(NOW)
    replace(KEY, expires_at=NOW + timedelta(microseconds=1)).check_valid(NOW)

    with pytest.raises(CredentialsRefused, match="expired"):
        replace(KEY, expires_at=NOW).check_valid(NOW)
    with pytest.raises(CredentialsRefused, match="revoked"):
        replace(KEY, revoked_at=NOW, expires_at=NOW + timedelta(days=1)).check_valid(NOW)


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"name": "developer"}, id="the name of development mode"),
        pytest.param({"name": "worker"}, id="the worker's name"),
        pytest.param({"name": "token:anna"}, id="a name like a token's"),
        pytest.param({"name": " ci"}, id="a blank"),
        pytest.param({"role": "boss"}, id="no role"),
        pytest.param({"models": []}, id="confined to nothing"),
        pytest.param({"role": "admin", "models": ["a"]}, id="an admin of some models"),
        pytest.param({"expires_in": "0s"}, id="expired from the start"),
        pytest.param({"rate_limit": {"per_second": 0}}, id="never"),
        pytest.param({"rate_limit": {"per_second": 1e-320}}, id="never in all time"),
        pytest.param({"scope": "all"}, id="an unknown field"),
    ],
)
def test_a_key_of_no_use_is_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        new_key.validate_python({"name": "ci", "role": "viewer"} | wanted)


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = Bucket.full(RateLimit(per_second=2, burst=3), 0)

    for _ in range(3):
        bucket.take(0)
    with pytest.raises(RateExceeded) as refused:
        bucket.take(0.25)
    bucket.take(0.5)

    assert refused.value.facts["retry_after"] == 0.25
    assert refused.value.headers == {
        "Retry-After": "1",
        "RateLimit-Policy": '"key";q=3;w=2',
        "RateLimit": '"key";r=0;t=1',
    }


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=200),
    st.floats(0.1, 50),
    st.none() | st.integers(1, 20),
)
def test_no_stretch_of_time_lets_more_through_than_the_rate_and_one_burst(
    gaps: list[float], rate: float, burst: int | None
) -> None:
    limit = RateLimit(per_second=rate, burst=burst)
    bucket = Bucket.full(limit, 0)
    at, let = 0.0, 0
    for gap in gaps:
        at += gap
        try:
            bucket.take(at)
            let += 1
        except RateExceeded:
            pass

    assert let <= limit.most + at * rate + 1e-6
