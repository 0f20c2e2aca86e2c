"""The audit log as a chain: each entry is sealed with its place and the seal before it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

FIRST: Final = "0" * 64
"""What stands for the hash before the first entry."""


class Break(StrEnum):
    MISSING = "missing"
    CHANGED = "changed"
    OUT_OF_PLACE = "out_of_place"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change, as it was written down; `position` and `hash` follow within seconds."""

    id: int
    position: int | None
    at: datetime
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None
    request_id: str | None
    hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A place in the chain and its hash. Kept elsewhere, it shows later what was cut off."""

    position: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first place where the log is not what was sealed."""

    position: int
    id: int | None
    kind: Break
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """`unsealed` entries are too young to be in the chain; they say nothing against it."""

    intact: bool
    sealed: int
    unsealed: int
    head: Head | None
    broken: Broken | None


def seal(entry: Entry, position: int, before: str) -> str:
    """SHA-256 over the hash before, and the entry as JSON: sorted keys, no spaces, UTF-8."""
    said = {
        "position": position,
        "id": entry.id,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "request_id": entry.request_id,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}{text}".encode(errors="surrogatepass")).hexdigest()


class Chain:
    """Follows the chain entry by entry, and stops at the first that does not fit."""

    def __init__(self, known: Head | None = None) -> None:
        self.head = Head(position=0, hash=FIRST)
        self._known = known
        self._doubted: Entry | None = None

    def follow(self, entry: Entry) -> Broken | None:
        """Take the next sealed entry; one that does not fit is judged by the one behind it."""
        assert entry.position is not None
        if self._doubted is not None:
            return self._judged(self._doubted, entry)
        if entry.position <= self.head.position:
            return _inserted(entry)
        if entry.position != self.head.position + 1:
            return _missing(self.head.position + 1, entry.position)
        # Whoever owns the table can also take the hash away.
        if entry.hash is None or entry.hash != seal(entry, entry.position, self.head.hash):
            self._doubted = entry
            return None
        self.head = Head(position=entry.position, hash=entry.hash)
        if self._known and self._known.position == entry.position:
            return self._compared(entry)
        return None

    def end(self) -> Broken | None:
        """Say what is wrong once there are no more entries."""
        if self._doubted is not None:
            return self._judged(self._doubted, None)
        if self._known and self.head.position < self._known.position:
            return Broken(
                position=self.head.position + 1,
                id=None,
                kind=Break.TRUNCATED,
                detail=f"the log ends at position {self.head.position}, but it is known to have"
                f" reached {self._known.position}",
            )
        return None

    def _compared(self, entry: Entry) -> Broken | None:
        assert self._known is not None
        if entry.hash == self._known.hash:
            return None
        return Broken(
            position=self._known.position,
            id=entry.id,
            kind=Break.CHANGED,
            detail="the chain holds in itself, but is not the one whose hash was kept: it was"
            " rewritten up to here",
        )

    def _judged(self, entry: Entry, behind: Entry | None) -> Broken:
        """When the next entry follows from a doubted one's hash, only its content is wrong."""
        assert entry.position is not None
        rest_fits = (
            behind is None
            or behind.position is None
            or entry.hash is None
            or behind.hash == seal(behind, behind.position, entry.hash)
        )
        if not rest_fits:
            return _inserted(entry)
        return Broken(
            position=entry.position,
            id=entry.id,
            kind=Break.CHANGED,
            detail=f"entry {entry.id} does not say what was sealed",
        )


def _inserted(entry: Entry) -> Broken:
    assert entry.position is not None
    return Broken(
        position=entry.position,
        id=entry.id,
        kind=Break.OUT_OF_PLACE,
        detail=f"entry {entry.id} was inserted, or moved here from another position",
    )


def _missing(first: int, found: int) -> Broken:
    lost = found - first
    return Broken(
        position=first,
        id=None,
        kind=Break.MISSING,
        detail=f"{lost} {'entry is' if lost == 1 else 'entries are'} missing before position"
        f" {found}",
    )
