"""The keys of the identity provider, in this process: no request waits for it to verify a token
whose key is known."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import jwt

from turnout.access.domain import tokens
from turnout.access.domain.tokens import TokenRefused, Trust
from turnout.addresses import check_secure_url
from turnout.callers import Caller
from turnout.errors import Refusal, Unavailable
from turnout.outgoing import Calls
from turnout.settings import Settings
from turnout.telemetry import log

FRESH_FOR: Final = timedelta(minutes=5)
"""So long a key is taken that the issuer has withdrawn."""

SPACING: Final = timedelta(seconds=10)
"""Whoever comes with made-up keys makes the issuer be asked this often."""

RETRY: Final = timedelta(seconds=1)
ANSWER_WITHIN: Final = timedelta(seconds=5)
MOST_BYTES: Final = 262_144
DISCOVERY: Final = "/.well-known/openid-configuration"


class IssuerAway(Unavailable):
    def __init__(self, issuer: str) -> None:
        super().__init__(
            f"{issuer} cannot be asked for its keys, and the token is of none that is known:"
            " try again in a moment"
        )

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}


class Issuer:
    """Admits holders of its tokens. `seconds` is a clock that only goes forward."""

    def __init__(
        self,
        trust: Trust,
        *,
        keys_url: str | None,
        calls: Calls,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trust = trust
        self._keys_url = keys_url
        self._calls = calls
        self._seconds = seconds
        self._keys: dict[str, jwt.PyJWK] = {}
        self._reading: asyncio.Task[None] | None = None
        self._next = self._stale = float("-inf")
        self._failed = False

    async def start(self) -> None:
        """Begin to ask for the keys: a service whose issuer is away starts all the same."""
        self._read_behind()

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._calls.close()

    async def admit(self, text: str, now: datetime) -> Caller:
        key = await self._key(tokens.named_key(text, self.trust))
        return tokens.caller_of(tokens.read_claims(text, key, self.trust, now), self.trust)

    async def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._keys:
            reading = self._read_behind()
            if reading is not None:
                await asyncio.shield(reading)
        elif self._seconds() >= self._stale:
            self._read_behind()
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if self._failed:
            raise IssuerAway(self.trust.issuer)
        raise TokenRefused(f"{self.trust.issuer} has no key that signed this token (kid)")

    def _read_behind(self) -> "asyncio.Task[None] | None":
        """One reading of the keys for all who wait; none where the last was a moment ago."""
        if self._reading is None or self._reading.done():
            if self._seconds() < self._next:
                return None
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            found = tokens.signing_keys(await self._key_set(), self.trust)
            if not found:
                raise ValueError("its key set has no key for the allowed algorithms")  # noqa: TRY301
        except (Refusal, ValueError, RecursionError) as error:
            self._failed = True
            self._next = self._seconds() + RETRY.total_seconds()
            log.warning(
                "the issuer's keys cannot be read",
                issuer=self.trust.issuer,
                error=str(error),
                known=len(self._keys),
            )
            return
        at = self._seconds()
        self._keys, self._failed = found, False
        self._next = at + SPACING.total_seconds()
        self._stale = at + FRESH_FOR.total_seconds()

    async def _key_set(self) -> object:
        if self._keys_url is not None:
            return await self._get(self._keys_url)
        found = await self._get(self.trust.issuer.rstrip("/") + DISCOVERY)
        if not isinstance(found, dict) or found.get("issuer") != self.trust.issuer:
            raise ValueError("its discovery document is of another issuer")
        return await self._get(check_secure_url(str(found.get("jwks_uri"))))

    async def _get(self, url: str) -> object:
        answer = await self._calls.send(
            "GET",
            url,
            headers={"Accept": "application/json"},
            deadline=ANSWER_WITHIN,
            limit=MOST_BYTES,
        )
        if answer.status != 200:
            raise ValueError(f"it answers {answer.status}")
        document: object = json.loads(answer.body)
        return document


def issuer_of(settings: Settings) -> Issuer | None:
    """The identity provider of the settings, if there is one.

    It may be inside the network, for whoever runs the service chose it, and nobody else.
    """
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    trust = Trust(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        algorithms=tuple(settings.oidc_algorithms.split(",")),
        role_claim=settings.oidc_role_claim,
        models_claim=settings.oidc_models_claim,
    )
    anywhere = settings.model_copy(update={"allow_private_networks": True})
    return Issuer(trust, keys_url=settings.oidc_keys_url, calls=Calls(anywhere))
