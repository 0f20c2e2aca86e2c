"""An API key: what it may do, for how long, and how often."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from annotated_types import Ge, Le, Len, MaxLen, MinLen

from turnout.access.domain.credentials import CredentialsRefused
from turnout.callers import Caller, Role
from turnout.errors import Conflict, NotFound, TooManyRequests
from turnout.quantities import STRICT, Duration, Line, Reading, Text

DEVELOPER: Final = Caller(name="developer", role=Role.ADMIN)
"""Whoever calls while nobody is asked for credentials."""

RESERVED: Final = frozenset({DEVELOPER.name, "worker", "command-line"})
"""Actors that are no key, so that a name in a history means one thing."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", re.ASCII)


def check_key_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a key's name has 1 to 100 letters, digits, dots, dashes, underscores and at signs,"
            " and begins with a letter or digit, such as ci or anna@example.com"
        )
    if name in RESERVED:
        raise ValueError(f"{name!r} names another actor: choose another name")
    return name


KeyName = Annotated[
    str,
    Reading(
        check=check_key_name,
        describe={"type": "string", "pattern": f"^{_NAME.pattern}$", "examples": ["ci"]},
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """So many requests per second on each replica, and `burst` at once after a quiet time
    (without it, those of one second)."""

    __pydantic_config__ = STRICT

    per_second: Annotated[float, Ge(0.0001), Le(1_000_000)]
    burst: Annotated[int, Ge(1), Le(10_000_000)] | None = None

    @property
    def most(self) -> float:
        return float(self.burst or max(1.0, self.per_second))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a key is to be. `models` confines it to these; without `expires_in` it is valid until
    it is revoked."""

    __pydantic_config__ = STRICT

    name: KeyName
    role: Role
    models: Annotated[tuple[Annotated[Line, Len(1, 100)], ...], MinLen(1), MaxLen(1000)] | None = (
        None
    )
    expires_in: Duration | None = None
    rate_limit: RateLimit | None = None
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def __post_init__(self) -> None:
        if self.models is not None and self.role is Role.ADMIN:
            raise ValueError("an admin makes keys for all models, so it cannot be confined to some")
        if self.expires_in is not None and not self.expires_in:
            raise ValueError("a key that expires at once is of no use: leave out expires_in")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the service knows it, which is not enough to make it again."""

    id: str
    name: str
    role: Role
    models: tuple[str, ...] | None
    digest: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    rate_limit: RateLimit | None

    def check_valid(self, now: datetime) -> None:
        """Only whoever has proved to hold the key is told why it is not valid any more."""
        if self.revoked_at is not None:
            raise CredentialsRefused(f"the key {self.name!r} was revoked", key=self.id)
        if self.expires_at is not None and self.expires_at <= now:
            raise CredentialsRefused(
                f"the key {self.name!r} has expired", key=self.id, at=self.expires_at.isoformat()
            )


class KeyNotFound(NotFound):
    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id}", key=key_id)


class KeyNameTaken(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is a key {name!r} that is not revoked: revoke it, or choose another name",
            name=name,
        )


class RateExceeded(TooManyRequests):
    def __init__(self, limit: RateLimit, wait: float) -> None:
        super().__init__(
            f"this key may send {limit.per_second:g} requests per second to each replica:"
            f" try again in {wait:.3g} s",
            per_second=limit.per_second,
            retry_after=wait,
        )
        self.limit = limit
        self.seconds = max(1, int(-(-wait // 1)))

    @property
    def headers(self) -> dict[str, str]:
        window = max(1, round(self.limit.most / self.limit.per_second))
        return {
            "Retry-After": str(self.seconds),
            "RateLimit-Policy": f'"key";q={int(self.limit.most)};w={window}',
            "RateLimit": f'"key";r=0;t={self.seconds}',
        }


@dataclass(slots=True)
class Bucket:
    """A token bucket: full at first, filled at the limit's rate, emptied by one each request."""

    limit: RateLimit
    left: float
    at: float

    @classmethod
    def full(cls, limit: RateLimit, at: float) -> "Bucket":
        return cls(limit, limit.most, at)

    def take(self, at: float) -> None:
        """`at` in seconds of a clock that only goes forward. Raises RateExceeded when empty."""
        grown = self.left + (at - self.at) * self.limit.per_second
        self.left, self.at = min(self.limit.most, grown), at
        if self.left < 1:
            raise RateExceeded(self.limit, (1 - self.left) / self.limit.per_second)
        self.left -= 1
