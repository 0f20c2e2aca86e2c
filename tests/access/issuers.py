"""An identity provider on a loopback port: it publishes keys, and signs tokens with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "turnout"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())
"""Somebody else's."""

KINDS: dict[str, tuple[Any, Any]] = {
    "RS256": (RSA, RSAAlgorithm),
    "ES256": (EC, ECAlgorithm),
    "EdDSA": (ED, OKPAlgorithm),
}


def public(key: Any, kid: str, of: Any = ECAlgorithm) -> dict[str, Any]:
    return {**of.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


@dataclass
class Provider:
    """`down` answers 500. `asked` counts how often its keys were fetched."""

    url: str = ""
    keys: list[dict[str, Any]] = field(
        default_factory=lambda: [public(key, kid, of) for kid, (key, of) in KINDS.items()]
    )
    down: bool = False
    asked: int = 0
    body: bytes | None = None

    def token(
        self,
        *,
        at: float,
        algorithm: str = "ES256",
        key: Any = None,
        kid: str | None = None,
        **claims: Any,
    ) -> str:
        """Good for an hour from `at`, where nothing else is said; a claim of None is left out."""
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": int(at),
            "exp": int(at) + 3600,
            "turnout_role": "operator",
            **claims,
        }
        return jwt.encode(
            {name: value for name, value in said.items() if value is not None},
            KINDS[algorithm][0] if key is None else key,
            algorithm=algorithm,
            headers={"kid": kid or algorithm},
        )

    async def discover(self, request: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def publish(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.down:
            return web.Response(status=500)
        if self.body is not None:
            return web.Response(body=self.body)
        return web.json_response({"keys": self.keys})


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discover)
    app.router.add_get("/keys", provider.publish)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    provider.url = f"http://{host}:{port}"
    try:
        yield provider
    finally:
        await runner.cleanup()


class Seconds:
    """The clock by which an issuer is asked again."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, by: Any) -> None:
        self.now += by.total_seconds()
