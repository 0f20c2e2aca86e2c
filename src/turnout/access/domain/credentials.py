"""What a request brings to say who calls, and how an API key is made and recognised."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from turnout.callers import Headers
from turnout.errors import Unauthenticated

MARK: Final = "trn_"
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
_KEY: Final = re.compile(r"trn_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY: Final = bytes(32)


class CredentialsMissing(Unauthenticated):
    def __init__(self, issuer: str | None) -> None:
        or_a_token = f", or a token of {issuer} as `Authorization: Bearer`" if issuer else ""
        super().__init__(
            "say who you are: send an API key as `Authorization: Bearer trn_…` or as"
            f" `X-API-Key: trn_…` (`turnout keys create` makes one){or_a_token}"
        )


class CredentialsMalformed(Unauthenticated):
    """It cannot be a key, whoever made it."""


class CredentialsRefused(Unauthenticated):
    """It looks right, and nobody may come in with it."""


@dataclass(frozen=True, slots=True)
class KeyText:
    """An API key as it is sent: who it says it is, and the proof."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"{MARK}{self.id}_{self.secret}"


def key_text(id_bytes: bytes, secret_bytes: bytes) -> KeyText:
    """Make a key of random bytes: the id is shown in lists, the secret once."""
    return KeyText(id_bytes.hex(), base64.urlsafe_b64encode(secret_bytes).decode().rstrip("="))


def read_key(text: str) -> KeyText:
    found = _KEY.fullmatch(text)
    if found is None:
        raise CredentialsMalformed(
            f"an API key is {MARK}, 16 characters, _ and 43 characters, and this is not one:"
            " was all of it copied?"
        )
    return KeyText(found[1], found[2])


def digest(secret: str) -> bytes:
    """What is stored of a secret. It is 256 random bits, so there is nothing to guess slowly."""
    return hashlib.sha256(secret.encode()).digest()


def proves(secret: str, stored: bytes | None) -> bool:
    """Compare in a time that tells nothing of either, nor of whether there is such a key."""
    same = hmac.compare_digest(digest(secret), _NOBODY if stored is None else stored)
    return same and stored is not None


def presented(headers: Headers) -> str | None:
    """The credential of a request: a bearer token, an `X-API-Key`, or a Basic password.

    One that is sent twice must be the same one: a proxy and a program might each mean another
    than the one that is taken.
    """
    found = None
    for name, value in headers:
        if name == b"authorization":
            text = _authorization(value.decode("latin-1"))
        elif name == b"x-api-key":
            text = value.decode("latin-1").strip()
        else:
            continue
        if found is not None and found != text:
            raise CredentialsMalformed("the request has several credentials: send one")
        found = text
    return found


def _authorization(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _password(rest.strip())
    raise CredentialsMalformed(
        "`Authorization` is `Bearer` with a key or a token, or `Basic` with a key as the password"
    )


def _password(encoded: str) -> str:
    try:
        _, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = password = ""
    if not colon:
        raise CredentialsMalformed("`Authorization: Basic` is the base64 of user:password")
    return password
