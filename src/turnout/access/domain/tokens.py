"""A token of an identity provider: whose it is, and what its holder may do here.

Whatever a token says of itself is only read once its signature is verified, but for two words of
its header: which key signed it, and by which algorithm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from turnout.access.domain.credentials import CredentialsMalformed, CredentialsRefused
from turnout.callers import COVERED, Caller, Role
from turnout.errors import Forbidden

LEEWAY: Final = timedelta(seconds=30)
"""By so much the issuer's clock and this one may differ."""

LONGEST: Final = 16_384
MOST_KEYS: Final = 100
Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose tokens are taken, for whom they must be meant, and where they say what is allowed."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    role_claim: str
    models_claim: str


class TokenMalformed(CredentialsMalformed):
    pass


class TokenRefused(CredentialsRefused):
    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="turnout", error="invalid_token"'}


class TokenWithoutRole(Forbidden):
    pass


class TokenModelsUnclear(Forbidden):
    pass


def named_key(text: str, trust: Trust) -> str:
    """Read which key is said to have signed a token."""
    try:
        header = jwt.get_unverified_header(text) if len(text) <= LONGEST else {}
    except (jwt.PyJWTError, RecursionError):
        header = {}
    if not header:
        raise TokenMalformed(
            "this is neither an API key, which begins with trn_, nor a signed token (JWT):"
            " was all of it copied?"
        )
    if header.get("alg") not in trust.algorithms:
        raise TokenRefused(
            f"tokens are signed by {' or '.join(trust.algorithms)},"
            f" and this one says {header.get('alg')!r}"
        )
    if not header.get("kid"):
        raise TokenRefused("the token does not say which key of the issuer signed it (kid)")
    return str(header["kid"])


def signing_keys(document: object, trust: Trust) -> dict[str, jwt.PyJWK]:
    """Take from a key set (RFC 7517) what may sign tokens: public keys of an allowed algorithm."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found = {}
    for key in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(key, dict) or key.get("use", "sig") != "sig":
            continue
        try:
            known = jwt.PyJWK(key)
        except jwt.PyJWTError:
            continue
        weak = known.Algorithm.check_key_length(known.key)  # in words, or none
        if known.algorithm_name in trust.algorithms and isinstance(known.key_id, str) and not weak:
            found[known.key_id] = known
    return found


def read_claims(text: str, key: jwt.PyJWK, trust: Trust, now: datetime) -> Claims:
    """Verify a token, and answer what it says."""
    try:
        claims = jwt.decode(
            text,
            key,
            algorithms=[*trust.algorithms],
            audience=trust.audience,
            issuer=trust.issuer,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                # These go by a clock of the library's own: see below.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise TokenRefused("the token's signature is not the issuer's") from None
    except jwt.InvalidAudienceError:
        raise TokenRefused(f"the token is not meant for {trust.audience!r} (aud)") from None
    except jwt.InvalidIssuerError:
        raise TokenRefused(f"the token is not of {trust.issuer} (iss)") from None
    except (jwt.PyJWTError, RecursionError) as error:
        raise TokenRefused(f"the token is not valid: {error}") from None
    _check_times(claims, now)
    return claims


def _check_times(claims: Claims, now: datetime) -> None:
    for name in ("exp", "nbf", "iat"):
        if type(claims.get(name, 0)) not in {int, float}:
            raise TokenRefused(f"the token's {name} is not a time")
    earliest, latest = (now - LEEWAY).timestamp(), (now + LEEWAY).timestamp()
    if not earliest < claims["exp"]:
        raise TokenRefused("the token has expired: get a new one")
    for name in ("nbf", "iat"):
        if not claims.get(name, 0) <= latest:
            raise TokenRefused(f"the token is not valid yet ({name})")


def caller_of(claims: Claims, trust: Trust) -> Caller:
    """Who holds a token, and what that person or program may do."""
    subject = claims["sub"]
    if not 0 < len(subject) <= 200 or not subject.isprintable():
        raise TokenRefused("the token's sub is not a name of up to 200 characters")
    role = _role(claims.get(trust.role_claim), trust)
    models = claims.get(trust.models_claim)
    if models is None:
        return Caller(name=f"token:{subject}", role=role)
    if isinstance(models, str):
        models = [models]
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise TokenModelsUnclear(
            f"the token's {trust.models_claim!r} is not a list of models' names",
            claim=trust.models_claim,
        )
    if role is Role.ADMIN:
        raise TokenModelsUnclear(
            "an admin makes keys for all models, so it cannot be confined to some:"
            f" the token must have either another role or no {trust.models_claim!r}",
            claim=trust.models_claim,
        )
    return Caller(name=f"token:{subject}", role=role, models=frozenset(models))


def _role(claim: object, trust: Trust) -> Role:
    """The role of a claim that is one word or several: other words in it mean nothing here."""
    words = claim if isinstance(claim, list) else [claim]
    roles = [role for role in Role if role.value in words]
    for role in roles:
        if COVERED[role].issuperset(roles):
            return role
    said = "several roles of which none includes the others" if roles else "no role of this service"
    raise TokenWithoutRole(
        f"the token is valid, and its {trust.role_claim!r} has {said}:"
        f" the issuer must put one of {', '.join(Role)} there",
        claim=trust.role_claim,
        roles=[*Role],
    )
