"""Tokens of an identity provider that really answers: whose are taken, and what they may do."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from httpx2 import ASGITransport, AsyncClient
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.conftest import make
from tests.access.issuers import (
    AUDIENCE,
    EC,
    KINDS,
    OTHER,
    RSA,
    Provider,
    Seconds,
    providing,
    public,
)
from tests.conftest import Clock
from turnout import db
from turnout.access.domain.credentials import CredentialsMalformed
from turnout.access.domain.tokens import TokenRefused, signing_keys
from turnout.access.issuer import FRESH_FOR, RETRY, SPACING, Issuer, IssuerAway, issuer_of
from turnout.api import create_app
from turnout.callers import Role
from turnout.db import Sessions
from turnout.errors import Refusal
from turnout.settings import Settings

AT = Clock().now.timestamp()
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with providing() as provider:
        yield provider


@pytest.fixture
def trusting(settings: Settings, provider: Provider) -> Settings:
    return settings.model_copy(update={"oidc_issuer": provider.url, "oidc_audience": AUDIENCE})


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def issuer(trusting: Settings, seconds: Seconds) -> AsyncIterator[Issuer]:
    """One that nobody has asked for anything yet."""
    issuer = issuer_of(trusting)
    assert issuer is not None
    issuer._seconds = seconds
    yield issuer
    await issuer.stop()


@pytest.fixture
async def service(
    trusting: Settings, engine: AsyncEngine, clock: Clock
) -> AsyncIterator[AsyncClient]:
    app = create_app(trusting, engine, clock=clock)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client,
    ):
        yield client


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_is_as_good_as_a_key(
    service: AsyncClient, provider: Provider, sessions: Sessions
) -> None:
    headers = bearing(provider.token(at=AT, sub="anna@example.com"))
    me = await service.get("me", headers=headers)
    made = await service.post("models", json={"name": "fraud-detection"}, headers=headers)
    forbidden = await service.get("api-keys", headers=headers)

    assert me.json() == {
        "name": "token:anna@example.com",
        "role": "operator",
        "models": None,
        "development": False,
    }
    assert (made.status_code, forbidden.status_code) == (201, 403)
    async with sessions() as session:
        actor = await session.scalar(text("SELECT actor FROM audit_entry"))
        assert actor == "token:anna@example.com"


async def test_an_issuer_is_authentication_and_an_admin_of_it_makes_the_first_key(
    service: AsyncClient, provider: Provider
) -> None:
    nobody = await service.get("models")
    admin = bearing(provider.token(at=AT, turnout_role="admin"))
    key = await make(service, headers=admin, name="ci", role="operator")
    by_key = await service.get("models", headers={"X-API-Key": key["key"]})
    document = (await service.get("http://test/openapi.json")).json()

    assert nobody.status_code == 401
    assert provider.url in nobody.json()["detail"]
    assert (key["created_by"], by_key.status_code) == ("token:anna", 200)
    assert "Development mode" not in document["info"]["description"]


@pytest.mark.parametrize("algorithm", sorted(KINDS))
async def test_each_algorithm_is_verified(
    issuer: Issuer, provider: Provider, clock: Clock, algorithm: str
) -> None:
    caller = await issuer.admit(provider.token(at=AT, algorithm=algorithm), clock.now)

    assert caller.role is Role.OPERATOR
    assert await refusal(issuer, forged(provider.token(at=AT, algorithm=algorithm))) == 401


async def refusal(issuer: Issuer, token: str) -> int:
    with pytest.raises(Refusal) as refused:
        await issuer.admit(token, Clock().now)
    return refused.value.status


def forged(token: str) -> str:
    """The same signature under other claims."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{encoded(claims | {'turnout_role': 'admin'})}.{signature}"


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def unsigned(provider: Provider, algorithm: str) -> str:
    payload = provider.token(at=AT).split(".")[1]
    return f"{encoded({'alg': algorithm, 'kid': 'ES256'})}.{payload}."


def signed_with_the_public_key(provider: Provider) -> str:
    """HMAC over a public RSA key as its secret, by hand: libraries would not do it."""
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    payload = provider.token(at=AT).split(".")[1]
    signed = f"{encoded({'alg': 'HS256', 'kid': 'RS256'})}.{payload}"
    signature = base64.urlsafe_b64encode(key.sign(signed.encode(), PEM)).decode().rstrip("=")
    return f"{signed}.{signature}"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(lambda p: forged(p.token(at=AT)), "signature", id="altered"),
        pytest.param(lambda p: p.token(at=AT, key=OTHER), "signature", id="signed by another"),
        pytest.param(lambda p: p.token(at=AT)[:-1], "all of it", id="truncated"),
        pytest.param(lambda p: p.token(at=AT - 3631), "expired", id="expired"),
        pytest.param(lambda p: p.token(at=AT + 31), "not valid yet", id="of the future"),
        pytest.param(lambda p: p.token(at=AT, nbf=AT + 31), "not valid yet", id="not yet valid"),
        pytest.param(lambda p: p.token(at=AT, aud="other"), "aud", id="for another audience"),
        pytest.param(lambda p: p.token(at=AT, iss="https://evil"), "iss", id="of another issuer"),
        pytest.param(lambda p: p.token(at=AT, iss=p.url + "/"), "iss", id="almost the issuer"),
        pytest.param(lambda p: p.token(at=AT, exp=None), '"exp"', id="without an end"),
        pytest.param(lambda p: p.token(at=AT, aud=None), "aud", id="for nobody"),
        pytest.param(lambda p: p.token(at=AT, iss=None), '"iss"', id="of nobody"),
        pytest.param(lambda p: p.token(at=AT, sub=None), '"sub"', id="about nobody"),
        pytest.param(lambda p: p.token(at=AT, sub="a\0"), "sub", id="a name with a zero byte"),
        pytest.param(lambda p: p.token(at=AT, sub=""), "sub", id="an empty name"),
        pytest.param(
            lambda p: p.token(at=AT, nbf=10**400), "not valid yet", id="a number without end"
        ),
        pytest.param(lambda p: p.token(at=AT, exp=float("nan")), "expired", id="no number"),
        pytest.param(lambda p: p.token(at=AT, nbf="soon"), "nbf", id="a time in words"),
        pytest.param(lambda p: p.token(at=AT, kid="made-up"), "kid", id="signed by no known key"),
        pytest.param(lambda p: unsigned(p, "none"), "none", id="not signed"),
        pytest.param(lambda p: unsigned(p, "None"), "None", id="not signed, in other letters"),
        pytest.param(lambda p: unsigned(p, "ES256"), "signature", id="signed with nothing"),
        pytest.param(signed_with_the_public_key, "HS256", id="HMAC with the public key"),
        pytest.param(
            lambda p: p.token(at=AT, algorithm="RS256", kid="ES256"),
            "does not match",
            id="another algorithm than its key's",
        ),
        pytest.param(
            lambda p: jwt.encode(
                {}, EC, algorithm="ES256", headers={"kid": "ES256", "crit": ["x"]}
            ),
            "neither",
            id="with a condition that nobody knows",
        ),
    ],
)
async def test_no_other_token_is_taken(
    issuer: Issuer, provider: Provider, clock: Clock, token: Callable[[Provider], str], said: str
) -> None:
    with pytest.raises((TokenRefused, CredentialsMalformed), match=said):
        await issuer.admit(token(provider), clock.now)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("eyJhbGciOiJub25lIn0", id="a part of a token"),
        pytest.param("a.b.c", id="no base64"),
        pytest.param(f"{encoded([])}.e30.", id="a header that is a list"),
        pytest.param(f"{base64.b64encode(b'[' * 6000).decode()}.e30.", id="a deep header"),
        pytest.param(f"{encoded({'alg': 'ES256', 'kid': {}})}.e30.", id="a key that is an object"),
        pytest.param(f"{encoded({'alg': 'ES256', 'kid': 'a', 'x': 'y' * 20_000})}.e30.", id="long"),
        pytest.param("é.ü.ß", id="not ASCII"),
    ],
)
async def test_what_is_no_token_is_malformed_and_nobody_is_asked(
    issuer: Issuer, provider: Provider, clock: Clock, text: str
) -> None:
    with pytest.raises(CredentialsMalformed, match="all of it"):
        await issuer.admit(text, clock.now)
    assert provider.asked == 0


async def test_clocks_may_differ_a_little(issuer: Issuer, provider: Provider, clock: Clock) -> None:
    for at in (AT - 3629, AT + 29):
        assert (await issuer.admit(provider.token(at=at), clock.now)).name == "token:anna"


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        pytest.param({"turnout_role": ["staff", "viewer"]}, (Role.VIEWER, None), id="a list"),
        pytest.param(
            {"turnout_role": ["viewer", "admin"]}, (Role.ADMIN, None), id="the one that has all"
        ),
        pytest.param(
            {"turnout_models": ["a", "b"]}, (Role.OPERATOR, frozenset("ab")), id="for some models"
        ),
        pytest.param({"turnout_models": "a"}, (Role.OPERATOR, frozenset("a")), id="for one model"),
        pytest.param({"turnout_models": []}, (Role.OPERATOR, frozenset()), id="for no model"),
        pytest.param({"turnout_role": None}, "no role", id="no role"),
        pytest.param({"turnout_role": "Admin"}, "no role", id="an unknown role"),
        pytest.param({"turnout_role": {"admin": 1}}, "no role", id="a role that is an object"),
        pytest.param({"turnout_role": ["viewer", "recorder"]}, "several", id="two beside another"),
        pytest.param({"turnout_models": {"a": 1}}, "not a list", id="models that are no list"),
        pytest.param(
            {"turnout_role": "admin", "turnout_models": ["a"]}, "confined", id="a confined admin"
        ),
    ],
)
async def test_its_claims_say_what_it_may_do(
    issuer: Issuer, provider: Provider, clock: Clock, claims: dict[str, Any], found: Any
) -> None:
    token = provider.token(at=AT, **claims)
    if isinstance(found, str):
        with pytest.raises(Refusal, match=found) as refused:
            await issuer.admit(token, clock.now)
        assert refused.value.status == 403
    else:
        caller = await issuer.admit(token, clock.now)
        assert (caller.role, caller.models) == found


async def test_made_up_keys_make_the_issuer_be_asked_once_in_a_while(
    issuer: Issuer, provider: Provider, seconds: Seconds
) -> None:
    tokens = [provider.token(at=AT, kid=f"made-up-{n}") for n in range(20)]

    assert set(await asyncio.gather(*(refusal(issuer, token) for token in tokens))) == {401}
    assert [await refusal(issuer, token) for token in tokens] == [401] * 20
    assert provider.asked == 1
    seconds.advance(SPACING)
    await asyncio.gather(*(refusal(issuer, token) for token in tokens))
    assert provider.asked == 2


async def test_a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_is_forgotten(
    issuer: Issuer, provider: Provider, seconds: Seconds, clock: Clock
) -> None:
    old, new = provider.token(at=AT), provider.token(at=AT, key=OTHER, kid="new")
    await issuer.admit(old, clock.now)
    provider.keys = [public(OTHER, "new")]
    seconds.advance(FRESH_FOR)

    await issuer.admit(old, clock.now)  # it waits for nobody
    assert issuer._reading is not None
    await issuer._reading
    assert (await issuer.admit(new, clock.now)).name == "token:anna"
    assert await refusal(issuer, old) == 401


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"down": True}, id="it answers 500"),
        pytest.param({"body": b"<html>"}, id="no JSON"),
        pytest.param({"body": b"[" * 100_000}, id="deep JSON"),
        pytest.param({"body": b" " * 300_000 + b"{}"}, id="more than it should"),
        pytest.param({"keys": []}, id="no keys"),
    ],
)
async def test_known_keys_outlast_an_issuer_in_trouble(
    issuer: Issuer,
    provider: Provider,
    seconds: Seconds,
    clock: Clock,
    trouble: dict[str, Any],
) -> None:
    token, unknown = provider.token(at=AT), provider.token(at=AT, kid="unknown")
    await issuer.admit(token, clock.now)
    vars(provider).update(trouble)
    seconds.advance(FRESH_FOR)

    assert await refusal(issuer, unknown) == 503
    assert (await issuer.admit(token, clock.now)).name == "token:anna"


async def test_without_any_keys_nobody_can_be_told_from_anybody_until_it_is_back(
    issuer: Issuer, provider: Provider, seconds: Seconds, clock: Clock
) -> None:
    provider.down = True
    with pytest.raises(IssuerAway) as away:
        await issuer.admit(provider.token(at=AT), clock.now)
    assert away.value.headers == {"Retry-After": "1"}

    provider.down = False
    seconds.advance(RETRY)
    assert (await issuer.admit(provider.token(at=AT), clock.now)).name == "token:anna"


async def test_an_issuer_that_is_not_there_is_503_and_keeps_nothing_from_starting(
    settings: Settings, engine: AsyncEngine, clock: Clock, provider: Provider
) -> None:
    nowhere = settings.model_copy(
        update={"oidc_issuer": "http://127.0.0.1:9", "oidc_audience": AUDIENCE}
    )
    app = create_app(nowhere, engine, clock=clock)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client,
    ):
        answer = await client.get("me", headers=bearing(provider.token(at=AT)))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_tokens_need_no_database(
    trusting: Settings, provider: Provider, clock: Clock
) -> None:
    away = db.create_engine("postgresql://nobody@127.0.0.1:9/nowhere")
    app = create_app(trusting, away, clock=clock)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client:
        answer = await client.get("me", headers=bearing(provider.token(at=AT)))
    await app.state.resources.gate.stop()
    await away.dispose()

    assert answer.status_code == 200


async def test_discovery_of_another_issuer_is_not_believed(
    trusting: Settings, provider: Provider, clock: Clock
) -> None:
    other = trusting.model_copy(update={"oidc_issuer": provider.url + "/"})
    told = other.model_copy(update={"oidc_keys_url": provider.url + "/keys"})
    discovering, knowing = issuer_of(other), issuer_of(told)
    assert discovering is not None
    assert knowing is not None
    token = provider.token(at=AT, iss=provider.url + "/")

    assert await refusal(discovering, token) == 503
    assert (await knowing.admit(token, clock.now)).name == "token:anna"
    await asyncio.gather(discovering.stop(), knowing.stop())


def test_only_strong_public_keys_for_signatures_are_taken(issuer: Issuer) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    keys = [
        public(EC, "good"),
        public(EC, "for encryption") | {"use": "enc"},
        public(weak, "weak", RSAAlgorithm),
        public(RSA, "another algorithm", RSAAlgorithm) | {"alg": "PS512"},
        {"kty": "oct", "kid": "a secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "new", "kid": "a kind of the future"},
        {name: value for name, value in public(EC, "").items() if name != "kid"},
        "no key",
    ]

    assert set(signing_keys({"keys": keys}, issuer.trust)) == {"good"}
    assert signing_keys([], issuer.trust) == signing_keys({"keys": {}}, issuer.trust) == {}
